"""Where native keys stand in an inventory: layer by layer, section by section, as written. Pure; judges nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap.model import Host, Inventory

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Layer:
    """A place that may hold settings: the top level (an empty path), a role, a group, or an entry of `hosts`."""

    path: Path
    values: Mapping[str, Any]
    hosts: tuple[Host, ...]  # those that it reaches

    @property
    def is_cluster(self) -> bool:
        return not self.path

    def __str__(self) -> str:
        return ".".join(map(str, self.path)) or "the top level"


@dataclass(frozen=True)
class Section:
    """One section of a distribution's native keys in one layer; `value` is a mapping, or a word where that is the form."""

    layer: Layer
    name: str
    path: Path
    value: Any

    @property
    def values(self) -> Mapping[str, Any]:
        return _mapping(self.value)


def find_layers(inventory: Inventory) -> Iterator[Layer]:
    """Every layer of the document, the most general first."""
    document, reached = inventory.document, _hosts_by_layer(inventory)
    yield Layer((), document, inventory.hosts)
    for kind in ("roles", "groups", "hosts"):
        for name, values in _mapping(document.get(kind)).items():
            yield Layer((kind, name), _mapping(values), tuple(reached[kind, name]))


def _hosts_by_layer(inventory: Inventory) -> defaultdict[Path, list[Host]]:
    """The hosts below each layer but the top level, found in one pass."""
    reached: defaultdict[Path, list[Host]] = defaultdict(list)
    for host in inventory.hosts:
        for path in {("roles", host.role.value), *(("groups", name) for name in host.groups), host.origin[:2]}:
            reached[path].append(host)
    return reached


def find_sections(inventory: Inventory) -> Iterator[Section]:
    """Every section that is written, in every layer."""
    for layer in find_layers(inventory):
        for name, value in _mapping(layer.values.get(inventory.distro)).items():
            yield Section(layer, name, (*layer.path, inventory.distro, name), value)


def find_typed(inventory: Inventory, owner: str, hosts: Iterable[Host]) -> str:
    """Where the inventory's own field stands for these hosts, such as "`labels` of hosts.pi-1 (line 12)"; or nothing."""
    concerned = {host.name for host in hosts}
    fields = owner.split(".")
    for layer in find_layers(inventory):
        values: Any = layer.values
        for field in fields:
            values = _mapping(values).get(field)
        if values and concerned & {host.name for host in layer.hosts}:
            position = inventory.positions.get((*layer.path, *fields))
            line = f" (line {position.line})" if position else ""
            return f"`{owner}` of {layer}{line}" if layer.path else f"`{owner}`{line}"
    return ""


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known word, or nothing."""
    from difflib import get_close_matches  # only a mistake pays for it

    close = get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"did you mean `{close[0]}`?" if close else ""


def suggest_field(word: str, known: Iterable[str]) -> str:
    """Like `suggest`, for names in camel case: capitals, dashes and underscores count for nothing."""
    written = {name.lower(): name for name in known}
    found = suggest(word.lower().replace("-", "").replace("_", ""), written)
    return next((found.replace(f"`{low}`", f"`{name}`") for low, name in written.items() if f"`{low}`" in found), "")


def has_reference(value: object) -> bool:
    return isinstance(value, str) and "${" in value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
