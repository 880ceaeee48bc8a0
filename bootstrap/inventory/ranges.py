"""Many alike hosts in one entry: `pi-{1..5}` with `192.168.1.{11..15}`. Pure."""

import re
from dataclasses import dataclass

from bootstrap.inventory.problems import Path, Problems, Tree

RANGE = re.compile(r"(?<!\$)\{(\d+)\.\.(\d+)\}")
# Fields in which a range is expanded. Payloads (files, scripts, native values) stay as they are: a shell has the same braces.
EXPANDED = ("address", "node_address", "node_interface", "ssh", "labels", "groups")
LIMIT = 1000  # hosts of one entry


@dataclass(frozen=True)
class Entry:
    """One host: its name, its own settings with ranges filled in, and the path of its entry in the document."""

    name: str
    settings: dict[str, Tree]
    path: Path


def expand_hosts(hosts: dict[str, Tree], problems: Problems) -> tuple[Entry, ...]:
    """One entry per host, in the order of the document. Mistakes in ranges go to `problems`."""
    entries: dict[str, Entry] = {}
    for key, settings in hosts.items():
        for entry in expand_entry(key, settings, problems):
            if entry.name in entries:
                other = problems.line_of(entries[entry.name].path)
                message = f"host `{entry.name}` is given twice"
                problems.add_at(problems.key_position(entry.path), message, f"the other one is on line {other}")
            else:
                entries[entry.name] = entry
    return tuple(entries.values())


def expand_entry(key: str, settings: dict[str, Tree], problems: Problems) -> list[Entry]:
    path: Path = ("hosts", key)
    matches = list(RANGE.finditer(key))
    if matches and (reason := refuse_range(matches)):
        problems.add_at_key(path, *reason)
        return []
    names = expand(key)
    expansion = Expansion(key, len(names) if matches else 0, problems)
    return [Entry(name, expansion.settings(settings, path, index), path) for index, name in enumerate(names)]


def refuse_range(matches: list[re.Match[str]]) -> tuple[str, str] | None:
    """Why the ranges of a text can't be used."""
    if len(matches) > 1:
        return "two ranges in one text", "use one range: the n-th host takes the n-th value"
    first, last = int(matches[0][1]), int(matches[0][2])
    if first > last:
        return f"the range {matches[0][0]} counts down", f"write {{{matches[0][2]}..{matches[0][1]}}}"
    if last - first >= LIMIT:
        return f"the range {matches[0][0]} makes more than {LIMIT} hosts", "look for a slip of the keyboard"
    return None


def expand(text: str) -> list[str]:
    """Every value of a text with one range; leading zeros are kept."""
    match = RANGE.search(text)
    if match is None:
        return [text]
    width = len(match[1]) if match[1].startswith("0") else 0
    numbers = range(int(match[1]), int(match[2]) + 1)
    return [f"{text[: match.start()]}{number:0{width}}{text[match.end() :]}" for number in numbers]


@dataclass(frozen=True)
class Expansion:
    """Fills the ranges in the settings of one entry; `count` is 0 when its name has no range."""

    key: str
    count: int
    problems: Problems

    def settings(self, settings: dict[str, Tree], path: Path, index: int) -> dict[str, Tree]:
        """The settings of the n-th host."""
        return {
            key: self.value(value, (*path, key), index) if key in EXPANDED else value for key, value in settings.items()
        }

    def value(self, value: Tree, path: Path, index: int) -> Tree:
        if isinstance(value, dict):
            return {key: self.value(inner, (*path, key), index) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, (*path, at), index) for at, inner in enumerate(value)]
        if isinstance(value, str) and ".." in value:
            return self.text(value, path, index)
        return value

    def text(self, text: str, path: Path, index: int) -> str:
        matches = list(RANGE.finditer(text))
        if not matches:
            return text
        if reason := refuse_range(matches):
            self.problems.add(path, *reason)
            return text
        if not self.count:
            hint = f"put a range of the same length into the name of the host, as in {self.key}-{matches[0][0]}"
            self.problems.add(path, f"a range in the settings of the single host `{self.key}`", hint)
            return text
        values = expand(text)
        if len(values) != self.count:
            message = f"the range {matches[0][0]} has {len(values)} values, but `{self.key}` has {self.count} hosts"
            self.problems.add(path, message, "both ranges must be of the same length")
            return text
        return values[index]
