"""What must be settled on hosts before k3s can live there, judged from facts alone. Pure; mends nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from bootstrap.distros.k3s.layout import CONFIG, data_folder, effective, server_port, service
from bootstrap.distros.k3s.versions import GRAMMAR, parse_version
from bootstrap.driver import PlanInput
from bootstrap.model import Finding, Host, HostFacts, Inventory

CLOCK_TOLERANCE = 30.0  # seconds
ARCHES = ("amd64", "arm64", "arm")  # what upstream publishes
CGROUP_V2_SINCE = (1, 35)  # kubelets refuse cgroup v1 by default from then on
LEAST_MEMORY = {True: 1_500_000, False: 450_000}  # kB by "is a server": 2 GB and 512 MB boards show about this
ROOM_TO_INSTALL = {True: 1_000_000, False: 600_000}  # kB: 263 MB unpacked, then images and the datastore
ROOM_FOR_BINARY = 200_000  # kB in /usr/local: 99 MB, and as much again while it is replaced
ROOM_TO_WRITE = 20_000  # kB: below this a host that runs can't be changed either
REMOVAL = {
    "k0s": "`k0s stop && k0s reset` takes it away, a reboot ends the rest",
    "kubeadm": "`kubeadm reset` takes it away",
    "microk8s": "`snap remove --purge microk8s` takes it away",
    "rke2": "`rke2-uninstall.sh` takes it away",
}


@dataclass(frozen=True)
class Subject:
    """One host, what it shall be, and what was seen of it."""

    inventory: Inventory
    host: Host
    facts: HostFacts

    @property
    def is_installed(self) -> bool:
        """k3s is there in the role it shall have: what it uses is its own, and room for it is taken already."""
        unit = self.facts.units.get(service(self.host))
        return unit is not None and unit.load == "loaded"

    def stop(self, message: str, hint: str = "") -> Finding:
        return Finding(self.host.name, message, hint)

    def note(self, message: str, hint: str = "") -> Finding:
        return Finding(self.host.name, message, hint, stops=False)


def check_host_facts(plan_input: PlanInput) -> list[Finding]:
    """Findings of all hosts that were seen, in the order of the inventory; those over several hosts first."""
    inventory = plan_input.inventory
    seen = [
        Subject(inventory, host, plan_input.facts[host.name])
        for host in inventory.hosts
        if host.name in plan_input.facts
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
    arch, wanted = subject.facts.arch, subject.host.arch
    if arch not in ARCHES:
        yield subject.stop(
            f"k3s has no release for its architecture, {arch or 'unknown'}", f"upstream has {', '.join(ARCHES)}"
        )
    elif wanted and arch != wanted:
        yield subject.stop(
            f"it is {arch}, the inventory says {wanted}", "correct `arch`, or leave it out: it is observed"
        )
    if subject.facts.init not in ("systemd", "openrc"):
        yield subject.stop("neither systemd nor OpenRC runs it", "k3s' installer knows no other service manager")


def check_occupants(subject: Subject) -> Iterator[Finding]:
    """Other distributions, and another cluster's k3s."""
    for name in subject.facts.distributions:
        if name != "k3s":
            yield subject.stop(f"there are remains of {name}", REMOVAL.get(name, "remove it first"))
    owner = _find_owner(subject.facts)
    if owner and owner != subject.inventory.cluster:
        message = f"it belongs to cluster {owner}"
        yield subject.stop(
            message, f"`bootstrap remove {subject.host.name}` with that cluster's inventory, or correct the address"
        )
    elif not owner and subject.is_installed:
        yield subject.note("k3s is there already, and was not installed by this program: it will be taken over")


def _find_owner(facts: HostFacts) -> str:
    """The cluster that the host was made part of, by its record, else by the first line of its configuration."""
    if facts.record and facts.record.cluster:
        return facts.record.cluster
    file = facts.files.get(CONFIG)
    first = (file.content or "").partition("\n")[0] if file else ""
    marked = first.startswith("# k3s ") and "Made from the inventory by bootstrap" in first
    return first.partition(" of cluster ")[2].partition(". ")[0] if marked else ""


def check_ports(subject: Subject) -> Iterator[Finding]:
    if subject.is_installed:
        return
    for port, use in _needed_ports(subject).items():
        if port in subject.facts.listening:
            hint = f"`ss -ltnp 'sport = :{port}'` on the host shows what listens there"
            yield subject.stop(f"port {port} is in use, and k3s needs it for {use}", hint)


