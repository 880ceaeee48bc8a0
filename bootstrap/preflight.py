"""What must be settled on hosts before any distribution can live there, judged from facts alone. Pure; mends nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from statistics import median

from bootstrap.driver import PlanInput
from bootstrap.model import Finding, Host, HostFacts, Inventory

CLOCK_TOLERANCE = 30.0  # seconds
TAKEN_OVER = "{} is there already, and was not installed by this program: it will be taken over"
REMOVAL = {
    "k0s": "`k0s stop && k0s reset` takes it away, a reboot ends the rest",
    "k3s": "`k3s-uninstall.sh`, or `k3s-agent-uninstall.sh`, takes it away",
    "kubeadm": "`kubeadm reset` takes it away",
    "microk8s": "`snap remove --purge microk8s` takes it away",
    "rke2": "`rke2-uninstall.sh` takes it away",
}


@dataclass(frozen=True)
class Needs:
    """What a distribution wants of one host in the role that it shall have there."""

    distro: str
    is_installed: bool  # what it uses is its own then, and room for it is taken already
    marked_file: str  # its configuration, whose first line names the cluster
    arches: tuple[str, ...]
    inits: Mapping[str, str]  # init systems that it can live with, by the name that people know
    ports: Mapping[int, str]  # TCP port -> what for
    room: Mapping[str, int]  # folder -> kB that must be free
    least_memory: int  # kB
    memory_advice: str  # such as "k3s advises 2 GB for a server"
    swap_advice: str
    cgroup_v1_hint: str  # how it could live with cgroup v1 all the same; empty when it does
    ranges: Mapping[str, str] = field(default_factory=dict)  # network of its own -> what for
    judges_strangers: bool = False  # it says itself what becomes of an installation that is not on record


@dataclass(frozen=True)
class Subject:
    """One host, what it shall be, and what was seen of it."""

    inventory: Inventory
    host: Host
    facts: HostFacts
    needs: Needs

    def stop(self, message: str, hint: str = "") -> Finding:
        return Finding(self.host.name, message, hint)

    def note(self, message: str, hint: str = "") -> Finding:
        return Finding(self.host.name, message, hint, stops=False)


def check_host_facts(plan_input: PlanInput, needs_of: Callable[[Inventory, Host, HostFacts], Needs]) -> list[Finding]:
    """Findings of all hosts that were seen, in the order of the inventory; those over several hosts first."""
    inventory, facts = plan_input.inventory, plan_input.facts
    seen = [
        Subject(inventory, host, facts[host.name], needs_of(inventory, host, facts[host.name]))
        for host in inventory.hosts
        if host.name in facts
    ]
    shared = [finding for check in SHARED_CHECKS for finding in check(seen)]
    return shared + [finding for subject in seen for check in CHECKS for finding in check(subject)]


# --- over all hosts ------------------------------------------------------------------------------


def check_clocks(seen: list[Subject]) -> Iterator[Finding]:
    """Certificates are refused by a clock that is behind, and etcd wants clocks together."""
    offsets = [subject.facts.clock_offset for subject in seen]
    among_hosts = len(seen) >= 3
    reference = median(offsets) if among_hosts else 0.0
    for subject in seen:
        off = subject.facts.clock_offset - reference
        if abs(off) > CLOCK_TOLERANCE:
            side, than = "ahead of" if off > 0 else "behind", "the other hosts" if among_hosts else "this machine"
            message = f"its clock is {_format_seconds(abs(off))} {side} {than}"
            yield subject.stop(message, "start a time service there: `timedatectl set-ntp true`, or chrony")
    if abs(reference) > CLOCK_TOLERANCE:
        side = "behind" if reference > 0 else "ahead of"
        yield Finding("this machine", f"its clock is {_format_seconds(abs(reference))} {side} the hosts", stops=False)


def _format_seconds(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def check_identities(seen: list[Subject]) -> Iterator[Finding]:
    """Two entries for one machine, machines copied from one image, machines under each other's name."""
    for subject, others in ((subject, seen[:index]) for index, subject in enumerate(seen)):
        same = next((other for other in others if _is_same_machine(subject.facts, other.facts)), None)
        copied = next(
            (o for o in others if o.facts.machine_id and o.facts.machine_id == subject.facts.machine_id), None
        )
        if same:
            hint = "give each its own address, or take one out of the inventory"
            yield subject.stop(f"it is the same machine as {same.host.name}", hint)
        elif copied:
            message = f"it has the machine-id of {copied.host.name}: both come from one image"
            yield subject.stop(message, "`rm /etc/machine-id && systemd-machine-id-setup`, then reboot")
    names = {subject.host.name for subject in seen}
    for subject in seen:
        hostname = subject.facts.hostname.partition(".")[0]
        if hostname != subject.host.name and hostname in names:
            message = (
                f"the machine at {subject.host.connection.address} calls itself {hostname}, which is another host here"
            )
            yield subject.stop(message, "correct the address, or the hostname on the machine")


