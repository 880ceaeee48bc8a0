"""What kubeadm needs of a host, for the checks that all distributions share; and what only it asks. Pure."""

from collections.abc import Iterator

from bootstrap.distros.kubeadm.cluster_checks import check_cluster
from bootstrap.distros.kubeadm.documents import network_of
from bootstrap.distros.kubeadm.images import check_images
from bootstrap.distros.kubeadm.layout import CONFIG, CONTAINERD_CONFIG, effective, server_port
from bootstrap.distros.kubeadm.machine_checks import check_machine, ignores
from bootstrap.distros.kubeadm.packages import check_packages
from bootstrap.distros.kubeadm.probes import KUBELET_CONF, UNFINISHED, etcd_folder
from bootstrap.distros.kubeadm.runtime import containerd_version, split_version
from bootstrap.distros.kubeadm.versions import CGROUP_2, CONTAINERD_2, GRAMMAR, parse_version
from bootstrap.driver import PlanInput
from bootstrap.facts import has_trace
from bootstrap.model import Finding, Host, HostFacts, Inventory
from bootstrap.preflight import Needs, check_host_facts

CONTAINERD_OLDEST = (1, 6)  # CRI v1, which kubelets ask since 1.26
# Plugin of containerd -> whether a 1.x has it.
PLUGINS = {
    "io.containerd.grpc.v1.cri": True,
    "io.containerd.cri.v1.runtime": False,
    "io.containerd.cri.v1.images": False,
}
ARCHES = ("amd64", "arm64")  # containerd publishes no 32-bit arm; with packages it is the host's own
LEAST_MEMORY = {True: 1700 * 1024, False: 900_000}  # kB by "is a controller", of which kubeadm makes none with less
ROOM_TO_INSTALL = {True: 3_000_000, False: 2_000_000}  # kB in /var/lib: images, their snapshots, etcd
ROOM_FOR_PROGRAMS = 400_000  # kB in /usr/local
ROOM_TO_WRITE = 50_000


def check_hosts(plan_input: PlanInput) -> list[Finding]:
    """All findings of the hosts that were seen."""
    inventory, facts = plan_input.inventory, plan_input.facts
    own = [
        finding
        for host in inventory.hosts
        if host.name in facts
        for finding in (
            *check_machine(inventory, host, facts[host.name]),
            *check_runtime(inventory, host, facts[host.name]),
            *check_packages(inventory, host, facts[host.name]),
            *check_swap(host, facts[host.name]),
            *check_images(plan_input, host, facts[host.name], joined=has_trace(facts[host.name], KUBELET_CONF)),
        )
    ]
    return [*check_host_facts(plan_input, state_needs), *own, *check_cluster(plan_input)]


def state_needs(inventory: Inventory, host: Host, facts: HostFacts) -> Needs:
    """What a kubeadm node wants of one host."""
    installed = has_trace(facts, KUBELET_CONF) or has_trace(facts, UNFINISHED)
    pods, services, _ = network_of(inventory)
    kind, advised = ("controller", "2 GB") if host.role.controls else ("worker", "1 GB")
    arches = (*ARCHES, "arm") if effective(host, "runtime") == "packages" else ARCHES
    return Needs(
        distro="kubeadm",
        is_installed=installed,
        marked_file=CONFIG if host.role.controls else CONTAINERD_CONFIG,
        arches=arches,
        inits={"systemd": "systemd"},
        ports=_list_ports(host),
        room=_list_room(host, installed),
        least_memory=0 if host.role.controls and not ignores(host, "Mem") else LEAST_MEMORY[host.role.controls],
        memory_advice=f"kubeadm advises {advised} for a {kind}",
        swap_advice="",
        cgroup_v1_hint="`kubelet: {failCgroupV1: false}` in the section `kubeadm`"
        if _refuses_cgroup_v1(inventory, host)
        else "",
        ranges=dict.fromkeys(pods, "pods") | dict.fromkeys(services, "services"),
        judges_strangers=True,
    )


def _list_ports(host: Host) -> dict[int, str]:
    kubelet = {10250: "the kubelet"}
    if not host.role.controls:
        return kubelet
    own = {server_port(host): "the API", 10257: "the controller manager", 10259: "the scheduler"}
    external = (effective(host, "cluster").get("etcd") or {}).get("external")
    return {**own, **kubelet, **({} if external else {2379: "etcd's clients", 2380: "etcd's members"})}


def _list_room(host: Host, installed: bool) -> dict[str, int]:  # noqa: FBT001
    places = {"/var/lib": ROOM_TO_WRITE if installed else ROOM_TO_INSTALL[host.role.controls]}
    if host.role.controls:
        places[etcd_folder(host)] = ROOM_TO_WRITE
    return {**places, "/usr/local/bin": ROOM_TO_WRITE if installed else ROOM_FOR_PROGRAMS, "/etc": 1_000}


def _refuses_cgroup_v1(inventory: Inventory, host: Host) -> bool:
    """From 1.35 on a kubelet does not start on cgroup v1 unless it is told to (kubernetes/enhancements#5573)."""
    if GRAMMAR.fullmatch(inventory.version) and parse_version(inventory.version).series < CGROUP_2:
        return False
    return effective(host, "kubelet").get("failCgroupV1") is not False


def check_runtime(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:
    """With `runtime: packages` containerd must be there, and be one that the kubelet of this minor can ask."""
    packaged = effective(host, "runtime") == "packages"
    version = str(facts.values.get("containerd") or "")
    install = "install {} there, or `kubeadm: {{runtime: release}}`"
    if packaged and not version:
        hint = "`apt-get install containerd runc containernetworking-plugins` there, or `kubeadm: {runtime: release}`"
        yield Finding(host.name, "it has no containerd, and the inventory says `runtime: packages`", hint)
    elif packaged and split_version(version) < CONTAINERD_OLDEST:
        message = f"its containerd is {version}: kubelets need 1.6 or later, which speaks CRI v1"
        yield Finding(host.name, message, install.format("a later containerd"))
    elif packaged and version.startswith("1.") and parse_version(inventory.version).series >= CONTAINERD_2:
        message = f"its containerd is {version}; the kubelet of {inventory.version} needs containerd 2"
        yield Finding(host.name, message, install.format("containerd 2"))
    yield from _check_configuration(host, containerd_version(inventory, host, {host.name: facts}))


def _check_configuration(host: Host, version: str) -> Iterator[Finding]:
    """containerd passes over tables of plugins that it has not: settings for another major would do nothing."""
    text = str(effective(host, "containerd"))
    is_old = split_version(version) < (2, 0)
    for plugin, for_old in PLUGINS.items():
        if plugin in text and is_old != for_old:
            other = next(name for name, old in PLUGINS.items() if old == is_old)
            message = (
                f"its containerd is {version}, and `kubeadm.containerd` has settings for {plugin}, which it has not"
            )
            hint = f"its configuration has version {2 if is_old else 3}: the plugin is called {other} there"
            yield Finding(host.name, message, hint)


def check_swap(host: Host, facts: HostFacts) -> Iterator[Finding]:
    """A kubelet does not start while swap is on, unless `failSwapOn: false`: the prepare script turns it off."""
    if facts.swap_kb and effective(host, "kubelet").get("failSwapOn") is not False:
        hint = "or keep it: `kubelet: {failSwapOn: false, memorySwap: {swapBehavior: LimitedSwap}}`"
        message = "swap is on, and a kubelet does not start with it: it will be turned off, and swap.target masked"
        yield Finding(host.name, message, hint, stops=False)
