"""Rows of bad hosts: each is a good one that is wrong in one way, and the one finding that must tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bootstrap.distros.kubeadm.machine import PLUGIN_FOLDERS, Machine
from bootstrap.distros.kubeadm.probes import API_MANIFEST, CA, KUBELET_CONF, UNFINISHED, parse_members
from bootstrap.model import HostFacts, Interface, Record, UnitFacts

from .inventories import seen

ADDRESSES = {"one": "192.168.1.11", "two": "192.168.1.12", "three": "192.168.1.13"}
PACKAGES = "kubeadm: {runtime: packages, cni: bridge}\n"
RELEASE = "kubeadm: {cni: flannel}\n"
VIP = "endpoint: 192.168.1.10\nkubeadm: {runtime: packages, vip: {interface: eth0}}\n"
SIX = "network: {pods: ['fd00:1::/56'], services: ['fd00:2::/112']}\nkubeadm: {runtime: packages, cni: none}\n"
GOOD = Machine(cpus=4, kernel="6.12.9-amd64", plugins=PLUGIN_FOLDERS)
CONTROLLER = (KUBELET_CONF, API_MANIFEST, CA, "/var/lib/etcd/member")
VERSION = "v1.36.3"


def good(name: str) -> HostFacts:
    """A fresh machine that is fit for any role."""
    return replace(
        seen(name, ADDRESSES[name], values={"traces": (), "ca": "", "containerd": "1.7.24", "machine": GOOD}),
        hostname=name,
        machine_id=name,
        boot_id=name,
        init="systemd",
        memory_kb=4_000_000,
        free_kb={"/": 9_000_000, "/var/lib": 9_000_000, "/usr/local": 9_000_000, "/etc": 9_000_000},
    )


def node(name: str, kubelet: str = VERSION, *, controls: bool = False) -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": kubelet}}
    labels = {"node-role.kubernetes.io/control-plane": ""} if controls else {}
    return {"metadata": {"name": name, "uid": name, "labels": labels}, "status": status}


def member(name: str, nodes: Mapping[str, Any]) -> HostFacts:
    """A controller of a running cluster, on record."""
    line = f"{name}1, started, {name}, https://{ADDRESSES[name]}:2380, https://{ADDRESSES[name]}:2379, false"
    known = {"traces": CONTROLLER, "ca": "authority", "nodes": nodes, "members": parse_members(line)}
    facts = change(good(name), config_maps={"kubeadm-config": {}}, machine=None, **known)
    running = UnitFacts("loaded", "active", "running", "enabled")
    return replace(
        facts,
        distributions=("kubeadm",),
        listening=frozenset({6443, 2379, 2380, 10250, 10257, 10259}),
        units={"kubelet": running, "containerd": running},
        record=Record("home", applied={"install": "x"}),
    )


def change(facts: HostFacts, **values: Any) -> HostFacts:
    return replace(facts, values={**facts.values, **values})


@dataclass(frozen=True)
class BadHost:
    """`facts` are fields of HostFacts, `machine` fields of Machine, `values` the driver's own; all of `host`."""

    name: str
    message: str
    hint: str
    host: str = "one"
    facts: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = PACKAGES  # of the inventory
    stops: bool = True
    founded: bool = False  # `one` serves a cluster that `two` is in already
    version: str = VERSION
    kubelet: str = VERSION  # of `two`
    others: Mapping[str, Any] = field(default_factory=dict)  # values of the other hosts

    def make_facts(self) -> dict[str, HostFacts]:
        found = {name: change(good(name), **self.others) for name in ADDRESSES}
        if self.founded:
            found["one"] = member("one", {"one": node("one", controls=True), "two": node("two", self.kubelet)})
        mine = replace(found[self.host], **self.facts)
        if self.machine:
            mine = change(mine, machine=replace(GOOD, **self.machine))
        return {**found, self.host: change(mine, **self.values)}


def port(number: int, use: str) -> BadHost:
    return BadHost(
        f"port {number} in use",
        f"port {number} is in use, and kubeadm needs it for {use}",
        f"ss -ltnp 'sport = :{number}'",
        facts={"listening": frozenset({22, number})},
    )


