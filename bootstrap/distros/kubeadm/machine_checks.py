"""Whether a machine can become a node: what kubeadm's own preflight would refuse, and what only shows later. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.distros.kubeadm.documents import network_of
from bootstrap.distros.kubeadm.layout import CONFLIST, SYSCTL, effective
from bootstrap.distros.kubeadm.machine import NETWORKS, PACKAGES, Machine
from bootstrap.distros.kubeadm.runtime import is_released, packaged_plugins, plugin_folder
from bootstrap.distros.kubeadm.versions import GRAMMAR, parse_version
from bootstrap.model import Finding, Host, HostFacts, Inventory

LEAST_CPUS = 2  # of a controller (kubernetes: cmd/kubeadm/app/constants, ControlPlaneNumCPU)
LEAST_MEMORY = 1700  # MiB of a controller (ControlPlaneMem)
KERNELS = re.compile(r"5\.(4|10|15)\b.*|([6-9]|[1-9]\d+)\..*")  # k8s.io/system-validators v1.12, types_unix.go
KERNELS_SINCE = (1, 36)  # the first minor that is known to judge by that list
CONNTRACK_UNTIL = (1, 32)  # kube-proxy calls no program of that name from then on (kubernetes#126952)
OWN_NETWORKS = {
    "bridge": CONFLIST,
    "flannel": f"{NETWORKS}/10-flannel.conflist",
    "calico": f"{NETWORKS}/10-calico.conflist",
    "cilium": f"{NETWORKS}/05-cilium.conflist",
}


@dataclass(frozen=True)
class Candidate:
    """A machine, and the host that it shall be."""

    inventory: Inventory
    host: Host
    facts: HostFacts
    machine: Machine

    def stop(self, message: str, hint: str) -> Finding:
        return Finding(self.host.name, message, hint)

    def note(self, message: str, hint: str) -> Finding:
        return Finding(self.host.name, message, hint, stops=False)

    def ignores(self, check: str) -> bool:
        return ignores(self.host, check)

    def is_before(self, series: tuple[int, int]) -> bool:
        version = self.inventory.version
        return bool(GRAMMAR.fullmatch(version)) and parse_version(version).series < series

    @property
    def loads_modules(self) -> bool:
        return effective(self.host, "runtime_options").get("load_modules") is not False


def ignores(host: Host, check: str) -> bool:
    """Whether kubeadm is told to pass over a check of its own."""
    names = effective(host, "node").get("ignorePreflightErrors") or ()
    return bool({str(name).lower() for name in names} & {"all", check.lower()})


def check_machine(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:
    """Findings of a host that no kubelet has joined from; none where it was not looked at."""
    machine = facts.values.get("machine")
    if isinstance(machine, Machine):
        candidate = Candidate(inventory, host, facts, machine)
        for check in (_check_size, _check_kernel, _check_programs, _check_modules, _check_forwarding):
            yield from check(candidate)
        for check in (_check_folders, _check_plugins, _check_networks, _check_manifests, _check_services):
            yield from check(candidate)


def _check_size(candidate: Candidate) -> Iterator[Finding]:
    """kubeadm makes no control plane of less."""
    if not candidate.host.role.controls:
        return
    cpus, memory = candidate.machine.cpus, candidate.facts.memory_kb // 1024
    if 0 < cpus < LEAST_CPUS and not candidate.ignores("NumCPU"):
        hint = "give the machine another, or take the risk: `node: {ignorePreflightErrors: [NumCPU]}` for this host"
        yield candidate.stop(f"it has {cpus} CPU, and kubeadm makes no controller of fewer than {LEAST_CPUS}", hint)
    if 0 < memory < LEAST_MEMORY and not candidate.ignores("Mem"):
        hint = "give the machine more, or take the risk: `node: {ignorePreflightErrors: [Mem]}` for this host"
        message = f"it has {memory} MiB of memory, and kubeadm makes no controller of less than {LEAST_MEMORY}"
        yield candidate.stop(message, hint)


def _check_kernel(candidate: Candidate) -> Iterator[Finding]:
    kernel = candidate.machine.kernel
    if KERNELS.fullmatch(kernel) or candidate.is_before(KERNELS_SINCE) or candidate.ignores("SystemVerification"):
        return
    message = f"its kernel is {kernel}; kubeadm {candidate.inventory.version} takes 5.4, 5.10, 5.15, and 6.0 or later"
    hint = "update the system, or take the risk: `node: {ignorePreflightErrors: [SystemVerification]}` for this host"
    yield candidate.stop(message, hint)


def _check_programs(candidate: Candidate) -> Iterator[Finding]:
    needed = dict(_list_programs(candidate))
    for program in candidate.machine.missing:
        if program in needed and not candidate.ignores(f"FileExisting-{program}"):
            message = f"it has no `{program}`, which {needed[program]}"
            yield candidate.stop(message, f"install the package {PACKAGES[program]} there")


def _list_programs(candidate: Candidate) -> Iterator[tuple[str, str]]:
    """Program -> what needs it."""
    yield "mount", "a kubelet mounts volumes with: kubeadm refuses a host without"
    yield "losetup", "a kubelet needs for block volumes: kubeadm refuses a host without"
    yield "cp", "kubeadm copies etcd's folder with"
    if candidate.is_before(CONNTRACK_UNTIL):
        yield "conntrack", f"kube-proxy {candidate.inventory.version} calls: kubeadm refuses a host without"
    yield "sysctl", "puts the kernel's settings in force"
    if candidate.loads_modules:
        yield "modprobe", "loads the kernel's modules"
    if candidate.facts.swap_kb and effective(candidate.host, "kubelet").get("failSwapOn") is not False:
        yield "swapoff", "turns swap off"
    if is_released(candidate.host):
        yield from (("tar", "unpacks the runtime"), ("gzip", "unpacks the runtime"))
    elif candidate.facts.values.get("containerd"):
        yield from (("runc", "containerd starts containers with"), ("ctr", "imports images"))
    if candidate.inventory.native.get("cni") == "bridge":
        yield from (("ip", "sets the routes to other hosts' pods"), ("iptables", "gives pods their host's address"))


def _check_modules(candidate: Candidate) -> Iterator[Finding]:
    where = "`modprobe {0}` on the host says why; a container gets modules from its own host: load it there"
    if "overlay" in candidate.machine.unloadable:
        message = f"its kernel {candidate.machine.kernel} has no overlay filesystem, which containerd needs for images"
        yield candidate.stop(message, where.format("overlay"))
    proxy = candidate.inventory.native.get("proxy") or {}
    masquerades = any((proxy.get(mode) or {}).get("masqueradeAll") for mode in ("iptables", "ipvs", "nftables"))
    bridged = candidate.inventory.native.get("cni", "flannel") in ("bridge", "flannel")
    if "br_netfilter" in candidate.machine.unloadable and bridged and not masquerades:
        message = "its kernel has no br_netfilter: a pod may not reach a Service whose pod is on the same host"
        hint = where.format("br_netfilter") + "; or `proxy: {mode: nftables, nftables: {masqueradeAll: true}}`"
        yield candidate.note(message, hint)


def _check_forwarding(candidate: Candidate) -> Iterator[Finding]:
    """The prepare script turns it on; kubeadm refuses a host where it is off."""
    pods = network_of(candidate.inventory)[0]
    families = {"net/ipv6/conf/all/forwarding" if ":" in each else "net/ipv4/ip_forward" for each in pods}
    for setting in candidate.machine.stuck:
        if setting in families:
            message = (
                f"{setting.replace('/', '.')} is not 1 and can't be set: /proc/sys is read-only, as in a container"
            )
            hint = f"set it where the kernel is run from: `sysctl -w {setting.replace('/', '.')}=1` on the machine around it"
            yield candidate.stop(message, hint)
    if "net/ipv4/ip_forward" in families:
        for file in candidate.machine.undone:
            if file == "/etc/sysctl.conf" or file.rpartition("/")[2] > SYSCTL.rpartition("/")[2]:
                message = f"{file} turns net.ipv4.ip_forward off again at the next boot: it is read after {SYSCTL}"
                yield candidate.note(message, f"take the line out of {file}")


def _check_folders(candidate: Candidate) -> Iterator[Finding]:
    if candidate.machine.read_only:
        folders = ", ".join(candidate.machine.read_only)
        hint = "`findmnt -T FOLDER` shows what is mounted there; on a system with a read-only /usr give it a writable mount"
        yield candidate.stop(f"{folders} can't be written: the programs and the kubelet need it", hint)


def _check_plugins(candidate: Candidate) -> Iterator[Finding]:
    """Where packages bring the runtime, they bring the plugins too: the prepare script ends without."""
    if is_released(candidate.host) or not candidate.facts.values.get("containerd"):
        return
    seen = {candidate.host.name: candidate.facts}
    folder = packaged_plugins(candidate.host, seen)
    if not {folder, plugin_folder(candidate.inventory, candidate.host, seen)} & set(candidate.machine.plugins):
        hint = "`apt-get install containernetworking-plugins` there, or `kubeadm: {runtime: release}`"
        elsewhere = f"; there are some in {candidate.machine.plugins[0]}" if candidate.machine.plugins else ""
        yield candidate.stop(f"it has no CNI plugins in {folder}{elsewhere}", hint)


def _check_networks(candidate: Candidate) -> Iterator[Finding]:
    """containerd takes the first file by name; Cilium moves the others away itself."""
    own = OWN_NETWORKS.get(candidate.inventory.native.get("cni", "flannel"))
    if own is None or own == OWN_NETWORKS["cilium"]:
        return
    for file in candidate.machine.networks:
        if file < own:
            message = f"{file} is there, of another network: containerd takes it before {own}"
            yield candidate.stop(message, "see whether it may go, and delete it: `bootstrap` deletes no file of others")
        elif file != own:
            message = f"{file} is there, of another network: containerd uses it until {own} is there"
            yield candidate.note(message, "see whether it may go, and delete it")


def _check_manifests(candidate: Candidate) -> Iterator[Finding]:
    """A worker's kubelet starts whatever lies there, and kubeadm refuses its own names; kube-vip's file is ours."""
    others = [file for file in candidate.machine.manifests if not file.endswith("/kube-vip.yaml")]
    if others and not candidate.facts.record and not candidate.facts.values.get("traces"):
        message = f"there are static pods of another cluster, which the kubelet would start: {', '.join(others)}"
        yield candidate.stop(message, "see whether they may go, and `kubeadm reset` there, or delete them")


def _check_services(candidate: Candidate) -> Iterator[Finding]:
    for name in candidate.machine.firewalls:
        ports = "6443, 2379-2380, 10250" if candidate.host.role.controls else "10250"
        message = f"{name} is on: other hosts must reach the TCP ports {ports} here, and the pod network its own"
        opening = (
            "ufw allow from NETWORK"
            if name == "ufw"
            else "firewall-cmd --permanent --zone=trusted --add-source=NETWORK"
        )
        yield candidate.note(message, f"let the other hosts in: `{opening}`, for the hosts' and the pods' networks")
    if not candidate.machine.keeps_time:
        message = "no time service keeps its clock right: certificates and etcd want clocks together"
        yield candidate.note(message, "`timedatectl set-ntp true`, or install chrony")
