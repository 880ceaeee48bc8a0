"""Holds the tables of fields against what a native section says: known, in the right place, of the right form. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bootstrap.distros.kubeadm.fields import (
    ARGUMENT_OWNERS,
    ARGUMENTS,
    CHOICES,
    DOCUMENTS,
    OURS,
    OWNERS,
    SINCE,
    Form,
    Items,
    Kind,
    sections,
)
from bootstrap.distros.kubeadm.versions import GRAMMAR, parse_version
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Path, Section, find_typed, has_reference, suggest_field

DURATION = re.compile(r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
Found = tuple[str, str]  # what is wrong, and a hint
GONE_MODES = {"userspace": "is gone since v1.26", "ebpf": "is no mode of kube-proxy: Cilium takes its place"}


def check_fields(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of one section that holds fields of a document."""
    yield from _check_mapping(inventory, section, (), sections()[section.name], section.values)


def _check_mapping(
    inventory: Inventory, section: Section, path: Path, known: Mapping[str, Form], values: Mapping[str, Any]
) -> Iterator[NativeProblem]:
    for name, value in values.items():
        here = (*path, name)
        form = known.get(name)
        found = _explain_unknown(section, here, known) if form is None else _check_place(inventory, section, here)
        if found:
            yield NativeProblem((*section.path, *here), *found)
        elif form is not None:
            yield from _check_value(inventory, section, here, form, value)


def _explain_unknown(section: Section, path: Path, known: Mapping[str, Form]) -> Found:
    name = str(path[-1])
    document = ".".join([DOCUMENTS[section.name], *map(str, path[:-1])])
    if name in ("apiVersion", "kind"):
        return f"`{name}` is written by bootstrap", "leave it out"
    hint = suggest_field(name, known)
    elsewhere = [other for other, fields in sections().items() if name in fields and other != section.name]
    if not hint and len(path) == 1 and elsewhere:
        hint = f"it is a field of {DOCUMENTS[elsewhere[0]]}: write it under `{elsewhere[0]}`"
    return f"`{name}` is no field of {document}", hint


def _check_place(inventory: Inventory, section: Section, path: Path) -> Found | None:
    """The field is known; the first thing that is wrong with its standing here."""
    full = (section.name, *map(str, path))
    if full in OURS:
        return f"`{path[-1]}` is not given here: it is {OURS[full]}", "leave it out"
    if full in OWNERS:
        return _explain_owner(inventory, section, str(path[-1]), OWNERS[full])
    since = SINCE.get(full)
    if since and GRAMMAR.fullmatch(inventory.version) and parse_version(inventory.version).series < (1, since):
        return f"`{path[-1]}` is not in kubeadm {inventory.version}", f"it came with v1.{since}"
    return None


def _explain_owner(inventory: Inventory, section: Section, name: str, owner: str) -> Found:
    if owner == "name":
        return f"`{name}` is the host's name in the inventory", "rename the host instead: its key under `hosts`"
    typed = "" if "kubeadm." in owner else find_typed(inventory, owner, section.layer.hosts)
    if typed and owner not in ("version", "cluster"):
        return f"`{name}` is given twice, here and as {typed}", f"keep `{owner}`"
    example = ", such as ${env:KUBEADM_TOKEN}" if owner == "token" else ""
    return f"`{name}` has a field of its own in the inventory: `{owner}`", f"write it as `{owner}`{example}"


# --- values --------------------------------------------------------------------------------------


def _check_value(
    inventory: Inventory, section: Section, path: Path, form: Form, value: object
) -> Iterator[NativeProblem]:
    if isinstance(form, Mapping):
        if isinstance(value, Mapping):
            yield from _check_mapping(inventory, section, path, form, value)
        elif value is not None:
            yield NativeProblem((*section.path, *path), f"`{path[-1]}` must be a mapping", f"it has {_names(form)}")
        return
    if isinstance(form, Items):
        yield from _check_items(inventory, section, path, form, value)
        return
    found = _check_form(path, form, value) or _check_choice(section, path, value)
    if found:
        yield NativeProblem((*section.path, *path), *found)


def _names(form: Mapping[str, Form]) -> str:
    return ", ".join(f"`{name}`" for name in form)


def _check_items(
    inventory: Inventory, section: Section, path: Path, form: Items, value: object
) -> Iterator[NativeProblem]:
    name, here = path[-1], (*section.path, *path)
    if isinstance(value, Mapping) and form is ARGUMENTS:
        first = next(((key, each) for key, each in value.items()), ("v", "4"))
        example = f'`- {{name: {first[0]}, value: "{_plain(first[1])}"}}`'
        yield NativeProblem(here, f"`{name}` is a list since v1beta4, not a mapping", f"write {example} for each")
        return
    if not isinstance(value, list):
        yield NativeProblem(here, f"`{name}` must be a list", f"each item has {_names(form.fields)}")
        return
    for index, item in enumerate(value):
        place = (*path, index)
        if not isinstance(item, Mapping):
            yield NativeProblem((*section.path, *place), f"an item of `{name}` has {_names(form.fields)}", _split(item))
            continue
        yield from _check_mapping(inventory, section, place, form.fields, item)
        if form is ARGUMENTS:
            yield from _check_argument(inventory, section, place, item)


def _split(item: object) -> str:
    name, sign, value = str(item).removeprefix("--").partition("=")
    return f'write `- {{name: {name}, value: "{value}"}}`' if sign else ""


def _check_argument(
    inventory: Inventory, section: Section, place: Path, item: Mapping[str, Any]
) -> Iterator[NativeProblem]:
    name = item.get("name")
    here = (*section.path, *place)
    if not name:
        yield NativeProblem(here, "an argument needs a `name`", 'such as `- {name: v, value: "4"}`')
        return
    if isinstance(name, str) and name.startswith("-"):
        yield NativeProblem((*here, "name"), f"`{name}` is written without hyphens", f"write `{name.lstrip('-')}`")
        return
    if "value" not in item:
        yield NativeProblem(here, f"the argument `{name}` has no `value`", 'a flag without one is `value: "true"`')
        return
    owner = ARGUMENT_OWNERS.get(((section.name, *map(str, place[:-1])), str(name)))
    if owner:
        yield NativeProblem((*here, "name"), *_explain_owner(inventory, section, str(name), owner))
    elif str(name) == "allocate-node-cidrs" and inventory.native.get("cni") == "bridge":
        message = "`allocate-node-cidrs` is off with `cni: bridge`: each host has its own range"
        yield NativeProblem((*here, "name"), message, "leave it out")


def _check_form(path: Path, form: Kind, value: object) -> Found | None:
    name = path[-1]
    if value is None:
        return f"`{name}` has no value", "leave it out, or give it one"
    if form is Kind.ANY or has_reference(value) or FITS[form](value):
        return None
    if form is Kind.TEXT:
        hint = "" if isinstance(value, list | dict) else f'write it in quotes: "{_plain(value)}"'
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


def _check_choice(section: Section, path: Path, value: object) -> Found | None:
    choices = CHOICES.get((section.name, *map(str, path)))
    if choices is None or value in choices or has_reference(value):
        return None
    if path[-1] == "cgroupDriver":
        message = "`cgroupDriver: cgroupfs` beside systemd: two would keep the books of one host"
        return message, "leave it out: containerd is set up for systemd too"
    if path[-1] == "mode" and value in GONE_MODES:
        return f"the mode `{value}` {GONE_MODES[str(value)]}", f"one of {', '.join(choices)}"
    return f"`{value}` is no value of `{path[-1]}`", suggest_field(
        str(value), choices
    ) or f"one of {', '.join(choices)}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
