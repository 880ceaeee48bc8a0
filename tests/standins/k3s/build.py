"""Builds the k3s stand-in into a folder in the layout of a k3s release; nothing but building lives here."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from compiling import compile_program, digest_of, fingerprint, replace_text, run_builder  # noqa: E402  (a script finds its neighbours so)

SUFFIXES = {"amd64": "", "arm64": "-arm64", "arm": "-armhf"}
STAMP = ".standin"


@dataclass(frozen=True)
class Release:
    """What to build: a version such as v1.36.3+k3s1, an architecture, and the folder to fill."""

    version: str
    arch: str
    output: Path

    @property
    def binary(self) -> Path:
        return self.output / f"k3s{SUFFIXES[self.arch]}"

    @property
    def images(self) -> Path:
        return self.output / f"k3s-airgap-images-{self.arch}.tar.zst"

    @property
    def checksums(self) -> Path:
        return self.output / f"sha256sum-{self.arch}.txt"

    @property
    def stamp(self) -> Path:
        return self.output / f"{STAMP}-{self.arch}"


def main(arguments: Sequence[str] | None = None) -> int:
    return run_builder(arguments, __doc__ or "", "v1.36.3+k3s1", SUFFIXES, lambda *given: build(Release(*given)))


def build(release: Release) -> None:
    """Fills the folder unless a stamp in it says that it holds exactly this. Raises BuildError."""
    wanted = fingerprint("k3s", f"{release.version} {release.arch}")
    if release.stamp.is_file() and release.stamp.read_text() == wanted and release.binary.is_file():
        return
    release.output.mkdir(parents=True, exist_ok=True)
    compile_program("k3s", release.version, release.arch, release.binary)
    release.images.write_bytes(f"stand-in for the images of k3s {release.version} {release.arch}\n".encode() * 64)
    copy_installer(release)
    write_checksums(release)
    replace_text(release.stamp, wanted)


def copy_installer(release: Release) -> None:
    target = release.output / "install.sh"
    replace_text(target, (HERE / "install.sh").read_text())
    target.chmod(0o755)
    replace_text(release.output / "install.sh.sha256sum", checksum_line(target))


def write_checksums(release: Release) -> None:
    replace_text(release.checksums, checksum_line(release.images) + checksum_line(release.binary))


def checksum_line(path: Path) -> str:
    return f"{digest_of(path)}  {path.name}\n"


if __name__ == "__main__":
    sys.exit(main())
