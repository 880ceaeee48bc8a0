"""Where in a mirror a release's file may lie: a folder or a web address in the release's own layout, more or less."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bootstrap.errors import LockError
from bootstrap.web import MissingError

_DEPTH = 4  # folders below the mirror that are searched for one named like the version


def is_web(mirror: str) -> bool:
    return mirror.lower().startswith(("http://", "https://"))


def find_in_folder(mirror: str, version: str, url: str) -> Path | None:
    """The file of `url` in a mirror folder: in one of the usual places, or in any folder named like the version.

    Raises LockError when the mirror is no folder.
    """
    root = as_folder(mirror)
    places = (folder / file_name(url) for folder in _folders(root, version, url))
    return next((place for place in places if place.is_file()), None)


def list_addresses(mirror: str, version: str, url: str) -> tuple[str, ...]:
    """Where the file of `url` may be on a web mirror, likeliest first. Raises LockError when a login is in it."""
    parts = urlsplit(mirror)
    if parts.username or parts.password:
        raise LockError("a mirror's address can't hold a login", where=parts.hostname or "mirror")
    root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    name = urlsplit(url).path.rsplit("/", 1)[-1]
    folders = (quote(folder) for folder in list_places(version, url))
    return tuple("/".join(filter(None, (root, folder, name))) for folder in folders)


def list_places(version: str, url: str) -> tuple[str, ...]:
    """Folders below a mirror, likeliest first: upstream's whole path, shorter forms of it, last the mirror itself.

    The most telling places come first: a bare `k3s` at the top of a mirror may be of any version. What upstream has
    below the version, such as `bin/linux/arm64`, is kept in every form: files of all architectures are named alike.
    """
    path = urlsplit(url).path.strip("/").rpartition("/")[0]
    owner, project = (*path.split("/"), "", "")[:2]
    below = _below_version(unquote(path), version)
    places = [unquote(path), path]
    for spelling in _spellings(version):
        release = f"releases/download/{spelling}"
        shorter = (f"{owner}/{project}/{release}", release, f"{project}/{spelling}", spelling)
        places += [f"{place}/{below}" for place in shorter]
    return tuple(dict.fromkeys(place.strip("/") for place in (*places, below)))


def _below_version(path: str, version: str) -> str:
    """`bin/linux/amd64` of `release/v1.36.3/bin/linux/amd64`."""
    parts = path.split("/")
    return "/".join(parts[parts.index(version) + 1 :]) if version in parts else ""


def missing_from(mirror: str, version: str, url: str) -> MissingError:
    """Says where the file of `url` was looked for."""
    places = ", ".join(place or "." for place in list_places(version, url))
    return MissingError("no such file in the mirror", where=mirror, why=f"{file_name(url)} was looked for in {places}")


def file_name(url: str) -> str:
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]


def as_folder(mirror: str) -> Path:
    """The folder that a mirror names, also as file://. Raises LockError when there is none."""
    path = Path(unquote(urlsplit(mirror).path) if mirror.startswith("file://") else mirror).expanduser()
    if not path.is_dir():
        raise LockError(
            "the mirror is no folder", where=mirror, next_step="give a folder that exists, or an http(s):// address"
        )
    return path


def _spellings(version: str) -> tuple[str, ...]:
    """Tools that mirror a release by its address keep `+` as `%2B` in folder names."""
    return tuple(dict.fromkeys((version, version.replace("+", "%2B"))))


def _folders(root: Path, version: str, url: str) -> Iterator[Path]:
    *places, below = list_places(version, url)
    yield from (root / place for place in places)
    yield from (folder / below for folder in _named_like(root, version))
    yield root / below


def _named_like(root: Path, version: str) -> Iterator[Path]:
    names = set(_spellings(version))
    for folder, below, _ in os.walk(root):
        here = Path(folder)
        yield from (here / name for name in sorted(names.intersection(below)))
        below[:] = sorted(below) if len(here.relative_to(root).parts) < _DEPTH - 1 else []
