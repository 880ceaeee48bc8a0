"""Resolves what upstream publishes into locked files: the only place that believes a checksum it was given."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from bootstrap.cache import hash_chunks, looks_like_a_page, read_chunks
from bootstrap.driver import UpstreamFile
from bootstrap.errors import LockError
from bootstrap.lock import image_of, parse_checksums
from bootstrap.mirror import as_folder, file_name, find_in_folder, is_web, list_addresses, missing_from
from bootstrap.model import LockedFile
from bootstrap.registry import read_manifest
from bootstrap.web import CutError, MissingError, WebError, exists, measure, open_url, read_small

_LARGEST_CHECKSUMS = 1 << 20  # bytes

Note = Callable[[str], None]


class Source(Protocol):
    """Where a release is read from."""

    def find(self, url: str) -> str:
        """The place of upstream's `url` here. Raises MissingError."""
        ...

    def read_checksums(self, place: str, url: str) -> dict[str, str]:
        """Upstream's checksum file `url`, as it lies beside `place`, parsed. Raises MissingError."""
        ...

    def identify(self, place: str, expected: str | None) -> tuple[str, int]:
        """sha256 and size of the file; `expected` is what the checksum file says of it."""
        ...


def lock_files(
    upstream: Sequence[UpstreamFile], version: str, mirror: str | None, *, note: Note = lambda _: None
) -> tuple[LockedFile, ...]:
    """The identity of each file: from upstream's checksum files, or from a mirror whose files are hashed as well.

    `version` is the cluster's, for the files that have none of their own.
    The mirror is only a source: the locked `url` is upstream's. `note` gets a line for whatever a person should
    know, such as a hash that no checksum file confirms. Raises LockError for a required file that is missing
    (with the places that were searched), and for bytes that contradict their checksum file.
    """
    registry = Registry()

    def choose(file: UpstreamFile) -> Source:
        return registry if image_of(file.url) else _choose_source(file.version or version, mirror)

    locked = (_lock_file(file, file.version or version, choose(file), note) for file in upstream)
    return tuple(file for file in locked if file is not None)


def _choose_source(version: str, mirror: str | None) -> Source:
    if mirror is None:
        return Web()
    return WebMirror(mirror, version) if is_web(mirror) else Folder(mirror, version)


def _lock_file(file: UpstreamFile, version: str, source: Source, note: Note) -> LockedFile | None:
    label = f"{file.name} {version} {file.arch}"
    try:
        place = source.find(file.url)
        sha256, size = source.identify(place, _expected_hash(file, place, source, note))
    except MissingError as error:
        if file.optional:
            note(f"{label}: not published there, left out")
            return None
        raise LockError(
            f"{label} was not found",
            where=error.where,
            why=error.why,
            next_step="check that this version exists for this architecture, and that a mirror holds it",
        ) from error
    except WebError as error:
        if file.optional and isinstance(source, Registry):
            note(f"{label}: {error.what}, so its digest is not locked ({error.where}: {error.why})")
            return None
        raise LockError(
            f"{label} can't be locked: {error.what}",
            where=error.where,
            why=error.why,
            next_step=error.next_step or "check the network, or name a folder that holds the release as `mirror:`",
        ) from error
    return LockedFile(file.name, version, file.arch, file.url, size, sha256)


def _expected_hash(file: UpstreamFile, place: str, source: Source, note: Note) -> str | None:
    """What the checksum file says; None when upstream publishes none, or a mirror does not hold it."""
    if file.checksum_url is None:
        return None
    name = file_name(file.url)
    try:
        checksums = source.read_checksums(place, file.checksum_url)
    except MissingError:
        if isinstance(source, Web):
            raise
        note(f"{place}: no {file_name(file.checksum_url)} beside it; locked by its own hash, which nothing confirms")
        return None
    expected = checksums.get(name) or checksums.get("")
    if expected is None and file.optional:
        raise MissingError(f"{name} is not listed", where=file.checksum_url)
    if expected is None:
        raise LockError(
            f"the checksum file does not list {name}",
            where=file.checksum_url,
            why=f"it lists {', '.join(sorted(checksums)) or 'nothing'}",
        )
    return expected


