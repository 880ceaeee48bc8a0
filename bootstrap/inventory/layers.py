"""Merges the layers of settings: cluster, role, groups in order, host. Every result knows where it came from. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bootstrap.inventory.problems import Path, Tree
from bootstrap.inventory.ranges import Entry
from bootstrap.model import Role


@dataclass(frozen=True)
class Layer:
    """Settings and the path where they stand in the document."""

    path: Path
    settings: Mapping[str, Tree]


@dataclass(frozen=True)
class Placed:
    """A value and the path where it stands in the document."""

    value: Tree
    path: Path


def all_layers(document: Mapping[str, Tree], entries: Sequence[Entry]) -> Iterator[Layer]:
    """Every layer of the inventory once: cluster, roles, groups, hosts."""
    yield Layer((), document)
    for kind in ("roles", "groups"):
        for name, settings in document.get(kind, {}).items():
            yield Layer((kind, name), settings)
    for entry in entries:
        yield Layer(entry.path, entry.settings)


def layers_of(document: Mapping[str, Tree], entry: Entry) -> tuple[Layer, ...]:
    """The layers of one host, the deepest last."""
    role = entry.settings.get("role", Role.WORKER.value)
    groups = [name for name in entry.settings.get("groups", ()) if name in document.get("groups", {})]
    return (
        Layer((), document),
        Layer(("roles", role), document.get("roles", {}).get(role, {})),
        *(Layer(("groups", name), document["groups"][name]) for name in groups),
        Layer(entry.path, entry.settings),
    )


def deepest(layers: Sequence[Layer], key: str) -> Placed | None:
    """The value of the deepest layer that has one."""
    found = (Placed(layer.settings[key], (*layer.path, key)) for layer in reversed(layers) if key in layer.settings)
    return next(found, None)


def merge(layers: Sequence[Layer], key: str) -> dict[str, Placed]:
    """A mapping merged key by key."""
    return {
        name: Placed(value, (*layer.path, key, name))
        for layer in layers
        for name, value in layer.settings.get(key, {}).items()
    }


def append(layers: Sequence[Layer], key: str) -> list[Placed]:
    """A list, added up from the outermost layer to the deepest."""
    return [
        Placed(item, (*layer.path, key, index))
        for layer in layers
        for index, item in enumerate(layer.settings.get(key, ()))
        if item is not None
    ]


def merge_ssh(layers: Sequence[Layer]) -> dict[str, Placed]:
    """The ssh settings; `key` is a list of one, and the deeper of `key` and `keys` wins."""
    merged: dict[str, Placed] = {}
    for layer in layers:
        for name, value in layer.settings.get("ssh", {}).items():
            placed = Placed([value] if name == "key" else value, (*layer.path, "ssh", name))
            merged["keys" if name == "key" else name] = placed
    return merged


def merge_native(layers: Sequence[Layer], distro: str) -> dict[str, Tree]:
    """The native section, merged per section and key; a deeper value replaces the whole value.

    A section that is no mapping, such as a word, is a value itself.
    """
    merged: dict[str, Tree] = {}
    for layer in layers:
        for section, value in layer.settings.get(distro, {}).items():
            shared = merged.get(section, {}) if isinstance(value, Mapping) else {}
            merged[section] = {**shared, **value} if isinstance(value, Mapping) else value
    return merged
