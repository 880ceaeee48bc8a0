"""Compiles a stand-in of this folder's Go module, and writes files of a release; which files there are is said elsewhere."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

MODULE = Path(__file__).resolve().parent


class BuildError(Exception):
    """The stand-in cannot be built; the text says why and what to do."""


def run_builder(
    arguments: Sequence[str] | None,
    words: str,
    version: str,
    architectures: Iterable[str],
    build: Callable[[str, str, Path], None],
) -> int:
    """The command line of a builder: `build` gets the version, the architecture, and the folder to fill.

    Exit code 1 and a message on stderr when the Go compiler is missing or fails.
    """
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--version", default=version, help="the version the program tells: %(default)s")
    parser.add_argument("--arch", default="amd64", choices=sorted(architectures))
    parser.add_argument("--output", type=Path, required=True, help="the folder to fill")
    given = parser.parse_args(arguments)
    try:
        build(given.version, given.arch, given.output.resolve())
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


def fingerprint(program: str, asked_for: str) -> str:
    """A digest of all sources of one program, common ones included, and of what is asked for."""
    digest = hashlib.sha256(f"{asked_for}\n".encode())
    folder = MODULE / program
    sources = [*(MODULE / "kube").glob("*.go"), *folder.glob("*.go"), *folder.glob("*.sh"), *folder.glob("*.py")]
    for source in sorted([*sources, MODULE / "go.mod", Path(__file__).resolve()]):
        if not source.name.endswith("_test.go"):
            digest.update(str(source.relative_to(MODULE)).encode() + b"\0" + source.read_bytes() + b"\0")
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


def compile_program(program: str, version: str, arch: str, target: Path) -> None:
    """Compiles one program of the module into the file target, stamped with a version. Raises BuildError."""
    unfinished = target.with_name(f".{program}-{arch}-{os.getpid()}")
    flags = f"-s -w -X main.version={version}"
    command = [find_go(), "build", "-trimpath", "-ldflags", flags, "-o", str(unfinished), f"./{program}"]
    settings = {
        "CGO_ENABLED": "0",
        "GOOS": "linux",
        "GOARCH": arch,
        "GOARM": "7",
        "GOFLAGS": "-mod=mod",
        "GOWORK": "off",
    }
    done = subprocess.run(
        command, cwd=MODULE, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"go build failed:\n{done.stderr.strip()}")
    unfinished.chmod(0o755)
    unfinished.replace(target)


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def replace_text(path: Path, text: str) -> None:
    """Writes by rename, since several builds may fill one folder at a time."""
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text)
    unfinished.replace(path)
