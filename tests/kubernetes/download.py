"""Downloads the release of Kubernetes into a mirror folder, in the layout that build.py fills: programs and their images.

Interrupted and run again, it goes on with the files that are whole; after that nothing is asked until a file is missing.
"""

import argparse
import hashlib
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))  # it is run as a script too

from bootstrap.errors import BootstrapError  # noqa: E402
from bootstrap.images import Stored, StoredImage, write_stored  # noqa: E402
from bootstrap.lock import API_HOSTS, parse_checksums  # noqa: E402
from bootstrap.registry import INDEX_TYPES, Manifest, Repository  # noqa: E402
from bootstrap.web import open_url, read_small  # noqa: E402
from tests.kubernetes import packing  # noqa: E402
from tests.kubernetes.build import KUBERNETES, MACHINES, PROGRAMS, Release, locked, tell  # noqa: E402
from tests.kubernetes.toolchain import BuildError, pinned  # noqa: E402

PLACE = "https://dl.k8s.io/release"
STAMP = ".downloaded"


def find_registry(image: str) -> str:
    """The URL of an image's repository."""
    host, _, path = image.rpartition(":")[0].partition("/")
    return f"https://{API_HOSTS.get(host, host)}/v2/{path}"


@dataclass(frozen=True)
class Download:
    """One release, where it is read from, and the folder that it fills."""

    release: Release
    place: str = PLACE
    find_registry: Callable[[str], str] = field(default=find_registry)

    @property
    def folder(self) -> Path:
        return self.release.output

    @property
    def stamp(self) -> Path:
        """There while all files are whole."""
        return self.folder / STAMP

    @property
    def blobs(self) -> Path:
        """Whole blobs only, named by their sha256."""
        return self.release.unfinished / "blobs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line. Exit code 1 and a message on stderr when something can't be had, 130 when interrupted."""
    parser = argparse.ArgumentParser(description="Downloads Kubernetes into a mirror folder.")
    parser.add_argument("--version", default=pinned(KUBERNETES), help="default: %(default)s")
    parser.add_argument("--arch", default=MACHINES.get(platform.machine()), choices=sorted(MACHINES.values()))
    parser.add_argument("--output", type=Path, required=True, help="the folder to fill")
    given = parser.parse_args(arguments)
    try:
        download(Download(Release(given.version, given.arch, given.output.absolute())))
    except (BuildError, BootstrapError, OSError) as error:
        print(f"download.py: {error}; what is whole is kept: run it again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("download.py: interrupted; the next run goes on with what is whole", file=sys.stderr)
        return 130
    return 0


def download(task: Download) -> None:
    """Fills the folder unless its stamp says that it is full. Raises BuildError, LockError, OSError."""
    if task.release.arch != MACHINES.get(platform.machine()):
        raise BuildError(
            f"this machine is {platform.machine()}: it can't ask kubeadm of {task.release.arch} for its images"
        )
    if is_full(task):
        return
    task.folder.mkdir(parents=True, exist_ok=True)
    with locked(task.folder):
        if is_full(task):
            return
        tell(f"downloading Kubernetes {task.release.version}")
        task.stamp.unlink(missing_ok=True)
        task.release.stamp.unlink(missing_ok=True)  # what was built here makes way
        task.blobs.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:
            fetch_program(task, name)
        fetch_images(task)
        task.stamp.write_text(describe(task))
        shutil.rmtree(task.release.unfinished)
        tell(f"done: {task.folder}")


def is_full(task: Download) -> bool:
    complete = all((task.folder / name).is_file() for name in task.release.files)
    return complete and task.stamp.is_file() and task.stamp.read_text() == describe(task)


def describe(task: Download) -> str:
    return f"{task.release.version} {task.release.arch}\n"


# ---- programs


def fetch_program(task: Download, name: str) -> None:
    file = f"bin/linux/{task.release.arch}/{name}"
    url, place = f"{task.place}/{task.release.version}/{file}", task.folder / file
    expected = parse_checksums(read_small(f"{url}.sha256").decode("utf-8", "replace")).get("")
    if expected is None:
        raise BuildError(f"{url}.sha256 holds no checksum")
    if place.is_file() and hash_file(place) == expected:
        tell(f"{name}: it is there")
    else:
        tell(name)
        with open_url(url) as answer:
            store(task.release.unfinished / name, answer.chunks(), expected, url)
        (task.release.unfinished / name).chmod(0o755)
        place.parent.mkdir(parents=True, exist_ok=True)
        (task.release.unfinished / name).replace(place)
    place.with_name(f"{name}.sha256").write_text(expected)


def store(place: Path, chunks: Iterable[bytes], expected: str, source: str) -> None:
    """A file of these bytes, and of no others. Raises BuildError."""
    partial, total = place.with_name(f"{place.name}.partial"), hashlib.sha256()
    with partial.open("wb") as stream:
        for chunk in chunks:
            total.update(chunk)
            stream.write(chunk)
    if total.hexdigest() != expected:
        partial.unlink()
        raise BuildError(f"{source} has sha256 {total.hexdigest()} instead of {expected}")
    partial.replace(place)


def hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# ---- images


def fetch_images(task: Download) -> None:
    """Every image that this kubeadm asks for, and kube-vip's, as one archive."""
    place = task.folder / task.release.images
    kubeadm = task.folder / f"bin/linux/{task.release.arch}/kubeadm"
    names = (*packing.list_names(kubeadm, task.release.version), packing.kube_vip_name())
    images, blobs = [], {}
    for name in names:
        tell(name)
        image, needed = fetch_image(task, name)
        images.append(image)
        blobs |= {digest: stored(task.blobs / digest.removeprefix("sha256:")) for digest in needed}
    tell("the archive of images")
    finished = task.release.unfinished / place.name
    with finished.open("wb") as stream:
        write_stored(images, task.release.arch, blobs, stream)
    checksum = task.release.unfinished / f"{place.name}.sha256"
    checksum.write_text(hash_file(finished))
    finished.replace(place)
    checksum.replace(place.with_name(checksum.name))


def stored(path: Path) -> Stored:
    return Stored(path.stat().st_size, lambda: path.open("rb"))


def fetch_image(task: Download, name: str) -> tuple[StoredImage, tuple[str, ...]]:
    """The image for one architecture, and the digests of all its blobs, which then lie in the folder of blobs."""
    repository = Repository(task.find_registry(name))
    manifest = choose_manifest(repository, repository.read_manifest(name.rpartition(":")[2]), task.release.arch, name)
    store(task.blobs / manifest.sha256, [manifest.content], manifest.sha256, name)
    parts = [str(part["digest"]) for part in list_parts(manifest, name)]
    for digest in dict.fromkeys(parts):
        algorithm, _, sha256 = digest.partition(":")
        if algorithm != "sha256" or len(sha256) != 64 or not sha256.isalnum():
            raise BuildError(f"{name} has a part with the digest {digest}, which can't be compared")
        if not (task.blobs / sha256).is_file():
            store(task.blobs / sha256, repository.read_blob(digest), sha256, f"{name}: {digest}")
    image = StoredImage(name, manifest.media_type, manifest.digest, len(manifest.content))
    return image, (manifest.digest, *parts)


def choose_manifest(repository: Repository, found: Manifest, arch: str, name: str) -> Manifest:
    """Of an index the entry for Linux on `arch`."""
    if found.media_type not in INDEX_TYPES:
        return found
    for entry in found.fields.get("manifests") or ():
        platform_of = entry.get("platform") or {}
        if (platform_of.get("os"), platform_of.get("architecture")) == ("linux", arch):
            return repository.read_manifest(entry["digest"])
    raise BuildError(f"{name} is not there for {arch}")


def list_parts(manifest: Manifest, name: str) -> Iterator[dict[str, object]]:
    """The descriptors of the configuration and of the layers."""
    fields = manifest.fields
    if not isinstance(fields.get("config"), dict) or not isinstance(fields.get("layers"), list):
        raise BuildError(f"{name} has a manifest of an unknown form: {manifest.media_type}")
    yield fields["config"]
    yield from fields["layers"]


if __name__ == "__main__":
    sys.exit(main())