def _is_same_machine(one: HostFacts, other: HostFacts) -> bool:
    """Containers of one kernel share its boot id, and copies a machine-id: only addresses tell them from one machine."""
    same_boot = bool(one.boot_id) and one.boot_id == other.boot_id
    return same_boot and one.machine_id == other.machine_id and one.interfaces == other.interfaces


# --- one host ------------------------------------------------------------------------------------


def check_platform(subject: Subject) -> Iterator[Finding]:
    needs, arch, wanted = subject.needs, subject.facts.arch, subject.host.arch
    if arch not in needs.arches:
        yield subject.stop(
            f"{needs.distro} has no release for its architecture, {arch or 'unknown'}",
            f"upstream has {', '.join(needs.arches)}",
        )
    elif wanted and arch != wanted:
        yield subject.stop(
            f"it is {arch}, the inventory says {wanted}", "correct `arch`, or leave it out: it is observed"
        )
    if subject.facts.init not in needs.inits:
        known = list(needs.inits.values())
        message = f"neither {' nor '.join(known)} runs it" if len(known) > 1 else f"{known[0]} does not run it"
        yield subject.stop(message, f"{needs.distro} can be installed with no other service manager")


def check_occupants(subject: Subject) -> Iterator[Finding]:
    """Other distributions, and another cluster's installation of this one."""
    for name in subject.facts.distributions:
        if name != subject.needs.distro:
            yield subject.stop(f"there are remains of {name}", REMOVAL.get(name, "remove it first"))
    owner = find_owner(subject.facts, subject.needs)
    if owner and owner != subject.inventory.cluster:
        message = f"it belongs to cluster {owner}"
        yield subject.stop(
            message, f"`bootstrap remove {subject.host.name}` with that cluster's inventory, or correct the address"
        )
    elif not owner and subject.needs.is_installed and not subject.needs.judges_strangers:
        yield subject.note(TAKEN_OVER.format(subject.needs.distro))


def find_owner(facts: HostFacts, needs: Needs) -> str:
    """The cluster that the host was made part of, by its record, else by the first line of its configuration."""
    if facts.record and facts.record.cluster:
        return facts.record.cluster
    file = facts.files.get(needs.marked_file)
    first = (file.content or "").partition("\n")[0] if file else ""
    marked = first.startswith(f"# {needs.distro} ") and "Made from the inventory by bootstrap" in first
    return first.partition(" of cluster ")[2].partition(". ")[0] if marked else ""


def check_ports(subject: Subject) -> Iterator[Finding]:
    if subject.needs.is_installed:
        return
    for port, use in subject.needs.ports.items():
        if port in subject.facts.listening:
            hint = f"`ss -ltnp 'sport = :{port}'` on the host shows what listens there"
            yield subject.stop(f"port {port} is in use, and {subject.needs.distro} needs it for {use}", hint)


def check_room(subject: Subject) -> Iterator[Finding]:
    for place, least in subject.needs.room.items():
        free = _find_free(subject.facts, place)
        if free is not None and free < least:
            message = f"{place} has {_format_size(free)} free, {_format_size(least)} are needed"
            yield subject.stop(message, "make room there")


