"""Many alike hosts in one entry: `pi-{1..5}` with `192.168.1.{11..15}`. Pure."""

import re
from dataclasses import dataclass

from bootstrap.inventory.problems import Path, Problems, Tree
from bootstrap.inventory.values import Unfit

RANGE = re.compile(r"(?<!\$)\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
# Fields in which a range is expanded. Payloads (files, scripts, native values) stay as they are: a shell has the same braces.
EXPANDED = ("address", "node_address", "node_interface", "ssh", "labels", "groups")
LIMIT = 1000  # hosts of one entry
TOTAL_LIMIT = 5000  # hosts of a cluster (kubernetes.io/docs/setup/best-practices/cluster-large)


@dataclass(frozen=True)
class Entry:
    """One host: its name, its own settings with ranges filled in, and the path of its entry in the document."""

    name: str
    settings: dict[str, Tree]
    path: Path


@dataclass(frozen=True)
class Range:
    """A text with one range; leading zeros are kept."""

    before: str
    written: str
    first: int
    count: int
    width: int
    after: str

    def value(self, index: int) -> str:
        return f"{self.before}{self.first + index:0{self.width}}{self.after}"


def parse_range(text: str) -> Range | None:
    """The range of a text, or None. Raises Unfit for a range that can't be counted along."""
    matches = list(RANGE.finditer(text))
    if not matches:
        return None
    if len(matches) > 1:
        raise Unfit("two ranges in one text", "use one range: the n-th host takes the n-th value")
    match = matches[0]
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise Unfit(f"the range {match[0]} counts down", f"write {{{match[2]}..{match[1]}}}")
    if last - first >= LIMIT:
        raise Unfit(f"the range {match[0]} makes more than {LIMIT} hosts", "look for a slip of the keyboard")
    width = len(match[1]) if match[1].startswith("0") else 0
    return Range(text[: match.start()], match[0], first, last - first + 1, width, text[match.end() :])


def expand_hosts(hosts: dict[str, Tree], problems: Problems) -> tuple[Entry, ...]:
    """One entry per host, in the order of the document. Mistakes in ranges go to `problems`."""
    entries: dict[str, Entry] = {}
    for key, settings in hosts.items():
        for entry in expand_entry(key, settings, problems):
            if entry.name in entries:
                other = problems.line_of(entries[entry.name].path)
                message = f"host `{entry.name}` is given twice"
                problems.add_at(problems.key_position(entry.path), message, f"the other one is on line {other}")
            entries.setdefault(entry.name, entry)
        if len(entries) > TOTAL_LIMIT:
            message = f"more than {TOTAL_LIMIT} hosts"
            problems.add_at_key(("hosts", key), message, "no Kubernetes cluster is made for so many")
            return ()
    return tuple(entries.values())


def expand_entry(key: str, settings: dict[str, Tree], problems: Problems) -> list[Entry]:
    path: Path = ("hosts", key)
    try:
        names = parse_range(key)
    except Unfit as error:
        problems.add_at_key(path, str(error), error.hint)
        return []
    expansion = Expansion(key, names.count if names else 0, problems)
    if names is None:
        return [Entry(key, expansion.settings(settings, path, 0), path)]
    return [Entry(names.value(index), expansion.settings(settings, path, index), path) for index in range(names.count)]


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
        try:
            found = parse_range(text)
            if found is None:
                return text
            self.compare(found)
        except Unfit as error:
            self.problems.add(path, str(error), error.hint)
            return text
        return found.value(index)

    def compare(self, found: Range) -> None:
        """A range in a value counts along the range in the name of the host."""
        if not self.count:
            hint = f"put a range of the same length into the name of the host, as in {self.key}-{found.written}"
            raise Unfit(f"a range in the settings of the single host `{self.key}`", hint)
        if found.count != self.count:
            message = f"the range {found.written} has {found.count} values, but `{self.key}` has {self.count} hosts"
            raise Unfit(message, "both ranges must be of the same length")
