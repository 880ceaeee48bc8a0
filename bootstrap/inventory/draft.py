"""An inventory on its way: the document with what fits, and its hosts with ranges filled in. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from bootstrap.inventory.layers import Layer, all_layers, layers_of
from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.values import Unfit

Value = TypeVar("Value")
HARMLESS = ("address", "node_address", "node_interface")  # fields of a host without a say in its role


@dataclass(frozen=True)
class Draft:
    """What the checks look at. Everything in it has the shape that the schema wants, but a required key may be absent."""

    document: Mapping[str, Tree]
    entries: Sequence[Entry]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(all_layers(self.document, self.entries))

    def roles_are_known(self, problems: Problems) -> bool:
        """Whether hosts can be counted by role: nothing is wrong with a host's entry, its role or an unknown key of it."""
        broken = (path for path in problems.broken if path[:1] == ("hosts",))
        return not any(len(path) < 3 or (len(path) == 3 and path[2] not in HARMLESS) for path in broken)

    def layers_of(self, entry: Entry) -> tuple[Layer, ...]:
        return layers_of(self.document, entry)


def attempt(problems: Problems, path: Path, parse: Callable[[Tree], Value], value: Tree) -> Value | None:
    """The parsed value; None, and a problem at its path, when it can't be parsed."""
    try:
        return parse(value)
    except Unfit as error:
        problems.add(path, str(error), error.hint)
        return None


def attempt_key(problems: Problems, path: Path, parse: Callable[[Tree], Value], value: Tree) -> Value | None:
    """Like `attempt`, for a text that is a key."""
    try:
        return parse(value)
    except Unfit as error:
        problems.add_at_key(path, str(error), error.hint)
        return None