def _needed_ports(subject: Subject) -> dict[int, str]:
    if not subject.host.role.controls:
        return {10250: "the kubelet"}
    ports = {server_port(subject.host): "the API", 10250: "the kubelet"}
    controllers = subject.inventory.controllers
    external = any(effective(host).get("datastore-endpoint") for host in controllers)
    etcd = len(controllers) > 1 or any(effective(host).get("cluster-init") for host in controllers)
    return ports | {2379: "etcd's clients", 2380: "etcd's members"} if etcd and not external else ports


def check_room(subject: Subject) -> Iterator[Finding]:
    folder = data_folder(subject.host)
    needed = ROOM_TO_WRITE if subject.is_installed else ROOM_TO_INSTALL[subject.host.role.controls]
    places = {
        folder: needed,
        "/usr/local/bin": ROOM_TO_WRITE if subject.is_installed else ROOM_FOR_BINARY,
        "/etc": 1_000,
    }
    for place, least in places.items():
        free = _find_free(subject.facts, place)
        if free is not None and free < least:
            yield subject.stop(
                f"{place} has {_format_size(free)} free, {_format_size(least)} are needed", "make room there"
            )


def _find_free(facts: HostFacts, folder: str) -> int | None:
    """kB free where the folder is or will be; None when that was not asked, as for a disk mounted elsewhere."""
    holders = [place for place in facts.free_kb if folder == place or folder.startswith(place.rstrip("/") + "/")]
    nearest = max(holders, key=len, default="/")
    return None if nearest == "/" else facts.free_kb[nearest]


def _format_size(kilobytes: int) -> str:
    return f"{kilobytes / 1_000_000:.1f} GB" if kilobytes >= 1_000_000 else f"{kilobytes // 1000} MB"


def check_memory(subject: Subject) -> Iterator[Finding]:
    """Remarks for a host that is yet to be installed: who runs k3s there already knows."""
    if subject.is_installed:
        return
    least = LEAST_MEMORY[subject.host.role.controls]
    if 0 < subject.facts.memory_kb < least:
        kind, advised = ("server", "2 GB") if subject.host.role.controls else ("agent", "512 MB")
        yield subject.note(
            f"it has {_format_size(subject.facts.memory_kb)} of memory; k3s advises {advised} for a {kind}"
        )
    if subject.facts.swap_kb:
        yield subject.note("swap is on: k3s starts all the same, but memory limits of pods are less exact")


def check_cgroups(subject: Subject) -> Iterator[Finding]:
    if not subject.facts.memory_cgroup:
        hint = (
            "add ` cgroup_memory=1 cgroup_enable=memory` to the end of the one line in /boot/firmware/cmdline.txt"
            " (older images: /boot/cmdline.txt), then reboot"
        )
        yield subject.stop("the kernel's memory cgroup is off, as on a fresh Raspberry Pi", hint)
    if subject.facts.cgroup == 1 and _refuses_cgroup_v1(subject):
        hint = (
            "boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line,"
            " or give k3s `kubelet-arg: [fail-cgroupv1=false]`"
        )
        yield subject.stop(
            f"it has cgroup v1, on which the kubelet of {subject.inventory.version} does not start", hint
        )


def _refuses_cgroup_v1(subject: Subject) -> bool:
    version = subject.inventory.version
    if GRAMMAR.fullmatch(version) and parse_version(version).series < CGROUP_V2_SINCE:
        return False
    arguments = effective(subject.host).get("kubelet-arg") or []
    arguments = [arguments] if isinstance(arguments, str) else arguments
    return "fail-cgroupv1=false" not in [str(argument).removeprefix("--") for argument in arguments]


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


def check_routes(subject: Subject) -> Iterator[Finding]:
    if subject.facts.default_interface:
        return
    hint = "a route into nowhere will do: `ip route add default dev INTERFACE`"
    if subject.host.node_addresses or subject.host.node_interface:
        yield subject.note("it has no default route, which kube-proxy needs for service addresses", hint)
    else:
        yield subject.stop(
            "it has no default route, by which k3s finds the node's address", f"{hint}; or give `node_address`"
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
    check_routes,
)
