"""Brings locked files into the cache, from a mirror or from upstream. The hash decides, so any source will do."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bootstrap.cache import PARTIAL, alone_in, differs, is_good, label, read_chunks, refuse_full_disk, store
from bootstrap.errors import LockError
from bootstrap.mirror import find_in_folder, is_web, list_addresses, missing_from
from bootstrap.model import LockedFile
from bootstrap.web import CutError, MissingError, Response, WebError, open_url

ATTEMPTS = 3

Note = Callable[[str], None]
Source = Callable[[LockedFile, Path, Note], None]


def obtain(file: LockedFile, mirror: str | None, cache: Path, *, note: Note = lambda _: None) -> Path:
    """The file on this machine, with exactly the locked bytes: from the cache, the mirror, or upstream.

    Safe to call from several threads and processes. `note` gets a line for each download. Raises LockError:
    when a source's bytes differ from the lock (no other source is tried then), or when no source has it.
    """
    folder = cache.expanduser() / file.sha256
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone_in(folder):
            cached = folder / file.file_name
            if not is_good(cached, file):
                refuse_full_disk(file, folder)
                _fetch(file, mirror, folder, note)
            return cached
    except OSError as error:
        raise LockError(f"can't bring {label(file)} into the cache", where=str(folder), why=str(error)) from error


def _fetch(file: LockedFile, mirror: str | None, folder: Path, note: Note) -> None:
    failures: list[str] = []
    for source in _sources(mirror):
        try:
            return source(file, folder, note)
        except WebError as error:
            failures.append(f"{error.where}: {error.what}{f' ({error.why})' if error.why else ''}")
    raise LockError(
        f"can't get {label(file)}",
        why="; ".join(failures),
        next_step=f"check the network, or put {file.file_name} into a mirror folder and name it as `mirror:`",
    )


def _sources(mirror: str | None) -> Iterator[Source]:
    if mirror:
        yield partial(_from_web_mirror if is_web(mirror) else _from_folder, mirror)
    yield _from_upstream


def _from_folder(mirror: str, file: LockedFile, folder: Path, note: Note) -> None:
    found = find_in_folder(mirror, file.version, file.url)
    if found is None:
        raise missing_from(mirror, file.version, file.url)
    note(f"copying {label(file)} from {found}")
    store(file, read_chunks(found), folder, str(found))


def _from_web_mirror(mirror: str, file: LockedFile, folder: Path, note: Note) -> None:
    for address in list_addresses(mirror, file.version, file.url):
        with contextlib.suppress(MissingError):
            return _download(file, address, folder, note)
    raise missing_from(mirror, file.version, file.url)


def _from_upstream(file: LockedFile, folder: Path, note: Note) -> None:
    _download(file, file.url, folder, note)


def _download(file: LockedFile, address: str, folder: Path, note: Note) -> None:
    """Up to three attempts, each going on where the last one was cut."""
    import stamina
    import stamina.instrumentation

    stamina.instrumentation.set_on_retry_hooks(())  # its default writes log lines of its own
    for attempt in stamina.retry_context(on=CutError, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=5):
        with attempt:
            _attempt(file, address, folder, note)


def _attempt(file: LockedFile, address: str, folder: Path, note: Note) -> None:
    kept = folder / PARTIAL
    have = kept.stat().st_size if kept.is_file() else 0
    offset = have if have < file.size else 0
    try:
        with open_url(address, offset=offset) as response:
            note(f"downloading {label(file)} from {address}")
            _refuse_other_size(file, response)
            store(file, response.chunks(), folder, address, start=response.offset)
    except LockError as error:
        if not offset or isinstance(error, (CutError, MissingError)):
            raise
        kept.unlink(missing_ok=True)
        raise CutError("what was cut can't be continued", where=address, why=str(error.why)) from error


def _refuse_other_size(file: LockedFile, response: Response) -> None:
    if response.length is not None and response.offset + response.length != file.size:
        size = response.offset + response.length
        raise differs(file, response.url, f"{size} bytes of {response.content_type} instead of {file.size}")
