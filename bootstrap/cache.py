"""The cache of locked files on this machine: one folder per sha256, nothing in it believed without its hash."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bootstrap.errors import LockError
from bootstrap.model import LockedFile

CHUNK = 1 << 20
PARTIAL = ".partial"  # what a cut download left; the hash of the whole decides whether it was of use


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """One download of a file at a time; the lock is the folder itself and ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while not _try_lock(descriptor):
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Also true where a folder can't be locked (some network disks): then two may download the same bytes."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_good(cached: Path, file: LockedFile) -> bool:
    """The cached bytes are the locked ones; hashed anew whenever the file is not the one stamped last."""
    if not cached.is_file():
        return False
    if _read_stamp(cached) == _make_stamp(cached):
        return True
    if cached.stat().st_size != file.size or hash_chunks(read_chunks(cached))[0] != file.sha256:
        cached.unlink()
        return False
    _write_stamp(cached)
    return True


def _stamp_path(cached: Path) -> Path:
    return cached.with_name(".stamp")


def _make_stamp(cached: Path) -> list[int]:
    status = cached.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _read_stamp(cached: Path) -> object:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(_stamp_path(cached).read_text())
    return None


def _write_stamp(cached: Path) -> None:
    _stamp_path(cached).write_text(json.dumps(_make_stamp(cached)))


def store(file: LockedFile, chunks: Iterable[bytes], folder: Path, source: str, *, start: int = 0) -> None:
    """Make `chunks` the cached file; with `start` they follow that many bytes of the partial file.

    Hashed while they arrive and never more of them than the lock says. Raises LockError when they are not the
    locked bytes, and leaves nothing of them; when `chunks` raises, the partial file stays.
    """
    partial = folder / PARTIAL
    total, size = hashlib.sha256(), 0
    with partial.open("r+b" if start else "wb") as stream:
        while size < start and (old := stream.read(min(CHUNK, start - size))):
            total.update(old)
            size += len(old)
        stream.truncate()
        for chunk in chunks:
            _refuse_page(chunk if size == 0 else b"", file, source, partial)
            size += len(chunk)
            if size > file.size:
                break
            stream.write(chunk)
            total.update(chunk)
        stream.flush()
        os.fsync(stream.fileno())
    if size != file.size or total.hexdigest() != file.sha256:
        partial.unlink()
        raise differs(file, source, _explain(file, size, total.hexdigest()))
    partial.replace(folder / file.file_name)
    _write_stamp(folder / file.file_name)


def refuse_full_disk(file: LockedFile, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < file.size:
        raise LockError(
            f"no room for {label(file)}",
            where=str(folder),
            why=f"{file.size} bytes are needed, {free} are free",
            next_step="make room, or remove old files from the cache",
        )


def differs(file: LockedFile, source: str, why: str) -> LockError:
    return LockError(
        f"the bytes of {label(file)} differ from the lock",
        where=source,
        why=why,
        next_step="the source is damaged or holds something else: mend it; lock anew only if upstream really changed",
    )


def label(file: LockedFile) -> str:
    return f"{file.name} {file.version} {file.arch}"


def read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def hash_chunks(chunks: Iterable[bytes]) -> tuple[str, int]:
    """sha256 in hex, and the number of bytes."""
    total, size = hashlib.sha256(), 0
    for chunk in chunks:
        total.update(chunk)
        size += len(chunk)
    return total.hexdigest(), size


def looks_like_a_page(start: bytes) -> bool:
    """Log-in pages and error pages come with 200 where a file should be."""
    return start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def _refuse_page(start: bytes, file: LockedFile, source: str, partial: Path) -> None:
    if looks_like_a_page(start):
        partial.unlink()
        raise differs(file, source, "it is a web page")


def _explain(file: LockedFile, size: int, sha256: str) -> str:
    if size != file.size:
        return f"{'more than ' if size > file.size else ''}{min(size, file.size)} bytes instead of {file.size}"
    return f"sha256 {sha256} instead of {file.sha256}"
