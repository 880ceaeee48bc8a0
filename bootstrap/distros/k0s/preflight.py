"""What k0s needs of a host, for the checks that all distributions share; and what only it asks. Pure."""

from collections.abc import Iterator

from bootstrap.distros.k0s.documents import cluster_spec
from bootstrap.distros.k0s.layout import (
    CONFIG,
    INSTALL_FLAGS,
    JOIN_PORT,
    KONNECTIVITY_PORT,
    config_of,
    data_folder,
    effective,
    join_port,
    lookup,
    runs_etcd,
    server_port,
    service,
)
from bootstrap.distros.k0s.versions import CGROUP_2, GRAMMAR, parse_version
from bootstrap.driver import PlanInput
from bootstrap.model import Finding, Host, HostFacts, Inventory
from bootstrap.preflight import Needs, check_host_facts

PODS, SERVICES = "10.244.0.0/16", "10.96.0.0/12"  # k0s' defaults
ARCHES = ("amd64", "arm64", "arm")  # upstream has no binary for riscv64
LEAST_MEMORY = {True: 900_000, False: 450_000}  # kB by "is a controller" (docs.k0sproject.io, system requirements)
ROOM_TO_INSTALL = {True: 1_000_000, False: 1_600_000}  # kB below the data folder
ROOM_FOR_BINARY = 560_000  # kB in /usr/local: 270 MB, and as much again while it is replaced
ROOM_TO_WRITE = 50_000


def check_hosts(plan_input: PlanInput) -> list[Finding]:
    """All findings of the hosts that were seen."""
    inventory, facts = plan_input.inventory, plan_input.facts
    own = [
        finding
        for host in inventory.hosts
        if host.name in facts
        for check in (check_sysinfo, check_names, check_unit_failed)
        for finding in check(inventory, host, facts[host.name])
    ]
    return [*check_host_facts(plan_input, state_needs), *own, *check_addresses(plan_input)]


def state_needs(inventory: Inventory, host: Host, facts: HostFacts) -> Needs:
    """What k0s wants of one host."""
    unit = facts.units.get(service(host))
    installed = unit is not None and unit.load == "loaded"
    kind, advised = ("controller", "1 GB") if host.role.controls else ("worker", "512 MB")
    return Needs(
        distro="k0s",
        is_installed=installed,
        marked_file=CONFIG if host.role.controls else INSTALL_FLAGS,
        arches=ARCHES,
        inits={"systemd": "systemd", "openrc": "OpenRC"},
        ports=_list_ports(inventory, host),
        room=_list_room(host, installed=installed),
        least_memory=LEAST_MEMORY[host.role.controls],
        memory_advice=f"k0s advises {advised} for a {kind}",
        swap_advice="k0s starts all the same, but memory limits of pods are less exact",
        cgroup_v1_hint=_refuses_cgroup_v1(inventory, host),
        ranges=_list_ranges(inventory),
    )


def _list_ports(inventory: Inventory, host: Host) -> dict[int, str]:
    kubelet = {10250: "the kubelet"} if host.role.takes_work else {}
    if not host.role.controls:
        return kubelet
    konnectivity = lookup(config_of(host), "konnectivity", "agentPort") or KONNECTIVITY_PORT
    own = {
        server_port(host): "the API",
        join_port(host) or JOIN_PORT: "controllers that join",
        int(konnectivity): "konnectivity",
        10257: "the controller manager",
        10259: "the scheduler",
    }
    etcd = {2379: "etcd's clients", 2380: "etcd's members"} if runs_etcd(inventory) else {}
    return {**own, **etcd, **kubelet}


def _list_ranges(inventory: Inventory) -> dict[str, str]:
    network = cluster_spec(inventory).get("network") or {}
    dual = network.get("dualStack") or {}
    own = {"pods": (network.get("podCIDR"), PODS, dual.get("IPv6podCIDR"))}
    own["services"] = (network.get("serviceCIDR"), SERVICES, dual.get("IPv6serviceCIDR"))
    return {
        str(range_): use
        for use, (given, default, second) in own.items()
        for range_ in (given or default, second)
        if range_
    }


