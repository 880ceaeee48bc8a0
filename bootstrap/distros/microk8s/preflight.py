"""What MicroK8s needs of a host, for the checks that all distributions share; and what only it asks. Pure."""

from collections.abc import Iterator

from bootstrap.distros.microk8s.addons import CORE_REPOSITORY, choose_addons, note_addons
from bootstrap.distros.microk8s.cluster import is_installed
from bootstrap.distros.microk8s.layout import (
    AGENT_PORT,
    DQLITE_PORT,
    LAUNCH_CONFIG,
    is_ha,
    server_port,
)
from bootstrap.distros.microk8s.network import pods_of, services_of
from bootstrap.distros.microk8s.probes import Snapd, enabled_addons, snap_of
from bootstrap.distros.microk8s.versions import is_strict, note_version
from bootstrap.driver import PlanInput
from bootstrap.facts import has_trace
from bootstrap.model import Finding, Host, HostFacts, Inventory
from bootstrap.preflight import Needs, check_host_facts

ARCHES = ("amd64", "arm64")
LEAST_TO_START = (
    540_000  # kB; with 512 MiB or less the snap locks its control plane (canonical/microk8s: snap/hooks/install)
)
LEAST_MEMORY = {True: 2_000_000, False: 1_000_000}  # kB by "is a controller"
ROOM_TO_INSTALL = 5_000_000  # kB below /var: the snap, its base, images
ROOM_TO_WRITE = 50_000
HOLDS = (2, 58)  # snapd: `snap refresh --hold`


def check_hosts(plan_input: PlanInput) -> list[Finding]:
    """All findings of the hosts that were seen."""
    inventory, facts = plan_input.inventory, plan_input.facts
    own = [
        finding
        for host in inventory.hosts
        if host.name in facts
        for check in (check_snapd, check_name, check_memory, check_snap, check_address)
        for finding in check(inventory, host, facts[host.name])
    ]
    return [*check_host_facts(plan_input, state_needs), *own, *check_addons(plan_input)]


def state_needs(inventory: Inventory, host: Host, facts: HostFacts) -> Needs:
    """What MicroK8s wants of one host."""
    installed = is_installed(facts)
    kind, advised = ("controller", "4 GB") if host.role.controls else ("worker", "2 GB")
    return Needs(
        distro="microk8s",
        is_installed=installed,
        marked_file=LAUNCH_CONFIG,
        arches=ARCHES,
        inits={"systemd": "systemd"},
        ports=_list_ports(inventory, host),
        room={"/var/lib": ROOM_TO_WRITE if installed else ROOM_TO_INSTALL, "/etc": 1_000},
        least_memory=LEAST_MEMORY[host.role.controls],
        memory_advice=f"MicroK8s advises {advised} for a {kind}",
        swap_advice="its kubelet starts all the same, but memory limits of pods are less exact",
        cgroup_v1_hint=_cgroup_hint(host),
        ranges=dict.fromkeys(pods_of(inventory), "pods") | dict.fromkeys(services_of(inventory), "services"),
    )


def _list_ports(inventory: Inventory, host: Host) -> dict[int, str]:
    """Every node is a controller of its own before it joins."""
    own = {server_port(host): "the API", AGENT_PORT: "the cluster agent", 10250: "the kubelet"}
    own |= {10257: "the controller manager", 10259: "the scheduler"}
    return {**own, **({DQLITE_PORT: "dqlite"} if is_ha(inventory) else {12379: "etcd"})}


def _cgroup_hint(host: Host) -> str:
    given = (host.native.get("args") or {}).get("kubelet") or {}
    return (
        "" if str(given.get("--fail-cgroupv1")).lower() == "false" else '`args: {kubelet: {--fail-cgroupv1: "false"}}`'
    )


# --- snapd ---------------------------------------------------------------------------------------


