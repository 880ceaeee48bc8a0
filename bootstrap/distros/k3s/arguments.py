"""Checks what is handed through to Kubernetes components: `kubelet-arg` and its like. Pure."""

import re
from collections.abc import Iterator, Mapping

from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Layer, Path, find_typed, has_reference

# Arguments that say again what the inventory says in a field, or k3s in a key of its own.
FIELDS: Mapping[tuple[str, str], str] = {
    ("kubelet-arg", "node-labels"): "labels",
    ("kubelet-arg", "register-with-taints"): "taints",
    ("kubelet-arg", "node-ip"): "node_address",
    ("kubelet-arg", "cluster-domain"): "network.domain",
    ("kube-apiserver-arg", "service-cluster-ip-range"): "network.services",
    ("kube-controller-manager-arg", "service-cluster-ip-range"): "network.services",
    ("kube-controller-manager-arg", "cluster-cidr"): "network.pods",
    ("kube-proxy-arg", "cluster-cidr"): "network.pods",
}
KEYS: Mapping[tuple[str, str], str] = {
    ("kubelet-arg", "cluster-dns"): "cluster-dns",
    ("kubelet-arg", "resolv-conf"): "resolv-conf",
    ("kubelet-arg", "protect-kernel-defaults"): "protect-kernel-defaults",
    ("kube-apiserver-arg", "service-node-port-range"): "service-node-port-range",
    ("kube-apiserver-arg", "advertise-address"): "advertise-address",
}
ALIASES = {
    "kube-controller-arg": "kube-controller-manager-arg",
    "kube-cloud-controller-arg": "kube-cloud-controller-manager-arg",
}


def check_arguments(inventory: Inventory, layer: Layer, path: Path, value: object) -> Iterator[NativeProblem]:
    """Problems of one `...-arg` key: items of a wrong form, and those that say again what a field says."""
    key = ALIASES.get(str(path[-1]), str(path[-1]))
    items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
    for index, item in items:
        place = path if index is None else (*path, index)
        found = _check_form(item) or _check_field(inventory, layer, key, str(item))
        if found:
            yield NativeProblem(place, *found)


def _check_form(item: object) -> tuple[str, str] | None:
    if isinstance(item, Mapping) and len(item) == 1:
        name, value = next(iter(item.items()))
        text = str(value).lower() if isinstance(value, bool) else value
        return "an argument is text, not a key and a value", f"write `{name}={text}`"
    if not isinstance(item, str):
        return "an argument must be text, as in `max-pods=150`", ""
    if re.search(r"\s--?[a-z]", item):
        return "two arguments stand in one item", "make one item of each"
    if not re.match(r"(--)?[a-z][a-z0-9-]*[+-]?(=|$)", item) and not has_reference(item):
        return f"`{item}` is no argument", "write `name=value`"
    return None


def _check_field(inventory: Inventory, layer: Layer, key: str, item: str) -> tuple[str, str] | None:
    name = item.removeprefix("--").partition("=")[0].rstrip("+-")
    if name == "hostname-override" and key in ("kubelet-arg", "kube-proxy-arg"):
        return f"`{name}` is the host's name in the inventory", "rename the host instead: its key under `hosts`"
    if (key, name) in KEYS:
        return f"`{name}` has a key of its own", f"write `{KEYS[key, name]}` instead of an argument"
    owner = FIELDS.get((key, name))
    if owner is None:
        return None
    typed = find_typed(inventory, owner, layer.hosts)
    if typed:
        return f"`{name}` is given twice, here and as {typed}", f"keep `{owner}`"
    return f"`{name}` has a field of its own in the inventory: `{owner}`", f"write it as `{owner}`"
