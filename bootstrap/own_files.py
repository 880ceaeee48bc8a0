"""Files of the repository that go to hosts as they are: programs and archives of images. Reads them, and nothing else."""

from collections.abc import Iterable
from pathlib import Path

from bootstrap.cache import hash_chunks, read_chunks
from bootstrap.driver import UpstreamFile
from bootstrap.errors import LockError
from bootstrap.lock import own_path
from bootstrap.model import LockedFile


def lock_own_files(files: Iterable[UpstreamFile], root: Path) -> tuple[LockedFile, ...]:
    """The identity of each file as it lies in the repository. Raises LockError for one that does not."""
    return tuple(_lock(file, root) for file in files)


def _lock(file: UpstreamFile, root: Path) -> LockedFile:
    sha256, size = hash_chunks(read_chunks(_find(file.url, root)))
    return LockedFile(file.name, file.version, file.arch, file.url, size, sha256)


def obtain_own_file(file: LockedFile, root: Path) -> Path:
    """The file in the repository. Raises LockError when its bytes are not the locked ones."""
    place = _find(file.url, root)
    if hash_chunks(read_chunks(place)) != (file.sha256, file.size):
        raise LockError(
            "a file of the repository is not the one that was locked",
            where=str(place),
            next_step="run `bootstrap lock` if it was changed on purpose, and look at the diff",
        )
    return place


def _find(url: str, root: Path) -> Path:
    place = root / (own_path(url) or "")
    if not place.is_file() or not place.stat().st_size:
        raise LockError(
            "a file of the repository is missing or empty",
            where=str(place),
            next_step="put it there: the inventory names it",
        )
    return place
