"""Builds the k0s stand-in into a folder in the layout of a k0s release; nothing but building lives here."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from compiling import compile_program, digest_of, fingerprint, replace_text, run_builder  # noqa: E402  (a script finds its neighbours so)

ARCHITECTURES = ("amd64", "arm64", "arm")
STAMP = ".standin"


@dataclass(frozen=True)
class Release:
    """What to build: a version such as v1.36.3+k0s.2, an architecture, and the folder to fill."""

    version: str
    arch: str
    output: Path

    @property
    def binary(self) -> Path:
        return self.output / f"k0s-{self.version}-{self.arch}"

    @property
    def bundle(self) -> Path:
        """The air-gap bundle, which changed its name with 1.36."""
        minor = int(self.version.split(".")[1])
        suffix = f"linux-{self.arch}.tar" if minor >= 36 else self.arch
        return self.output / f"k0s-airgap-bundle-{self.version}-{suffix}"

    @property
    def checksums(self) -> Path:
        return self.output / "sha256sums.txt"

    @property
    def stamp(self) -> Path:
        return self.output / f"{STAMP}-{self.arch}"


def main(arguments: Sequence[str] | None = None) -> int:
    return run_builder(arguments, __doc__ or "", "v1.36.3+k0s.2", ARCHITECTURES, lambda *given: build(Release(*given)))


def build(release: Release) -> None:
    """Fills the folder unless a stamp in it says that it holds exactly this. Raises BuildError."""
    wanted = fingerprint("k0s", f"{release.version} {release.arch}")
    if release.stamp.is_file() and release.stamp.read_text() == wanted and release.binary.is_file():
        return
    release.output.mkdir(parents=True, exist_ok=True)
    compile_program("k0s", release.version, release.arch, release.binary)
    release.bundle.write_bytes(f"stand-in for the images of k0s {release.version} {release.arch}\n".encode() * 64)
    write_checksums(release)
    replace_text(release.stamp, wanted)


def write_checksums(release: Release) -> None:
    """One file for all architectures that lie there, in the binary form of sha256sum."""
    files = sorted(path for path in release.output.glob("k0s-*") if path.is_file())
    replace_text(release.checksums, "".join(f"{digest_of(path)} *{path.name}\n" for path in files))


if __name__ == "__main__":
    sys.exit(main())