def _find_free(facts: HostFacts, folder: str) -> int | None:
    """kB free where the folder is or will be; None when that was not asked, as for a disk mounted elsewhere."""
    holders = [place for place in facts.free_kb if folder == place or folder.startswith(place.rstrip("/") + "/")]
    nearest = max(holders, key=len, default="/")
    return None if nearest == "/" else facts.free_kb[nearest]


def _format_size(kilobytes: int) -> str:
    return f"{kilobytes / 1_000_000:.1f} GB" if kilobytes >= 1_000_000 else f"{kilobytes // 1000} MB"


def check_memory(subject: Subject) -> Iterator[Finding]:
    """Remarks for a host that is yet to be installed: who runs it there already knows."""
    if subject.needs.is_installed:
        return
    if 0 < subject.facts.memory_kb < subject.needs.least_memory:
        has = _format_size(subject.facts.memory_kb)
        yield subject.note(f"it has {has} of memory; {subject.needs.memory_advice}")
    if subject.facts.swap_kb and subject.needs.swap_advice:
        yield subject.note(f"swap is on: {subject.needs.swap_advice}")


def check_cgroups(subject: Subject) -> Iterator[Finding]:
    if not subject.facts.memory_cgroup:
        hint = (
            "add ` cgroup_memory=1 cgroup_enable=memory` to the end of the one line in /boot/firmware/cmdline.txt"
            " (older images: /boot/cmdline.txt), then reboot"
        )
        yield subject.stop("the kernel's memory cgroup is off, as on a fresh Raspberry Pi", hint)
    if subject.facts.cgroup == 1 and subject.needs.cgroup_v1_hint:
        hint = (
            "boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line,"
            f" or give {subject.needs.cgroup_v1_hint}"
        )
        yield subject.stop(
            f"it has cgroup v1, on which the kubelet of {subject.inventory.version} does not start", hint
        )


def check_addresses(subject: Subject) -> Iterator[Finding]:
    host, facts = subject.host, subject.facts
    there = {address: each.name for each in facts.interfaces for address in each.addresses}
    if not there:  # a host without the `ip` command tells none
        return
    if host.node_interface and not host.node_addresses and host.node_interface not in there.values():
        names = ", ".join(dict.fromkeys(there.values()))
        yield subject.stop(f"it has no interface {host.node_interface} with an address", f"it has {names}")
    for address in host.node_addresses:
        if address not in there:
            yield subject.stop(f"node_address {address} is not on the host", f"it has {', '.join(there)}")


def check_ranges(subject: Subject) -> Iterator[Finding]:
    """Before there are pods, an address in their range is another network's: packets for it would go to pods."""
    if subject.needs.is_installed:
        return
    for interface in subject.facts.interfaces:
        for address in interface.addresses:
            for network, use in subject.needs.ranges.items():
                if ip_address(address) in ip_network(network, strict=False):
                    message = f"its address {address} ({interface.name}) lies in {network}, which shall be the {use}'"
                    hint = f"give another range as `network.{use}`; if an earlier cluster left {interface.name}: reboot"
                    yield subject.stop(message, hint)


def check_routes(subject: Subject) -> Iterator[Finding]:
    if subject.facts.default_interface:
        return
    hint = "a route into nowhere will do: `ip route add default dev INTERFACE`"
    if subject.host.node_addresses or subject.host.node_interface:
        yield subject.note("it has no default route, which kube-proxy needs for service addresses", hint)
    else:
        yield subject.stop(
            f"it has no default route, by which {subject.needs.distro} finds the node's address",
            f"{hint}; or give `node_address`",
        )


def check_operations(subject: Subject) -> Iterator[Finding]:
    for operation in subject.facts.running_operations:
        yield subject.stop(f"an earlier run still works here: {operation}", "it ends by itself: try again then")


SHARED_CHECKS: tuple[Callable[[list[Subject]], Iterator[Finding]], ...] = (check_clocks, check_identities)
CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    check_operations,
    check_platform,
    check_occupants,
    check_ports,
    check_room,
    check_memory,
    check_cgroups,
    check_addresses,
    check_ranges,
    check_routes,
)
