"""Builds the k3s stand-in into a folder in the layout of a k3s release; nothing but building lives here."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
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
    """Command line. Exit code 1 and a message on stderr when the Go compiler is missing or fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="v1.36.3+k3s1", help="the version the program tells")
    parser.add_argument("--arch", default="amd64", choices=sorted(SUFFIXES))
    parser.add_argument("--output", type=Path, required=True, help="the folder to fill")
    given = parser.parse_args(arguments)
    try:
        build(Release(given.version, given.arch, given.output))
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


class BuildError(Exception):
    """The stand-in cannot be built; the text says why and what to do."""


def build(release: Release) -> None:
    """Fills the folder unless a stamp in it says that it holds exactly this. Raises BuildError."""
    wanted = fingerprint(release)
    if release.stamp.is_file() and release.stamp.read_text() == wanted and release.binary.is_file():
        return
    release.output.mkdir(parents=True, exist_ok=True)
    compile_program(release)
    release.images.write_bytes(f"stand-in for the images of k3s {release.version} {release.arch}\n".encode() * 64)
    copy_installer(release)
    write_checksums(release)
    replace_text(release.stamp, wanted)


def fingerprint(release: Release) -> str:
    """A digest of all sources and of what is asked for."""
    digest = hashlib.sha256(f"{release.version} {release.arch}\n".encode())
    for source in sorted([*HERE.glob("*.go"), HERE / "go.mod", HERE / "install.sh", HERE / "build.py"]):
        if not source.name.endswith("_test.go"):
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest() + "\n"


def find_go() -> str:
    """The Go compiler. Raises BuildError when there is none."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise BuildError(
            "no Go compiler found; install Go 1.21 or newer (Debian 13, Ubuntu 24.04: apt-get install golang-go; "
            "Debian 12: apt-get install -t bookworm-backports golang-go)"
        )
    return go


def compile_program(release: Release) -> None:
    unfinished = release.output / f".k3s-{release.arch}-{os.getpid()}"
    command = [
        find_go(),
        "build",
        "-trimpath",
        "-ldflags",
        f"-s -w -X main.version={release.version}",
        "-o",
        str(unfinished),
        ".",
    ]
    settings = {
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": release.arch,
        "GOARM": "7",
        "GOFLAGS": "-mod=mod",
        "GOWORK": "off",
    }
    done = subprocess.run(
        command, cwd=HERE, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"go build failed:\n{done.stderr.strip()}")
    unfinished.chmod(0o755)
    unfinished.replace(release.binary)


def copy_installer(release: Release) -> None:
    target = release.output / "install.sh"
    replace_text(target, (HERE / "install.sh").read_text())
    target.chmod(0o755)
    replace_text(release.output / "install.sh.sha256sum", checksum_line(target))


def write_checksums(release: Release) -> None:
    replace_text(release.checksums, checksum_line(release.images) + checksum_line(release.binary))


def checksum_line(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def replace_text(path: Path, text: str) -> None:
    """Writes by rename, since several builds may fill one folder at a time."""
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
