"""Builds a real Kubernetes from Go modules into a mirror folder in its release's layout: command line, folder, stages.

Minutes once; after that the folder is left as it is until a source or the compiler changes.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))  # it is run as a script too

from tests.kubernetes.toolchain import BuildError, Go, Workshop, find_go, pinned, require_go  # noqa: E402

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
KUBERNETES = "k8s.io/kubernetes"
PROGRAMS = ("kubeadm", "kubelet", "kubectl")
_started = time.monotonic()


@dataclass(frozen=True)
class Release:
    """What to build: a version such as v1.36.3, an architecture, and the folder to fill.

    `sources` is the version that go.mod pins, when the programs shall tell another patch release than they are of: for
    tests that go from one version to the next.
    """

    version: str
    arch: str
    output: Path
    sources: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """All that hosts get, below the folder; each has a checksum file beside it."""
        return (*(f"bin/linux/{self.arch}/{name}" for name in PROGRAMS), self.images)

    @property
    def images(self) -> str:
        return f"kubernetes-images-{self.arch}.tar"

    @property
    def stamp(self) -> Path:
        """Says what the folder was made from; only there while all files are whole."""
        return self.output / ".built"

    @property
    def unfinished(self) -> Path:
        """In the output, so that finished files get to their places by a rename."""
        return self.output / ".unfinished"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 1 and a message on stderr when the compiler is missing or fails, 130 when interrupted."""
    parser = argparse.ArgumentParser(description="Builds Kubernetes from Go modules into a mirror folder.")
    parser.add_argument("--version", default=pinned(KUBERNETES), help="the one in go.mod: %(default)s")
    parser.add_argument(
        "--sources", default="", help="the version in go.mod, when --version is to be told in its place"
    )
    parser.add_argument("--arch", default="amd64", choices=sorted(MACHINES.values()))
    parser.add_argument("--output", type=Path, required=True, help="the folder to fill")
    given = parser.parse_args(arguments)
    try:
        build(Release(given.version, given.arch, given.output.absolute(), given.sources))
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build.py: interrupted; the next run goes on with what is compiled", file=sys.stderr)
        return 130
    return 0


def build(release: Release) -> None:
    """Fills the folder unless its stamp says that it holds exactly this. Raises BuildError.

    A second build into the same folder waits for the first. What an interrupted one had made is thrown away by the
    next; Go's own cache keeps the work.
    """
    refuse_impossible(release)
    go = find_go(release.arch)
    if is_current(release, go):
        return
    go = require_go(go)
    release.output.mkdir(parents=True, exist_ok=True)
    with locked(release.output):
        if not is_current(release, go):
            sources = describe(release, go)  # now: what somebody changes while compilers work is not in
            make_all(release, go)
            publish(release, sources)


def refuse_impossible(release: Release) -> None:
    version, sources = pinned(KUBERNETES), release.sources or release.version
    if sources != version:
        raise BuildError(f"go.mod pins Kubernetes {version}; {sources} can't be built from it")
    if release.version.rpartition(".")[0] != sources.rpartition(".")[0]:
        raise BuildError(f"{release.version} is another minor than {sources}: its programs would not fit together")
    if release.arch != MACHINES.get(platform.machine()):
        raise BuildError(f"this machine is {platform.machine()}: it has no iptables for images of {release.arch}")


# ---- what the folder holds


def is_current(release: Release, go: Go | None) -> bool:
    """Whether the folder holds what a build would make. Where there is no Go, the sources alone decide."""
    wanted = describe(release, go)
    with contextlib.suppress(FileNotFoundError):
        complete = all((release.output / name).is_file() for name in release.files)
        return complete and release.stamp.read_text().splitlines()[: len(wanted)] == wanted
    return False


def describe(release: Release, go: Go | None) -> list[str]:
    """The lines of the stamp."""
    return [fingerprint(release), *([go.text] if go else [])]


def fingerprint(release: Release) -> str:
    """A digest of all sources and of what is asked for."""
    digest = hashlib.sha256(f"{release.version} {release.arch}\n".encode())
    for source in list_sources():
        digest.update(f"{source.relative_to(ROOT)}\0".encode() + source.read_bytes() + b"\0")
    return digest.hexdigest()


def list_sources() -> list[Path]:
    patterns = ("go.mod", "go.sum", "*.py", "*.c", "*/*.go", "*/go.mod", "*/go.sum")
    found = {path for pattern in patterns for path in HERE.glob(pattern)} - {HERE / "download.py"}
    return sorted([*found, ROOT / "bootstrap/images.py"])


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one build at a time, and none while a compiler of a killed one is still at work."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(handle, True)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waiting for another build into {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def publish(release: Release, sources: Sequence[str]) -> None:
    """Puts the finished files into their places; the old stamp goes first, the new one comes last."""
    release.stamp.unlink(missing_ok=True)
    (release.output / ".downloaded").unlink(missing_ok=True)  # another program's stamp for the same files
    for file in release.files:
        place = release.output / file
        place.parent.mkdir(parents=True, exist_ok=True)
        finished = release.unfinished / place.name
        checksum = release.unfinished / f"{place.name}.sha256"
        with finished.open("rb") as stream:
            checksum.write_text(hashlib.file_digest(stream, "sha256").hexdigest())
        finished.replace(place)
        checksum.replace(place.with_name(checksum.name))
    stamp = release.unfinished / release.stamp.name
    stamp.write_text("\n".join(sources) + "\n")
    stamp.replace(release.stamp)
    shutil.rmtree(release.unfinished)


# ---- stages


def make_all(release: Release, go: Go) -> None:
    """Every file of the release, in `.unfinished`."""
    from tests.kubernetes import packing

    shutil.rmtree(release.unfinished, ignore_errors=True)
    release.unfinished.mkdir()
    workshop = Workshop(go, release.version, release.arch, release.unfinished)
    packages = {name: f"{KUBERNETES}/cmd/{name}" for name in PROGRAMS}
    tell(f"building Kubernetes {release.version} with {go.text.split()[2]}, once, some minutes: modules")
    workshop.fetch_modules("./cluster", *packages.values())
    for name, package in packages.items():
        tell(name)
        workshop.compile(package, name)
    names = packing.list_names(release.unfinished / "kubeadm", release.version)
    packing.check_pins(names)
    tell("etcd, CoreDNS and the control plane")
    workshop.compile("./cluster", "cluster")
    tell("kube-vip")
    workshop.compile_kube_vip()
    tell("images")
    workshop.compile_pause()
    packing.pack(
        (*names, packing.kube_vip_name()),
        release.unfinished,
        packing.find_debian(tell),
        release.arch,
        release.unfinished / release.images,
    )
    tell(f"done: {release.output}")


def tell(text: str) -> None:
    """One line of progress, after the seconds since the start."""
    print(f"[{time.monotonic() - _started:4.0f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
