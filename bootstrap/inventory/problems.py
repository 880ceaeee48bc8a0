"""Collects mistakes with their places in the file, so that all of them are told at once. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bootstrap.errors import Problem
from bootstrap.model import Position

Path = tuple[str | int, ...]
ENOUGH = 1000  # problems: nobody reads more of them
LONGEST_MESSAGE = 500  # characters
Tree = Any  # what a YAML document holds: text, numbers, booleans, None, lists and mappings of these


class Problems:
    """The mistakes found so far. What is known to be wrong at a path silences later findings at or below it."""

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self.file = file
        self.lines = lines
        self.keys: Mapping[Path, Position] = {}
        self.values: Mapping[Path, Position] = {}
        self.found: list[Problem] = []
        self.broken: set[Path] = set()
        self._known: set[Problem] = set()

    def add_at(self, position: Position, message: str, hint: str = "") -> None:
        """A mistake at a place that need not belong to a value."""
        if position.line > len(self.lines):  # libyaml counts one line more where the last one has no line end
            position = Position(len(self.lines), len(self.lines[-1]) + 1)
        source = self.lines[position.line - 1]
        problem = Problem(self.file, position.line, position.column, shorten(message), shorten(hint), source)
        if problem not in self._known:
            self._known.add(problem)
            self.found.append(problem)

    def add(self, path: Path, message: str, hint: str = "") -> None:
        """A mistake in the value at a path."""
        if not self.is_broken(path):
            self.add_at(self.value_position(path), message, hint)
            self.broken.add(path)

    def add_at_key(self, path: Path, message: str, hint: str = "") -> None:
        """A mistake in the key at a path, or in a mapping as a whole."""
        if not self.is_broken(path):
            self.add_at(self.key_position(path), message, hint)
            self.broken.add(path)

    @property
    def are_enough(self) -> bool:
        """Whether looking for more is a waste of time."""
        return len(self.found) >= ENOUGH

    def is_broken(self, path: Path) -> bool:
        """Whether a mistake was found at this path or above it."""
        return any(path[:length] in self.broken for length in range(len(path) + 1))

    def touches(self, path: Path) -> bool:
        """Whether a mistake was found at this path, above it or below it."""
        return self.is_broken(path) or any(broken[: len(path)] == path for broken in self.broken)

    def value_position(self, path: Path) -> Position:
        return self._nearest(path, (self.values, self.keys))

    def key_position(self, path: Path) -> Position:
        return self._nearest(path, (self.keys, self.values))

    def line_of(self, path: Path) -> int:
        return self.key_position(path).line

    def _nearest(self, path: Path, tables: Iterable[Mapping[Path, Position]]) -> Position:
        for length in range(len(path), -1, -1):
            for table in tables:
                if path[:length] in table:
                    return table[path[:length]]
        return Position(1, 1)


def shorten(text: str) -> str:
    """Words for a terminal: a message may hold a value, and a value may be long."""
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."
