"""Checks of a k0s cluster as a whole: its datastore and its number of controllers, its network, room for pods. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.k0s.flags import flag_value, own_flags
from bootstrap.distros.k0s.layout import effective, lookup, storage_type
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory, Role

CONFIG = ("k0s", "config")
TLS_FILES = ("caFile", "clientCertFile", "clientKeyFile")
# Data sources that another controller can't reach (k0s: KineConfig.IsJoinable).
LOCAL_SOURCES = ("sqlite:", "nats:")


def check_cluster(inventory: Inventory) -> Iterator[NativeProblem]:
    """Problems that only the whole inventory shows."""
    given = inventory.native.get("config")
    config: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    yield from _check_storage(inventory, config)
    yield from _check_external(config)
    yield from _check_families(inventory, config)
    yield from _check_room(inventory)
    if inventory.token:
        message = "k0s has no token of its own: bootstrap makes one for each join, and takes it back"
        yield NativeProblem(("token",), message, "leave it out")
    if inventory.addons:
        message = "k0s has no add-ons by name"
        yield NativeProblem(("addons",), message, "give charts as k0s.config.extensions.helm, or k0s.manifests")


def _check_storage(inventory: Inventory, config: Mapping[str, Any]) -> Iterator[NativeProblem]:
    count = len(inventory.controllers)
    kind, source = storage_type(inventory), str(lookup(config, "storage", "kine", "dataSource") or "sqlite:")
    path = (*CONFIG, "storage", "type")
    if kind == "kine" and count > 1 and source.startswith(LOCAL_SOURCES):
        message = f"`kine` keeps its data in a file of one controller, and here are {count}"
        yield NativeProblem(path, message, "leave it out: etcd is the default; or name a shared kine.dataSource")
    if kind == "etcd" and lookup(config, "storage", "kine"):
        message = "`kine` has no effect: the type of the storage is etcd"
        yield NativeProblem((*CONFIG, "storage", "kine"), message, "write `type: kine`, or leave it out")
    if kind == "kine" and lookup(config, "storage", "etcd"):
        message = "`etcd` has no effect: the type of the storage is kine"
        yield NativeProblem((*CONFIG, "storage", "etcd"), message, "leave it out, or write `type: etcd`")


def _check_external(config: Mapping[str, Any]) -> Iterator[NativeProblem]:
    external = lookup(config, "storage", "etcd", "externalCluster")
    if not isinstance(external, Mapping):
        return
    path = (*CONFIG, "storage", "etcd", "externalCluster")
    for name in ("endpoints", "etcdPrefix"):
        if not external.get(name):
            hint = "such as [https://192.168.1.5:2379]" if name == "endpoints" else "such as home: one for each cluster"
            yield NativeProblem(path, f"an external etcd needs `{name}`", hint)
    given = [name for name in TLS_FILES if external.get(name)]
    if given and len(given) < len(TLS_FILES):
        missing = ", ".join(name for name in TLS_FILES if name not in given)
        yield NativeProblem(path, f"`externalCluster` lacks {missing}", "k0s wants all three files, or none")


def _check_families(inventory: Inventory, config: Mapping[str, Any]) -> Iterator[NativeProblem]:
    pods = inventory.network.pods
    calico = lookup(config, "network", "provider") == "calico"
    if len(pods) == 2 and calico and lookup(config, "network", "calico", "mode") != "bird":
        message = "with two families calico must be in mode `bird`"
        yield NativeProblem((*CONFIG, "network", "provider"), message, "write calico: {mode: bird} beside it")
    if len(pods) == 1 and ":" in pods[0] and inventory.controllers:
        gates = flag_value(own_flags(inventory.controllers[0]), "feature-gates") or ""
        if "IPv6SingleStack=true" not in gates.split(","):
            message = "IPv6 alone is behind a gate of k0s"
            hint = "write k0s.installFlags: [--feature-gates=IPv6SingleStack=true], or add an IPv4 range"
            yield NativeProblem(("network", "pods"), message, hint)


def _check_room(inventory: Inventory) -> Iterator[NativeProblem]:
    """k0s itself gives a `controller+worker` a taint that keeps ordinary pods away."""
    working = [host for host in inventory.hosts if host.role.takes_work]
    tainted = [host for host in working if host.role is Role.CONTROLLER_WORKER and not effective(host, "noTaints")]
    if working and len(tainted) == len(working):
        message = "nothing ordinary can be scheduled: k0s gives a `controller+worker` the control plane's taint"
        yield NativeProblem(tainted[0].origin, message, "write `k0s: {noTaints: true}`, or add a worker")