class Web:
    """Upstream itself: its checksums are taken, its files are measured and read only where no checksum is published."""

    def find(self, url: str) -> str:
        return url

    def read_checksums(self, place: str, url: str) -> dict[str, str]:  # noqa: ARG002
        return _read_checksums(url)

    def identify(self, place: str, expected: str | None) -> tuple[str, int]:
        return (expected, measure(place)) if expected else _hash_address(place)


class Registry:
    """Container registries: an image is locked as its manifest, whose sha256 is the image's digest.

    One that can't be reached is not asked for each image: every answer that does not come costs a time-out.
    """

    def __init__(self) -> None:
        self.silent: dict[str, CutError] = {}

    def find(self, url: str) -> str:
        return url

    def read_checksums(self, place: str, url: str) -> dict[str, str]:
        raise MissingError("a registry publishes no checksum files", where=url, why=place)

    def identify(self, place: str, expected: str | None) -> tuple[str, int]:  # noqa: ARG002 - none is published
        host = urlsplit(place).netloc
        if host in self.silent:
            raise self.silent[host]
        try:
            return read_manifest(place)
        except CutError as error:
            self.silent[host] = error
            raise


class WebMirror:
    """A web server that holds a copy of the release: every file is read and compared."""

    def __init__(self, mirror: str, version: str) -> None:
        self.mirror, self.version = mirror, version

    def find(self, url: str) -> str:
        for address in list_addresses(self.mirror, self.version, url):
            if exists(address):
                return address
        raise missing_from(self.mirror, self.version, url)

    def read_checksums(self, place: str, url: str) -> dict[str, str]:
        return _read_checksums(f"{place.rpartition('/')[0]}/{quote(file_name(url))}")

    def identify(self, place: str, expected: str | None) -> tuple[str, int]:
        return _compare(place, _hash_address(place), expected)


class Folder:
    """A folder that holds a copy of the release: every file is read and compared."""

    def __init__(self, mirror: str, version: str) -> None:
        self.mirror, self.version = str(as_folder(mirror)), version

    def find(self, url: str) -> str:
        found = find_in_folder(self.mirror, self.version, url)
        if found is None:
            raise missing_from(self.mirror, self.version, url)
        return str(found)

    def read_checksums(self, place: str, url: str) -> dict[str, str]:
        path = Path(place).with_name(file_name(url))
        if not path.is_file():
            raise MissingError("no such file", where=str(path))
        return parse_checksums(path.read_text(errors="replace"))

    def identify(self, place: str, expected: str | None) -> tuple[str, int]:
        try:
            return _compare(place, _identify(place, read_chunks(Path(place))), expected)
        except OSError as error:
            raise LockError("can't read the mirror's file", where=place, why=str(error)) from error


def _read_checksums(url: str) -> dict[str, str]:
    return parse_checksums(read_small(url, limit=_LARGEST_CHECKSUMS).decode("utf-8", "replace"))


def _hash_address(url: str) -> tuple[str, int]:
    with open_url(url) as response:
        return _identify(url, response.chunks())


def _identify(place: str, chunks: Iterable[bytes]) -> tuple[str, int]:
    sha256, size = hash_chunks(_checked(place, chunks))
    if not size:
        raise LockError("the file is empty", where=place)
    return sha256, size


def _checked(place: str, chunks: Iterable[bytes]) -> Iterable[bytes]:
    """The chunks as they come, unless they begin like a log-in page: nothing else guards a file without checksum."""
    for number, chunk in enumerate(chunks):
        if number == 0 and looks_like_a_page(chunk):
            raise LockError("a web page lies where the file should be", where=place)
        yield chunk


def _compare(place: str, found: tuple[str, int], expected: str | None) -> tuple[str, int]:
    if expected is not None and found[0] != expected:
        raise LockError(
            "the bytes contradict the checksum file",
            where=place,
            why=f"sha256 {found[0]} instead of {expected}",
            next_step="the mirror is damaged or mixes versions: copy the release again",
        )
    return found
