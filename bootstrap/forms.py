"""Forms of the values in a distribution's own documents, and a reader that holds values against them. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bootstrap.sections import Path, has_reference

DURATION = re.compile(r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
Found = tuple[str, str]  # what is wrong, and a hint
Wrong = tuple[Path, str, str]  # where, what is wrong, and a hint


class Kind(StrEnum):
    """The form of a value."""

    TEXT = "text"
    BOOL = "true or false"
    INT = "a whole number"
    NUMBER = "a number"
    DURATION = "a duration"
    TEXTS = "a list of texts"
    INTS = "a list of whole numbers"
    PAIRS = "a mapping of texts"
    GATES = "a mapping of names to true or false"
    ANY = "anything"


@dataclass(frozen=True)
class Items:
    """A list of mappings of one form."""

    fields: Mapping[str, Any]
    required: tuple[str, ...] = ()


Form = Kind | Items | Mapping[str, Any]


class Reader:
    """Finds what is wrong with the fields of one document; a distribution adds what it knows of them besides forms."""

    def explain_unknown(self, path: Path, known: Mapping[str, Form]) -> Found:  # noqa: ARG002
        return f"`{path[-1]}` is unknown here", ""

    def check_place(self, path: Path) -> Found | None:  # noqa: ARG002
        """Of a known field: whether it may be given at all."""
        return None

    def check_choice(self, path: Path, value: object) -> Found | None:  # noqa: ARG002
        """Of a value of the right form: whether it is one of those that the field takes."""
        return None

    def check_list(self, path: Path, form: Items, value: object) -> Found | None:  # noqa: ARG002
        return None

    def explain_item(self, item: object) -> str:  # noqa: ARG002
        """How to write what stands in place of a mapping."""
        return ""

    def check_item(self, path: Path, form: Items, item: Mapping[str, Any]) -> Iterator[Wrong]:
        for name in form.required:
            if name not in item:
                yield path, f"{self._owner(path)} has no `{name}`", ""

    def _owner(self, path: Path) -> str:
        names = [str(part) for part in path if isinstance(part, str)]
        return f"an item of `{names[-1]}`" if names else "an item"

    def read(self, known: Mapping[str, Form], values: Mapping[str, Any], path: Path = ()) -> Iterator[Wrong]:
        for name, value in values.items():
            here = (*path, name)
            form = known.get(name)
            found = self.explain_unknown(here, known) if form is None else self.check_place(here)
            if found:
                yield here, *found
            elif form is not None:
                yield from self.read_value(form, value, here)

    def read_value(self, form: Form, value: object, path: Path) -> Iterator[Wrong]:
        if isinstance(form, Mapping):
            if isinstance(value, Mapping):
                yield from self.read(form, value, path)
            elif value is not None:
                yield path, f"`{path[-1]}` must be a mapping", f"it has {names(form)}"
        elif isinstance(form, Items):
            yield from self._read_items(form, value, path)
        elif found := check_form(path, form, value) or self.check_choice(path, value):
            yield path, *found

    def _read_items(self, form: Items, value: object, path: Path) -> Iterator[Wrong]:
        if found := self.check_list(path, form, value):
            yield path, *found
        elif not isinstance(value, list):
            yield path, f"`{path[-1]}` must be a list", f"each item has {names(form.fields)}"
        else:
            for index, item in enumerate(value):
                yield from self._read_item(form, item, (*path, index))

    def _read_item(self, form: Items, item: object, path: Path) -> Iterator[Wrong]:
        if isinstance(item, Mapping):
            yield from self.read(form.fields, item, path)
            yield from self.check_item(path, form, item)
        else:
            yield path, f"an item of `{path[-2]}` has {names(form.fields)}", self.explain_item(item)


def names(form: Mapping[str, Form]) -> str:
    return ", ".join(f"`{name}`" for name in form)


def check_form(path: Path, form: Kind, value: object) -> Found | None:
    """What is wrong with the form of one value."""
    name = path[-1]
    if value is None:
        return f"`{name}` has no value", "leave it out, or give it one"
    if form is Kind.ANY or has_reference(value) or FITS[form](value):
        return None
    if form is Kind.TEXT:
        hint = "" if isinstance(value, list | dict) else f'write it in quotes: "{plain(value)}"'
        return f"`{name}` must be text", hint
    hints = {Kind.DURATION: "such as 5m0s or 90s", Kind.PAIRS: 'each value in quotes, such as "10%"'}
    if form is Kind.GATES:
        hint = "write `Name: true`" if not isinstance(value, Mapping) else "true and false stand without quotes"
        return f"`{name}` must be {form}", hint
    return f"`{name}` must be {form}", hints.get(form, "")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)


FITS: Mapping[Kind, Callable[[Any], bool]] = {
    Kind.TEXT: lambda value: isinstance(value, str),
    Kind.BOOL: lambda value: isinstance(value, bool),
    Kind.INT: _is_whole,
    Kind.NUMBER: lambda value: _is_whole(value) or isinstance(value, float),
    Kind.DURATION: lambda value: isinstance(value, str) and bool(DURATION.fullmatch(value)),
    Kind.TEXTS: lambda value: _is_list_of(value, str),
    Kind.INTS: lambda value: _is_list_of(value, int),
    Kind.PAIRS: lambda value: isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values()),
    Kind.GATES: lambda value: isinstance(value, Mapping) and all(isinstance(each, bool) for each in value.values()),
}


def plain(value: object) -> str:
    """A value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