def check_snapd(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:
    """snapd is there, answers, can hold refreshes, and is at rest."""
    snapd: Snapd | None = facts.values.get("snapd")
    if snapd is None:
        hint = "`apt-get install snapd` there; where there is none, another distribution suits the host better"
        yield Finding(host.name, "it has no snapd, which MicroK8s comes by", hint)
        return
    if snapd.problem:
        hint = "`systemctl restart snapd.socket snapd` there; `snap warnings` and its journal say more"
        yield Finding(host.name, f"snapd does not answer: {snapd.problem}", hint)
    if snapd.version and _numbers(snapd.version) < HOLDS:
        message = (
            f"its snapd is {snapd.version}, which can't hold refreshes: it would restart nodes at a time of its own"
        )
        yield Finding(
            host.name, message, "`apt-get install --only-upgrade snapd`, or `snap install snapd`: 2.58 or later"
        )
    if snapd.misses_folder and not is_strict(inventory):
        message = "it has no /snap, which classic snaps such as MicroK8s live in"
        yield Finding(host.name, message, "`ln -s /var/lib/snapd/snap /snap` there")
    for change in snapd.changes:
        number = change.partition(" ")[0]
        hint = f"it ends by itself: `snap watch {number}`; one that is stuck: `snap abort {number}`"
        yield Finding(host.name, f"snapd is at work: change {change}", hint)


def _numbers(version: str) -> tuple[int, int]:
    first, _, rest = version.partition(".")
    second = rest.partition(".")[0].partition("+")[0].partition("~")[0]
    return (int(first), int(second)) if first.isdigit() and second.isdigit() else HOLDS


def check_snap(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:  # noqa: ARG001 - the form of all checks
    """An installed MicroK8s that snapd can't start, and a base that only the store has."""
    snap = snap_of(facts)
    if snap and snap.notes & {"broken", "disabled"}:
        word = "broken" if "broken" in snap.notes else "disabled"
        hint = "`snap enable microk8s` there" if word == "disabled" else "`snap remove --purge microk8s` there"
        yield Finding(host.name, f"its snap microk8s is {word}", hint)
    if snap and snap.notes & {"try", "devmode"}:
        yield Finding(host.name, "its snap microk8s is one of a developer's, without confinement", "reinstall it")
    if has_trace(facts, "low-memory"):
        hint = "give it more, then `microk8s start --disable-low-memory-guard` there"
        yield Finding(
            host.name, "MicroK8s found too little memory at its install, and keeps its control plane locked", hint
        )
    if has_trace(facts, "joining") and facts.record is None:
        message = "a join that somebody else began did not end there: certificates are not watched since"
        yield Finding(
            host.name, message, "`rm /var/snap/microk8s/current/var/lock/join-in-progress` there", stops=False
        )


# --- the host ------------------------------------------------------------------------------------


def check_name(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:
    """The Node is called as the host calls itself, and the certificates of a join are made for that name."""
    name = facts.hostname
    if not name or name == host.name or name in {each.name for each in inventory.hosts}:
        return
    hint = f"`hostnamectl set-hostname {host.name}` there, or call it {name.lower()} in the inventory"
    if name != name.lower() or "_" in name:
        what = "an upper-case letter" if name != name.lower() else "an underscore"
        hint = f"`hostnamectl set-hostname {host.name}` there"
        yield Finding(host.name, f"its hostname {name} has {what}, and no node of that name can register", hint)
    else:
        yield Finding(host.name, f"its hostname is {name}, and MicroK8s names the node by it", hint)


def check_memory(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:  # noqa: ARG001 - the form of all checks
    if 0 < facts.memory_kb < LEAST_TO_START and not is_installed(facts):
        has = f"{facts.memory_kb // 1024} MiB"
        hint = "another distribution suits it better"
        yield Finding(host.name, f"it has {has} of memory, and MicroK8s does not start with 512 MiB or less", hint)


def check_address(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:
    """A join takes an IPv4 address apart at its colons, and refuses every other form (canonical/microk8s: join.py)."""
    address = next(iter(facts.node_addresses(host)), "")
    if host.role.controls and len(inventory.hosts) > 1 and ":" in address:
        message = f"its address {address} is IPv6, and MicroK8s joins by IPv4 alone"
        yield Finding(host.name, message, "give an IPv4 `node_address`, first where there are two")


# --- add-ons -------------------------------------------------------------------------------------


def check_addons(plan_input: PlanInput) -> Iterator[Finding]:
    """What people should know of them, and names that the running MicroK8s has not."""
    inventory = plan_input.inventory
    controllers = [host for host in inventory.controllers if host.name in plan_input.facts]
    if not controllers:
        return
    asked = controllers[0].name
    if remark := note_version(inventory):
        yield Finding(asked, remark, stops=False)
    for message, hint in note_addons(inventory):
        yield Finding(asked, message, hint, stops=False)
    yield from _check_listed(plan_input, asked)
    for chosen in choose_addons(inventory):
        arches = chosen.known.arches if chosen.known else ARCHES
        for host in controllers:
            if plan_input.facts[host.name].arch not in arches:
                yield Finding(host.name, f"the add-on {chosen.name} is for {', '.join(arches)} alone", "leave it out")


def _check_listed(plan_input: PlanInput, asked: str) -> Iterator[Finding]:
    """Repositories are known to the running MicroK8s alone; what is there already is held against its list."""
    listed = next((found for facts in plan_input.facts.values() if (found := enabled_addons(facts))), {})
    known = {name.partition("/")[0] for name in listed}
    for chosen in choose_addons(plan_input.inventory):
        if chosen.repository == CORE_REPOSITORY or chosen.repository not in known or chosen.full_name in listed:
            continue
        names = sorted(name for name in listed if name.startswith(f"{chosen.repository}/"))
        hint = f"it has {', '.join(names[:8])}" + (" and more" if len(names) > 8 else "")
        yield Finding(asked, f"the repository {chosen.repository} has no add-on {chosen.name}", hint)
