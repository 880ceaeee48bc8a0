"""Checks `k0s.config` against the fields of ClusterConfig: known, in the right place, of the right form. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.k0s.fields import (
    CHOICES,
    ITEM_CHOICES,
    OWNERS,
    PASSWORDS,
    PER_HOST,
    PORTS,
    RESERVED_BY_PROFILES,
    SPEC,
)
from bootstrap.driver import NativeProblem
from bootstrap.forms import Form, Found, Items, Reader, Wrong
from bootstrap.model import Inventory
from bootstrap.sections import Path, Section, find_typed, has_reference, suggest_field

WRAPPERS = ("apiVersion", "kind", "metadata", "spec")


def check_spec(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of one `config` section."""
    for path, message, hint in Spec(inventory, section).read(SPEC, section.values):
        yield NativeProblem((*section.path, *path), message, hint)


class Spec(Reader):
    """What is known of the fields of ClusterConfig besides their forms."""

    def __init__(self, inventory: Inventory, section: Section) -> None:
        self.inventory = inventory
        self.section = section

    def explain_unknown(self, path: Path, known: Mapping[str, Form]) -> Found:
        name = str(path[-1])
        if len(path) == 1 and name in WRAPPERS:
            return f"`{name}` is written by bootstrap", "`config` is what stands under `spec` of a ClusterConfig"
        hint = suggest_field(name, known)
        homes = [home for home, form in SPEC.items() if isinstance(form, Mapping) and name in form]
        if not hint and homes:
            hint = f"`{name}` belongs under `{homes[0]}`"
        where = ".".join(["spec", *(str(part) for part in path[:-1] if isinstance(part, str))])
        return f"`{name}` is no field of ClusterConfig ({where})", hint

    def check_place(self, path: Path) -> Found | None:
        full = tuple(str(part) for part in path)
        if full in OWNERS:
            return self._explain_owner(full[-1], OWNERS[full])
        if not self.section.layer.is_cluster:
            return self._check_layer(full)
        if full == ("api", "address") and len(self.inventory.controllers) > 1:
            return "`address` would be the same on all controllers", "write it at a host, or give `node_address` there"
        return None

    def _check_layer(self, full: tuple[str, ...]) -> Found | None:
        if any(full[: len(path)] == path or path[: len(full)] == full for path in PER_HOST):
            hosts = self.section.layer.hosts
            if not hosts or any(host.role.controls for host in hosts):
                return None
            return f"{self.section.layer} has no controller, and only those read `config`", "move it to a controller"
        allowed = ", ".join(f"`{'.'.join(path)}`" for path in PER_HOST)
        return f"`{full[-1]}` is the whole cluster's: only {allowed} may differ", "move it to `k0s.config` at the top"

    def _explain_owner(self, name: str, owner: str) -> Found:
        if typed := find_typed(self.inventory, owner, self.section.layer.hosts):
            return f"`{name}` is given twice, here and as {typed}", f"keep `{owner}`"
        both = " as two values, one of each family" if name in ("dualStack", "primaryAddressFamily") else ""
        return f"`{name}` has a field of its own in the inventory: `{owner}`", f"write it as `{owner}`{both}"

    def check_choice(self, path: Path, value: object) -> Found | None:
        if has_reference(value):
            return None
        full = tuple(str(part) for part in path)
        return (
            _check_words(full, value)
            or _check_port(full, value)
            or _check_address(full, value)
            or _check_password(full[-1], value)
        )

    def check_item(self, path: Path, form: Items, item: Mapping[str, Any]) -> Iterator[Wrong]:
        yield from super().check_item(path, form, item)
        if path[0] == "workerProfiles":
            yield from _check_profile(path, item)


def _check_words(full: tuple[str, ...], value: object) -> Found | None:
    inside = any(part.isdigit() for part in full)
    choices = ITEM_CHOICES.get(full[-1], ()) if inside else CHOICES.get(full, ())
    if not choices or value in choices:
        return None
    if full == ("network", "provider") and value == "none":
        return "`none` is no provider of k0s", "did you mean `custom`? Nodes are NotReady until you install a network"
    hint = suggest_field(str(value), choices) or f"one of {', '.join(choices)}"
    return f"`{value}` is no value of `{full[-1]}`", hint


def _check_port(full: tuple[str, ...], value: object) -> Found | None:
    if full in PORTS and isinstance(value, int) and not 0 < value < 65536:
        return f"{value} is no port", "a number from 1 to 65535"
    return None


def _check_address(full: tuple[str, ...], value: object) -> Found | None:
    if full != ("api", "address"):
        return None
    try:
        found = ipaddress.ip_address(str(value))
    except ValueError:
        return f"`{value}` is no IP address", "api.address is the controller's own; a name goes to `endpoint`"
    if found.is_unspecified:
        return f"k0s refuses `{value}`: nodes could not reach it", "leave it out: the API listens everywhere anyway"
    return None


def _check_password(name: str, value: object) -> Found | None:
    """A password in clear; a data source holds one between `:` and `@`."""
    if name not in PASSWORDS or not isinstance(value, str):
        return None
    if name == "dataSource" and not (":" in (login := value.partition("://")[2].rpartition("@")[0]) and login):
        return None
    return f"`{name}` holds a password in clear, and what is in git is public", "give a reference: ${secret:KEY}"


def _check_profile(path: Path, item: Mapping[str, Any]) -> Iterator[Wrong]:
    values = item.get("values")
    if values is not None and not isinstance(values, Mapping):
        yield (*path, "values"), "`values` must be a mapping", "fields of KubeletConfiguration"
    for name in values if isinstance(values, Mapping) else ():
        if name in RESERVED_BY_PROFILES:
            yield (*path, "values", name), f"k0s sets `{name}` itself, and refuses it in a profile", "leave it out"
