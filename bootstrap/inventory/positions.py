"""Finds where a reference stands, for messages about values that are looked up long after the file was read."""

from collections.abc import Iterator
from pathlib import Path as FilePath

from bootstrap.inventory.repository import FileProblem, find_root, read_repository_file
from bootstrap.inventory.source import LINE_BREAK
from bootstrap.inventory.tree import scalars
from bootstrap.model import Inventory, Position


def find_reference(inventory: Inventory, text: str) -> tuple[str, Position, str]:
    """File, position and source line of a reference: in the inventory, or in a file that it names by `source:`."""
    lines = read_lines(FilePath(inventory.file))
    start = next(
        (inventory.positions.get(path) for path, value in scalars(inventory.document) if text in str(value)), None
    )
    if found := search(lines, text, start.line if start else 1):
        return inventory.file, found, lines[found.line - 1]
    for name in sources(inventory):
        in_source = read_source_lines(inventory, name)
        if found := search(in_source, text, 1):
            return name, found, in_source[found.line - 1]
    place = start or Position(1, 1)
    return inventory.file, place, lines[place.line - 1] if place.line <= len(lines) else ""


def search(lines: list[str], text: str, first: int) -> Position | None:
    """The first place of a text at or below a line, comments aside."""
    for number, line in enumerate(lines[first - 1 :], first):
        if text in line and not line.lstrip().startswith("#"):
            return Position(number, line.index(text) + 1)
    return None


def sources(inventory: Inventory) -> Iterator[str]:
    """The files of the repository that the inventory names."""
    for path, value in scalars(inventory.document):
        if path[-1:] == ("source",) and isinstance(value, str):
            yield value


def read_lines(path: FilePath) -> list[str]:
    try:
        return LINE_BREAK.split(path.read_text(encoding="utf-8").removeprefix("\ufeff"))
    except (OSError, ValueError):
        return []


def read_source_lines(inventory: Inventory, name: str) -> list[str]:
    try:
        return LINE_BREAK.split(read_repository_file(find_root(FilePath(inventory.file)), name))
    except FileProblem:
        return []
