"""What k3s needs of a host, for the checks that all distributions share. Pure."""

from bootstrap.distros.k3s.layout import CONFIG, data_folder, effective, server_port, service
from bootstrap.distros.k3s.versions import GRAMMAR, parse_version
from bootstrap.model import Host, HostFacts, Inventory
from bootstrap.preflight import Needs

ARCHES = ("amd64", "arm64", "arm")  # what upstream publishes
CGROUP_V2_SINCE = (1, 35)  # kubelets refuse cgroup v1 by default from then on
LEAST_MEMORY = {True: 1_500_000, False: 450_000}  # kB by "is a server": 2 GB and 512 MB boards show about this
ROOM_TO_INSTALL = {True: 1_000_000, False: 600_000}  # kB: 263 MB unpacked, then images and the datastore
ROOM_FOR_BINARY = 200_000  # kB in /usr/local: 99 MB, and as much again while it is replaced
ROOM_TO_WRITE = 20_000  # kB: below this a host that runs can't be changed either


def state_needs(inventory: Inventory, host: Host, facts: HostFacts) -> Needs:
    """What k3s wants of one host."""
    unit = facts.units.get(service(host))
    installed = unit is not None and unit.load == "loaded"
    kind, advised = ("server", "2 GB") if host.role.controls else ("agent", "512 MB")
    return Needs(
        distro="k3s",
        is_installed=installed,
        marked_file=CONFIG,
        arches=ARCHES,
        inits={"systemd": "systemd", "openrc": "OpenRC"},
        ports=_list_ports(inventory, host),
        room=_list_room(host, installed),
        least_memory=LEAST_MEMORY[host.role.controls],
        memory_advice=f"k3s advises {advised} for a {kind}",
        swap_advice="k3s starts all the same, but memory limits of pods are less exact",
        cgroup_v1_hint="k3s `kubelet-arg: [fail-cgroupv1=false]`" if _refuses_cgroup_v1(inventory, host) else "",
    )


def _list_ports(inventory: Inventory, host: Host) -> dict[int, str]:
    if not host.role.controls:
        return {10250: "the kubelet"}
    ports = {server_port(host): "the API", 10250: "the kubelet"}
    external = any(effective(each).get("datastore-endpoint") for each in inventory.controllers)
    etcd = len(inventory.controllers) > 1 or any(effective(each).get("cluster-init") for each in inventory.controllers)
    return ports | {2379: "etcd's clients", 2380: "etcd's members"} if etcd and not external else ports


def _list_room(host: Host, installed: bool) -> dict[str, int]:  # noqa: FBT001
    return {
        data_folder(host): ROOM_TO_WRITE if installed else ROOM_TO_INSTALL[host.role.controls],
        "/usr/local/bin": ROOM_TO_WRITE if installed else ROOM_FOR_BINARY,
        "/etc": 1_000,
    }


def _refuses_cgroup_v1(inventory: Inventory, host: Host) -> bool:
    version = inventory.version
    if GRAMMAR.fullmatch(version) and parse_version(version).series < CGROUP_V2_SINCE:
        return False
    arguments = effective(host).get("kubelet-arg") or []
    arguments = [arguments] if isinstance(arguments, str) else arguments
    return "fail-cgroupv1=false" not in [str(argument).removeprefix("--") for argument in arguments]
