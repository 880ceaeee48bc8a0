"""The repository around an inventory: its root, and the small files in it that an inventory names. Reads, never writes."""

import os
from pathlib import Path

SIZE_LIMIT = 1024 * 1024  # bytes


class FileProblem(Exception):  # noqa: N818 - becomes a Problem with a position
    """A named file can't be used; the text says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def find_root(inventory: Path) -> Path:
    """The folder that holds inventories/, or the inventory's own folder."""
    folder = inventory.absolute().parent
    return folder.parent if folder.name == "inventories" else folder


def read_repository_file(root: Path, name: str) -> str:
    """The text of a file inside the repository. Raises FileProblem for whatever is not a regular file in it."""
    if name.startswith("~") or Path(name).is_absolute():
        raise FileProblem(f"`{name}` is not inside the repository", f"give a path below {root}")
    real = Path(os.path.realpath(root / name))
    if not real.is_relative_to(os.path.realpath(root)):
        raise FileProblem(f"`{name}` leads out of the repository", f"copy the file to a place below {root}")
    return read_text_file(real, name)


def list_files(root: Path, pattern: str) -> list[tuple[str, str]]:
    """The files that a path, a folder or a pattern names, each with its path below the fixed part. Raises FileProblem."""
    if pattern.startswith(("/", "~")) or ".." in Path(pattern).parts:
        raise FileProblem(f"`{pattern}` is not inside the repository", f"give a path below {root}")
    fixed = _fixed_part(pattern)
    if fixed == pattern and not (root / pattern).is_dir():
        return [(pattern, Path(pattern).name)]
    found = (root / fixed).glob(pattern[len(fixed) :].lstrip("/") or "**/*")
    paths = sorted(path for path in found if path.is_file())
    if not paths:
        raise FileProblem(f"no file is found for `{pattern}`", f"looked below {root}")
    return [(str(path.relative_to(root)), str(path.relative_to(root / fixed))) for path in paths]


def _fixed_part(pattern: str) -> str:
    """What stands before the first folder or name with a wildcard."""
    parts = Path(pattern).parts
    wild = next((index for index, part in enumerate(parts) if set(part) & set("*?[]")), len(parts))
    return str(Path(*parts[:wild])) if wild else "."


def list_stacks(root: Path, folder: str) -> list[str]:
    """The *.yaml of each folder in a folder, as `stack/name.yaml`. Raises FileProblem for what would be passed over."""
    files = [place for _, place in list_files(root, folder.rstrip("/"))] if (root / folder).is_dir() else []
    if not files:
        raise FileProblem(f"`{folder}` is no folder with manifests", "it holds a folder for each stack, with *.yaml")
    for place in files:
        if len(Path(place).parts) != 2:
            raise FileProblem(
                f"`{place}` in `{folder}` is in no stack", "each folder in it is a stack, and has no folders"
            )
        if not place.endswith(".yaml"):
            raise FileProblem(f"`{place}` in `{folder}` would be passed over", "k0s applies files named *.yaml")
    return files


def is_executable(root: Path, name: str) -> bool:
    return os.access(root / name, os.X_OK)


def read_text_file(path: Path, name: str) -> str:
    """A regular file of at most 1 MiB as text, called `name` in messages. Raises FileProblem."""
    try:
        if path.is_dir():
            raise FileProblem(f"`{name}` is a folder")
        if not path.exists():
            raise FileProblem(f"there is no file `{name}`", f"looked for {path}")
        if not path.is_file():
            raise FileProblem(f"`{name}` is not a regular file")
        if path.stat().st_size > SIZE_LIMIT:
            raise FileProblem(f"`{name}` is larger than 1 MiB")
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        raise FileProblem(f"`{name}` is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FileProblem(f"`{name}` can't be read: {reason.lower()}") from None
    if "\0" in text:
        raise FileProblem(f"`{name}` holds a NUL byte, so it is no text")
    return text


def locate(root: Path, home: str, name: str) -> Path:
    """A path as people write it: from the root, absolute, or in the home folder."""
    if name == "~" or name.startswith("~/"):
        return Path(home) / name[2:]
    return root / name