def without(program: str, text: str = PACKAGES, **others: Any) -> BadHost:
    return BadHost(
        f"no {program}",
        f"it has no `{program}`, which",
        "install the package",
        machine={"missing": (program,)},
        text=text,
        **others,
    )


ROWS = [
    BadHost(
        "swap is on",
        "swap is on, and a kubelet does not start with it: it will be turned off",
        "failSwapOn: false",
        facts={"swap_kb": 2_000_000},
        stops=False,
    ),
    port(6443, "the API"),
    port(2379, "etcd's clients"),
    port(2380, "etcd's members"),
    port(10250, "the kubelet"),
    port(10257, "the controller manager"),
    port(10259, "the scheduler"),
    BadHost(
        "a worker's kubelet port in use",
        "port 10250 is in use",
        "ss -ltnp",
        host="two",
        facts={"listening": frozenset({10250, 6443})},
    ),
    # --- the runtime
    BadHost("no containerd", "it has no containerd", "apt-get install containerd runc", values={"containerd": ""}),
    BadHost("a containerd without CRI v1", "kubelets need 1.6 or later", "later", values={"containerd": "1.5.9"}),
    BadHost(
        "containerd 1.x under a kubelet that asks for 2",
        "its containerd is 1.7.24; the kubelet of v1.37.0 needs containerd 2",
        "install containerd 2 there",
        host="two",
        version="v1.37.0",
        values={"containerd": "1.7.24"},
        others={"containerd": "2.1.0"},
    ),
    BadHost(
        "settings of version 3 for containerd 1.x",
        "its containerd is 1.7.24, and `kubeadm.containerd` has settings for io.containerd.cri.v1.runtime",
        "its configuration has version 2: the plugin is called io.containerd.grpc.v1.cri there",
        host="two",
        text="""kubeadm:
  runtime: packages
  cni: none
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two:
    address: 192.168.1.12
    kubeadm: {containerd: '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.nvidia]'}
  three: {address: 192.168.1.13}
""",
    ),
    BadHost(
        "settings of version 2 for containerd 2.x",
        "its containerd is 2.1.0, and `kubeadm.containerd` has settings for io.containerd.grpc.v1.cri",
        "its configuration has version 3: the plugin is called io.containerd.cri.v1.runtime there",
        host="two",
        values={"containerd": "2.1.0"},
        text="""kubeadm: {runtime: packages, cni: none}
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two:
    address: 192.168.1.12
    kubeadm: {containerd: '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]'}
  three: {address: 192.168.1.13}
""",
    ),
    BadHost(
        "no CNI plugins",
        "it has no CNI plugins in /usr/lib/cni",
        "apt-get install containernetworking-plugins",
        machine={"plugins": ()},
    ),
    BadHost(
        "CNI plugins elsewhere",
        "it has no CNI plugins in /usr/lib/cni; there are some in /opt/cni/bin",
        "runtime: release",
        machine={"plugins": ("/opt/cni/bin",)},
    ),
    without("runc"),
    without("ctr"),
    # --- the kernel
    BadHost(
        "cgroup v1",
        "it has cgroup v1, on which the kubelet of v1.36.3 does not start",
        "boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line, or give `kubelet: {failCgroupV1: false}`",
        facts={"cgroup": 1},
    ),
    BadHost("no memory cgroup", "memory cgroup is off", "cgroup_enable=memory", facts={"memory_cgroup": False}),
    BadHost(
        "an old kernel",
        "its kernel is 4.18.0-553.el8; kubeadm v1.36.3 takes 5.4, 5.10, 5.15, and 6.0 or later",
        "ignorePreflightErrors: [SystemVerification]",
        machine={"kernel": "4.18.0-553.el8"},
    ),
    BadHost(
        "a kernel between the supported ones",
        "its kernel is 5.14.0-503.el9",
        "update the system",
        machine={"kernel": "5.14.0-503.el9"},
    ),
    BadHost(
        "no overlay filesystem",
        "has no overlay filesystem, which containerd needs",
        "`modprobe overlay` on the host says why",
        machine={"unloadable": ("overlay",)},
    ),
    BadHost(
        "no br_netfilter",
        "has no br_netfilter: a pod may not reach a Service whose pod is on the same host",
        "masqueradeAll: true",
        machine={"unloadable": ("br_netfilter",)},
        stops=False,
    ),
    BadHost(
        "forwarding that can't be set",
        "net.ipv4.ip_forward is not 1 and can't be set",
        "sysctl -w net.ipv4.ip_forward=1",
        machine={"stuck": ("net/ipv4/ip_forward",)},
    ),
    BadHost(
        "IPv6 forwarding that can't be set",
        "net.ipv6.conf.all.forwarding is not 1 and can't be set",
        "sysctl -w net.ipv6.conf.all.forwarding=1",
        machine={"stuck": ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")},
        text=SIX,
    ),
    BadHost(
        "forwarding that the next boot undoes",
        "/etc/sysctl.d/99-hardening.conf turns net.ipv4.ip_forward off again at the next boot",
        "take the line out of /etc/sysctl.d/99-hardening.conf",
        machine={"undone": ("/etc/sysctl.d/10-early.conf", "/etc/sysctl.d/99-hardening.conf")},
        stops=False,
    ),
    # --- programs
    without("mount"),
    without("losetup"),
    without("cp"),
    without("sysctl"),
    without("modprobe"),
    without("iptables"),
    without("ip"),
    without("tar", RELEASE),
    without("gzip", RELEASE),
    BadHost(
        "no conntrack for an old kube-proxy",
        "it has no `conntrack`, which kube-proxy v1.31.5 calls: kubeadm refuses a host without",
        "install the package conntrack",
        machine={"missing": ("conntrack",)},
        version="v1.31.5",
    ),
    # --- the machine
    BadHost(
        "a controller with one CPU",
        "it has 1 CPU, and kubeadm makes no controller of fewer than 2",
        "ignorePreflightErrors: [NumCPU]",
        machine={"cpus": 1},
    ),
    BadHost(
        "a controller with little memory",
        "it has 976 MiB of memory, and kubeadm makes no controller of less than 1700",
        "ignorePreflightErrors: [Mem]",
        facts={"memory_kb": 1_000_000},
    ),
    BadHost(
        "a worker with little memory",
        "it has 500 MB of memory; kubeadm advises 1 GB for a worker",
        "",
        host="two",
        facts={"memory_kb": 500_000},
        stops=False,
    ),
    BadHost(
        "an architecture without release",
        "no release for its architecture, riscv64",
        "amd64",
        facts={"arch": "riscv64"},
    ),
    BadHost("another init", "systemd does not run it", "no other service manager", facts={"init": "openrc"}),
    BadHost(
        "a full disk",
        "/var/lib has 900 MB free, 3.0 GB are needed",
        "make room there",
        facts={"free_kb": {"/": 9_000_000, "/var/lib": 900_000}},
    ),
    BadHost(
        "a read-only /usr",
        "/usr/local/bin can't be written",
        "findmnt -T FOLDER",
        machine={"read_only": ("/usr/local/bin",)},
    ),
    BadHost(
        "a wrong clock", "its clock is 10 minutes behind the other hosts", "timedatectl", facts={"clock_offset": -600.0}
    ),
    BadHost(
        "no time service", "no time service keeps its clock right", "chrony", machine={"keeps_time": False}, stops=False
    ),
    BadHost("a firewall", "ufw is on", "ufw allow from NETWORK", machine={"firewalls": ("ufw",)}, stops=False),
    BadHost(
        "a copied machine", "it has the machine-id of one", "systemd-machine-id-setup", "two", {"machine_id": "one"}
    ),
    BadHost(
        "another host's name", "calls itself one, which is another host here", "hostname", "two", {"hostname": "one"}
    ),
    BadHost(
        "no default route",
        "it has no default route, by which kubeadm finds the node's address",
        "ip route add default",
        facts={"default_interface": ""},
    ),
    # --- what is there already
    BadHost("k3s is there", "there are remains of k3s", "k3s-uninstall.sh", facts={"distributions": ("k3s",)}),
    BadHost("k0s is there", "there are remains of k0s", "k0s reset", "two", {"distributions": ("k0s",)}),
    BadHost(
        "it is on record elsewhere",
        "it belongs to cluster away",
        "bootstrap remove one",
        facts={"record": Record("away")},
    ),
    BadHost(
        "static pods of another cluster",
        "static pods of another cluster, which the kubelet would start: /etc/kubernetes/manifests/etcd.yaml",
        "kubeadm reset",
        host="two",
        machine={"manifests": ("/etc/kubernetes/manifests/etcd.yaml", "/etc/kubernetes/manifests/kube-vip.yaml")},
    ),
    BadHost(
        "a node of a cluster that nobody here holds",
        "it is a node of a cluster already (/etc/kubernetes/kubelet.conf)",
        "kubeadm reset",
        host="two",
        values={"traces": (KUBELET_CONF, CA), "ca": "another", "machine": None},
    ),
    BadHost(
        "a node of another cluster",
        f"it is a node of another cluster: its {CA} is not the one of one",
        "correct the address",
        host="three",
        values={"traces": (KUBELET_CONF, CA), "ca": "another", "machine": None},
        founded=True,
    ),
    BadHost(
        "another network's file that wins",
        "/etc/cni/net.d/05-cilium.conflist is there, of another network: containerd takes it before",
        "see whether it may go",
        machine={"networks": ("/etc/cni/net.d/05-cilium.conflist",)},
    ),
    BadHost(
        "another network's file that waits",
        "/etc/cni/net.d/87-podman.conflist is there, of another network: containerd uses it until",
        "see whether it may go",
        machine={"networks": ("/etc/cni/net.d/87-podman.conflist",)},
        stops=False,
    ),
    BadHost(
        "an address among the pods'",
        "its address 10.244.3.1 (cni0) lies in 10.244.0.0/16, which shall be the pods'",
        "network.pods",
        facts={"interfaces": (Interface("eth0", ("192.168.1.11",)), Interface("cni0", ("10.244.3.1",)))},
    ),
    BadHost(
        "an address among the services'",
        "its address 10.96.0.1 (eth1) lies in 10.96.0.0/12, which shall be the services'",
        "network.services",
        facts={"interfaces": (Interface("eth0", ("192.168.1.11",)), Interface("eth1", ("10.96.0.1",)))},
    ),
    BadHost(
        "the virtual IP on another machine",
        "it has the virtual IP 192.168.1.10 already (eth0), and serves no API",
        "ip address del 192.168.1.10 dev eth0",
        host="two",
        facts={"interfaces": (Interface("eth0", ("192.168.1.12", "192.168.1.10")),)},
        text=VIP,
    ),
    BadHost(
        "no interface for the virtual IP",
        "it has no interface eth0 with an address, and kube-vip shall put 192.168.1.10 there",
        "it has ens18: correct `kubeadm.vip.interface`",
        facts={"interfaces": (Interface("ens18", ("192.168.1.11",)),), "default_interface": "ens18"},
        text=VIP,
    ),
    BadHost(
        "a kubelet that is newer than the API",
        "its kubelet is v1.37.1, newer than v1.36.3",
        "bootstrap remove two",
        host="two",
        founded=True,
        kubelet="v1.37.1",
        facts={"record": Record("home", applied={"install": "x"}), "distributions": ("kubeadm",)},
        values={"traces": (KUBELET_CONF, CA), "ca": "authority", "machine": None},
    ),
    BadHost(
        "no images in the mirror",
        "artifacts.lock has no kubernetes-images for arm64: the host will pull from registry.k8s.io",
        "kubernetes-images-arm64.tar",
        host="two",
        facts={"arch": "arm64"},
        text=f"mirror: /srv/mirror\n{PACKAGES}",
        stops=False,
    ),
]
ABANDONED = (KUBELET_CONF, CA, UNFINISHED)