def _list_room(host: Host, *, installed: bool) -> dict[str, int]:
    return {
        data_folder(host): ROOM_TO_WRITE if installed else ROOM_TO_INSTALL[host.role.controls],
        "/usr/local/bin": ROOM_TO_WRITE if installed else ROOM_FOR_BINARY,
        "/etc": 1_000,
    }


def _refuses_cgroup_v1(inventory: Inventory, host: Host) -> str:
    """From 1.35 on k0s and its kubelet refuse cgroup v1 unless both are told otherwise; the hint names what is missing."""
    if not host.role.takes_work and not host.role.controls:
        return ""
    if GRAMMAR.fullmatch(inventory.version) and parse_version(inventory.version).series < CGROUP_2:
        return ""
    missing = []
    if "--ignore-pre-flight-checks=true" not in (effective(host, "installFlags") or ()):
        missing.append("`installFlags: [--ignore-pre-flight-checks=true]`")
    if host.role.takes_work and not _profile_takes_v1(inventory, host):
        missing.append(
            "a profile in `config.workerProfiles` with `values: {failCgroupV1: false}`, and `profile:` with its name"
        )
    return " and ".join(missing)


def _profile_takes_v1(inventory: Inventory, host: Host) -> bool:
    wanted = effective(host, "profile") or "default"
    profiles = lookup(inventory.native, "config", "workerProfiles") or ()
    return any(
        isinstance(each, dict) and each.get("name") == wanted and lookup(each, "values", "failCgroupV1") is False
        for each in profiles
    )


# --- what only k0s asks --------------------------------------------------------------------------


def check_sysinfo(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:  # noqa: ARG001
    """k0s' own pre-flight, where its binary lies on a host that is yet to be installed."""
    if "--ignore-pre-flight-checks=true" in (effective(host, "installFlags") or ()):
        return
    for rejected in facts.values.get("rejected") or ():
        yield Finding(host.name, f"k0s would not start there: {rejected}", "`k0s sysinfo` on the host shows all of it")


def check_names(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:  # noqa: ARG001
    """k0s is static and reads /etc/hosts and DNS itself: a `localhost` that only NSS knows is not found."""
    found, hint = facts.values.get("localhost"), "put `127.0.0.1 localhost` into /etc/hosts there"
    if found == "unknown":
        yield Finding(host.name, "the name `localhost` is not in /etc/hosts, and k0s does not start without it", hint)
    elif found == "asked":
        message = (
            "the name `localhost` is not in /etc/hosts: k0s asks the name server for it, and does not start without it"
        )
        yield Finding(host.name, message, hint, stops=False)


def check_unit_failed(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:  # noqa: ARG001
    """A service that systemd starts again and again: what it says is worth a look before it is changed."""
    unit = facts.units.get(service(host))
    if unit is not None and unit.load == "loaded" and unit.active in ("failed", "activating") and unit.restarts:
        message = f"{service(host)} has restarted itself {unit.restarts} times and does not stay up"
        yield Finding(host.name, message, f"`journalctl -u {service(host)} -n 50` on the host says why", stops=False)


def check_addresses(plan_input: PlanInput) -> Iterator[Finding]:
    """Without an endpoint and without a balancer on each node, workers know the address of one controller."""
    inventory = plan_input.inventory
    balanced = lookup(inventory.native, "config", "network", "nodeLocalLoadBalancing", "enabled")
    virtual = lookup(inventory.native, "config", "network", "controlPlaneLoadBalancing", "enabled")
    external = lookup(inventory.native, "config", "api", "externalAddress")
    if (
        len(inventory.controllers) > 1
        and inventory.workers
        and not (inventory.endpoint or balanced or virtual or external)
    ):
        message = "workers that join through this controller know no other one: without it they lose the API"
        hint = "`k0s: {config: {network: {nodeLocalLoadBalancing: {enabled: true}}}}`, or an `endpoint`"
        yield Finding(inventory.controllers[0].name, message, hint, stops=False)
