"""YAML text to plain values with the position of every key and value. Knows YAML, and nothing of inventories."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.scalars import Disputed, read_plain
from bootstrap.inventory.source import Source
from bootstrap.inventory.syntax import DEPTH_LIMIT, TOO_DEEP, TOO_DEEP_HINT, explain_syntax
from bootstrap.model import Position

PLAIN = ("", None)
CONTROL = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))} - {"\n", "\t", "\x85"}
LAYERS_HINT = "settings that hosts share go to the top level, to `roles:` or to `groups:`"


class Stop(Exception):  # noqa: N818 - not an error of its own: the problem is already noted
    """Reading further would make no sense."""


class Unreadable:
    """Stands for a value that is refused, and so has none."""


UNREADABLE = Unreadable()


@dataclass(frozen=True)
class Document:
    """The values of a file. `written` holds the text of each unquoted scalar that is not text."""

    value: Tree
    keys: dict[Path, Position] = field(repr=False)
    values: dict[Path, Position] = field(repr=False)
    written: dict[Path, str] = field(repr=False)

    def with_value(self, value: Tree) -> "Document":
        return replace(self, value=value)


def read_document(source: Source, problems: Problems) -> Document:
    """Read one YAML document. Mistakes go to `problems`, and what is refused is left out of the value."""
    import yaml

    document = Document({}, {}, {}, {})
    problems.keys, problems.values = document.keys, document.values
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = Reader(yaml.parse(source.text, Loader=loader), document, problems).read()
    except (yaml.YAMLError, RecursionError) as error:
        explain_syntax(error, problems)
        return document
    except Stop:
        return document
    return Document(value, document.keys, document.values, document.written)


class Reader:
    """Builds values from the events of one document."""

    def __init__(self, events: Iterator[Tree], document: Document, problems: Problems) -> None:
        self.events = events
        self.document = document
        self.problems = problems

    def read(self) -> Tree:
        """The one document of the stream; None when it is only comments."""
        next(self.events)  # the start of the stream
        if type(next(self.events)).__name__ == "StreamEndEvent":
            return None
        value = self.read_value(next(self.events), ())
        next(self.events)  # the end of the document
        following = next(self.events)
        if type(following).__name__ == "DocumentStartEvent":
            self.problems.add_at(place_of(following), "a second document begins here", "one file holds one cluster")
        return None if value is UNREADABLE else value

    def read_value(self, event: Tree, path: Path) -> Tree:
        place = place_of(event)
        self.document.values[path] = place
        if len(path) > DEPTH_LIMIT:
            self.problems.add_at(place, TOO_DEEP, TOO_DEEP_HINT)
            raise Stop
        kind = type(event).__name__
        if kind == "AliasEvent":
            self.problems.add(path, f"alias `*{event.anchor}` is not read here", LAYERS_HINT)
            return UNREADABLE
        self.check_decorations(event, path, place)
        if kind == "ScalarEvent":
            return self.read_scalar(event, path)
        return self.read_sequence(path) if kind == "SequenceStartEvent" else self.read_mapping(path)

    def check_decorations(self, event: Tree, path: Path, place: Position) -> None:
        """Anchors and tags are refused; the value that they decorate is read all the same."""
        if event.anchor is not None:
            self.problems.add_at(place, f"anchor `&{event.anchor}` is not read here", LAYERS_HINT)
        if event.tag is not None:
            hint = "write text in quotes, and everything else plainly"
            self.problems.add(path, f"tag `{event.tag.replace('tag:yaml.org,2002:', '!!')}` is not read here", hint)

    def read_scalar(self, event: Tree, path: Path) -> Tree:
        if event.style in PLAIN:
            value = read_plain(event.value)
            if isinstance(value, Disputed):
                message = f"`{value.text}` without quotes is {value.reading} to some YAML readers"
                self.problems.add(path, message, value.advice)
                return UNREADABLE
            if not isinstance(value, str):
                self.document.written[path] = event.value
            return value
        if not CONTROL.isdisjoint(event.value):
            self.problems.add(path, "the text holds a control character", "only line ends and tabs may stand in text")
            return UNREADABLE
        return event.value

    def read_sequence(self, path: Path) -> list[Tree]:
        items: list[Tree] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            value = self.read_value(event, (*path, len(items)))
            items.append(None if value is UNREADABLE else value)
        return items

    def read_mapping(self, path: Path) -> dict[str, Tree]:
        mapping: dict[str, Tree] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            key = self.read_key(event, path)
            if key is None or key in mapping:
                self.skip_value(key, place_of(event), path)
                continue
            self.document.keys[*path, key] = place_of(event)
            value = self.read_value(next(self.events), (*path, key))
            mapping[key] = value
        return {key: value for key, value in mapping.items() if value is not UNREADABLE}

    def read_key(self, event: Tree, path: Path) -> str | None:
        """The text of a key; None when it can't be one."""
        kind, place = type(event).__name__, place_of(event)
        if kind != "ScalarEvent":
            hint = "is this a template expression such as {{ name }}? The inventory is plain YAML"
            self.problems.add_at(place, "a key must be text", hint)
            self.problems.broken.update({path} - {()})
            self.skip(event)
            return None
        if event.value == "<<" and event.style in PLAIN:
            self.problems.add_at(place, "merge key `<<` is not read here", LAYERS_HINT)
            return None
        self.check_decorations(event, (*path, event.value), place)
        return self.check_key(event, place)

    def check_key(self, event: Tree, place: Position) -> str | None:
        text: str = event.value
        reading = read_plain(text) if event.style in PLAIN else text
        if reading is None or isinstance(reading, bool):
            name = "nothing" if reading is None else f"a boolean, `{text}`,"
            self.problems.add_at(place, f"{name} stands here as a key", f'write "{text}" in quotes' if text else "")
            return None
        if isinstance(reading, Disputed) and "boolean" in reading.reading:
            message = f"the key `{text}` without quotes is {reading.reading} to some YAML readers"
            self.problems.add_at(place, message, f'write "{text}" in quotes')
        if not CONTROL.isdisjoint(text):
            self.problems.add_at(place, "the key holds a control character", "remove it")
            return None
        return text

    def skip_value(self, key: str | None, place: Position, path: Path) -> None:
        if key is not None:
            first = self.document.keys[*path, key].line
            self.problems.add_at(
                place, f"`{key}` is given twice", f"the first one is on line {first}: keep one of them"
            )
        self.skip(next(self.events))

    def skip(self, event: Tree) -> None:
        """Pass over a value that has no place in the document."""
        depth = 0
        while True:
            name = type(event).__name__
            depth += name.endswith("StartEvent")
            depth -= name.endswith("EndEvent")
            if depth == 0:
                return
            event = next(self.events)


def place_of(event: Tree) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)
