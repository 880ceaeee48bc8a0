"""From a file to text that YAML may read: size, encoding, characters. Reads one file; knows nothing of its meaning."""

import re
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import InventoryError, Problem, UsageError
from bootstrap.inventory.problems import Problems
from bootstrap.model import Position

SIZE_LIMIT = 1024 * 1024  # bytes
LINE_BREAK = re.compile(r"\r\n|\r|\n")
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
LINE_SEPARATORS = "\x85\u2028\u2029"


@dataclass(frozen=True)
class Source:
    """The text of an inventory file and its lines, as an editor counts them."""

    file: str
    text: str
    lines: tuple[str, ...]


def read_source(path: Path) -> Source:
    """Read an inventory file. Raises UsageError when there is none to read, InventoryError when it is no clean text."""
    content = read_bytes(path)
    if len(content) > SIZE_LIMIT:
        raise InventoryError(
            [
                whole_file(
                    path, "the file is larger than 1 MiB", "an inventory names hosts; move payloads to files beside it"
                )
            ]
        )
    text = decode(path, content).removeprefix("\ufeff")
    lines = tuple(LINE_BREAK.split(text))
    problems = Problems(str(path), lines)
    check_characters(text, problems)
    if not problems.found and not text.strip():
        problems.add_at(
            Position(1, 1), "the file is empty", "`bootstrap schema` lists every key, and examples/ has a start"
        )
    if problems.found:
        raise InventoryError(problems.found)
    return Source(str(path), text, lines)


def read_bytes(path: Path) -> bytes:
    """At most one byte more than the limit, so that a huge file is not read."""
    try:
        with path.open("rb") as stream:
            return stream.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise UsageError(
            f"there is no file {path}", next_step="name the inventory: bootstrap validate inventories/home.yaml"
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder", next_step="name the inventory file in it") from None
    except PermissionError:
        raise UsageError(
            f"{path} can't be read: permission denied", next_step=f"ls -l {path} shows its owner and mode"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read", why=str(error)) from None


def decode(path: Path, content: bytes) -> str:
    """The bytes as UTF-8. Raises InventoryError with the place of the first byte that is none."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = LINE_BREAK.split(content[: error.start].decode().removeprefix("\ufeff"))
        line = LINE_BREAK.split(content.decode(errors="replace").removeprefix("\ufeff"))[len(before) - 1]
        problem = Problem(
            str(path), len(before), len(before[-1]) + 1, "this byte is not UTF-8", "save the file as UTF-8 text", line
        )
        raise InventoryError([problem]) from None


def check_characters(text: str, problems: Problems) -> None:
    """No characters that an editor does not show or that YAML takes for a line break."""
    for match in FORBIDDEN.finditer(text):
        before = LINE_BREAK.split(text[: match.start()])
        character = f"U+{ord(match[0]):04X}"
        kind = "line separator" if match[0] in LINE_SEPARATORS else "invisible character"
        hint = f'remove it, or write the escape "\\u{ord(match[0]):04x}" in double quotes'
        problems.add_at(Position(len(before), len(before[-1]) + 1), f"{kind} {character} in the file", hint)
        if len(problems.found) == 20:
            return


def whole_file(path: Path, message: str, hint: str) -> Problem:
    return Problem(str(path), 1, 1, message, hint)
