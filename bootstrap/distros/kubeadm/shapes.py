"""Holds the tables of fields against what a native section says: known, in the right place, of the right form. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.kubeadm.fields import (
    ARGUMENT_OWNERS,
    ARGUMENTS,
    CHOICES,
    DOCUMENTS,
    OURS,
    OWNERS,
    SINCE,
    sections,
)
from bootstrap.distros.kubeadm.versions import GRAMMAR, parse_version
from bootstrap.driver import NativeProblem
from bootstrap.forms import Form, Found, Items, Reader, Wrong, plain
from bootstrap.model import Inventory
from bootstrap.sections import Path, Section, find_typed, has_reference, suggest_field

GONE_MODES = {"userspace": "is gone since v1.26", "ebpf": "is no mode of kube-proxy: Cilium takes its place"}


def check_fields(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of one section that holds fields of a document."""
    for path, message, hint in Fields(inventory, section).read(sections()[section.name], section.values):
        yield NativeProblem((*section.path, *path), message, hint)


class Fields(Reader):
    """What is known of the fields of one section."""

    def __init__(self, inventory: Inventory, section: Section) -> None:
        self.inventory = inventory
        self.section = section

    def explain_unknown(self, path: Path, known: Mapping[str, Form]) -> Found:
        name, section = str(path[-1]), self.section
        document = ".".join([DOCUMENTS[section.name], *map(str, path[:-1])])
        if name in ("apiVersion", "kind"):
            return f"`{name}` is written by bootstrap", "leave it out"
        hint = suggest_field(name, known)
        elsewhere = [other for other, fields in sections().items() if name in fields and other != section.name]
        if not hint and len(path) == 1 and elsewhere:
            hint = f"it is a field of {DOCUMENTS[elsewhere[0]]}: write it under `{elsewhere[0]}`"
        return f"`{name}` is no field of {document}", hint

    def check_place(self, path: Path) -> Found | None:
        full, version = (self.section.name, *map(str, path)), self.inventory.version
        if full in OURS:
            return f"`{path[-1]}` is not given here: it is {OURS[full]}", "leave it out"
        if full in OWNERS:
            return self._explain_owner(str(path[-1]), OWNERS[full])
        since = SINCE.get(full)
        if since and GRAMMAR.fullmatch(version) and parse_version(version).series < (1, since):
            return f"`{path[-1]}` is not in kubeadm {version}", f"it came with v1.{since}"
        return None

    def _explain_owner(self, name: str, owner: str) -> Found:
        if owner == "name":
            return f"`{name}` is the host's name in the inventory", "rename the host instead: its key under `hosts`"
        typed = "" if "kubeadm." in owner else find_typed(self.inventory, owner, self.section.layer.hosts)
        if typed and owner not in ("version", "cluster"):
            return f"`{name}` is given twice, here and as {typed}", f"keep `{owner}`"
        example = ", such as ${env:KUBEADM_TOKEN}" if owner == "token" else ""
        return f"`{name}` has a field of its own in the inventory: `{owner}`", f"write it as `{owner}`{example}"

    def check_choice(self, path: Path, value: object) -> Found | None:
        choices = CHOICES.get((self.section.name, *map(str, path)))
        if choices is None or value in choices or has_reference(value):
            return None
        if path[-1] == "cgroupDriver":
            message = "`cgroupDriver: cgroupfs` beside systemd: two would keep the books of one host"
            return message, "leave it out: containerd is set up for systemd too"
        if path[-1] == "mode" and value in GONE_MODES:
            return f"the mode `{value}` {GONE_MODES[str(value)]}", f"one of {', '.join(choices)}"
        hint = suggest_field(str(value), choices) or f"one of {', '.join(choices)}"
        return f"`{value}` is no value of `{path[-1]}`", hint

    # --- lists of arguments ----------------------------------------------------------------------

    def check_list(self, path: Path, form: Items, value: object) -> Found | None:
        if not isinstance(value, Mapping) or form is not ARGUMENTS:
            return None
        first = next(((key, each) for key, each in value.items()), ("v", "4"))
        example = f'`- {{name: {first[0]}, value: "{plain(first[1])}"}}`'
        return f"`{path[-1]}` is a list since v1beta4, not a mapping", f"write {example} for each"

    def explain_item(self, item: object) -> str:
        name, sign, value = str(item).removeprefix("--").partition("=")
        return f'write `- {{name: {name}, value: "{value}"}}`' if sign else ""

    def check_item(self, path: Path, form: Items, item: Mapping[str, Any]) -> Iterator[Wrong]:
        if form is not ARGUMENTS:
            return
        name = item.get("name")
        if not name:
            yield path, "an argument needs a `name`", 'such as `- {name: v, value: "4"}`'
        elif isinstance(name, str) and name.startswith("-"):
            yield (*path, "name"), f"`{name}` is written without hyphens", f"write `{name.lstrip('-')}`"
        elif "value" not in item:
            yield path, f"the argument `{name}` has no `value`", 'a flag without one is `value: "true"`'
        elif found := self._check_argument(path, str(name)):
            yield (*path, "name"), *found

    def _check_argument(self, path: Path, name: str) -> Found | None:
        owner = ARGUMENT_OWNERS.get(((self.section.name, *map(str, path[:-1])), name))
        if owner:
            return self._explain_owner(name, owner)
        if name == "allocate-node-cidrs" and self.inventory.native.get("cni") == "bridge":
            return "`allocate-node-cidrs` is off with `cni: bridge`: each host has its own range", "leave it out"
        return None
