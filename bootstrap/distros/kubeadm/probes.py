"""What kubeadm adds to the shared probes, and how its answers read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.distros.kubeadm.images import SCRIPT as IMAGES_SCRIPT
from bootstrap.distros.kubeadm.images import parse_images
from bootstrap.distros.kubeadm.layout import (
    ADMIN,
    BINARIES,
    ETCD_DATA,
    JOIN,
    KUBECTL,
    MANIFESTS,
    PKI,
    SERVICE,
    effective,
    server_port,
)
from bootstrap.distros.kubeadm.machine import machine_script, parse_machine
from bootstrap.facts import parse_items, shared_probes
from bootstrap.model import Host, Probe, Secret
from bootstrap.shell import join, quote

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
CA = f"{PKI}/ca.crt"
API_MANIFEST = f"{MANIFESTS}/kube-apiserver.yaml"
MANIFEST_FILES = tuple(
    f"{MANIFESTS}/{name}.yaml" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
)
# There while our own `kubeadm init` or `join` runs, and after one that failed: only such a host may be reset unasked.
UNFINISHED = "/var/lib/bootstrap/unfinished"
SERVICES = (SERVICE, "containerd")
CONFIG_MAPS = ("kubeadm-config", "kubelet-config", "kube-proxy")


def kubectl_on(host: Host) -> tuple[str, ...]:
    """kubectl that asks this very controller: admin.conf alone would ask the endpoint, which is any of them."""
    return (*KUBECTL, f"--server=https://127.0.0.1:{server_port(host)}", "--tls-server-name=kubernetes")


def etcd_folder(host: Host) -> str:
    """Where etcd keeps its data (`cluster.etcd.local.dataDir`)."""
    local = (effective(host, "cluster").get("etcd") or {}).get("local") or {}
    return str(local.get("dataDir") or ETCD_DATA)


def make_probes(host: Host, paths: tuple[str, ...]) -> tuple[Probe, ...]:
    """All looks at one host: shared ones first, then kubeadm's; `paths` are the rendered files."""
    files = tuple(dict.fromkeys((*paths, JOIN, *(MANIFEST_FILES if host.role.controls else ()))))
    probes = (
        *shared_probes(files, tuple(BINARIES.values()), SERVICES),
        Probe("traces", traces_script(host), lambda text: tuple(text.split())),
        Probe("ca", f"cat {CA} 2>/dev/null || true", lambda text: text.strip()),
        Probe("containerd", "containerd --version 2>/dev/null || true", parse_containerd),
        Probe("machine", machine_script(KUBELET_CONF), parse_machine),
        Probe("images", IMAGES_SCRIPT, parse_images),
    )
    if not host.role.controls:
        return probes
    return (
        *probes,
        Probe("kubeconfig", f"cat {ADMIN} 2>/dev/null || true", lambda text: Secret(text) if text.strip() else None),
        Probe("nodes", ask_script(host, "/api/v1/nodes"), parse_items),
        Probe("config_maps", ask_script(host, "/api/v1/namespaces/kube-system/configmaps"), parse_config_maps),
        Probe("members", members_script(host), parse_members),
    )


def traces_script(host: Host) -> str:
    traces = (
        KUBELET_CONF,
        ADMIN,
        API_MANIFEST,
        CA,
        f"{etcd_folder(host)}/member",
        "/var/lib/kubelet/config.yaml",
        UNFINISHED,
    )
    return f'for trace in {join(traces)}; do [ -e "$trace" ] && echo "$trace"; done; true'


def parse_containerd(text: str) -> str:
    """`containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6` and `... v2.1.0 HASH` as a bare version."""
    numbers = (word.lstrip("v").partition("~")[0].partition("-")[0] for word in text.split()[2:3])
    return next((number for number in numbers if number[:1].isdigit()), "")


def ask_script(host: Host, path: str) -> str:
    """`get --raw` asks the API and writes no discovery cache. Again when it fails, for a lost etcd leader costs seconds."""
    asked = join([*kubectl_on(host), "get", "--raw", path, "--request-timeout=8s"])
    return f"""
[ -s {ADMIN} ] && [ -x {KUBECTL[0]} ] && pidof kube-apiserver >/dev/null 2>&1 || exit 0
for try in 1 2 3; do
  timeout 10 {asked} && break
  sleep 2
done
"""


def parse_config_maps(text: str) -> Mapping[str, Mapping[str, str]]:
    """The data of kubeadm's ConfigMaps by name; only those that exist."""
    return {name: item.get("data") or {} for name, item in (parse_items(text) or {}).items() if name in CONFIG_MAPS}


@dataclass(frozen=True)
class EtcdMember:
    """One member as etcd itself lists it; one that never started has no name."""

    identity: str
    name: str
    peer: str
    is_learner: bool


def members_script(host: Host) -> str:
    """Asked of this controller's own etcd; the cache that kubectl would write goes nowhere."""
    return f"""
[ -s {ADMIN} ] && [ -e {MANIFESTS}/etcd.yaml ] && pidof etcd >/dev/null 2>&1 || exit 0
export KUBECACHEDIR=/dev/null/none
timeout 15 {join(kubectl_on(host))} {etcdctl(host.name)} member list
"""


def etcdctl(node: str) -> str:
    """Words after kubectl that run etcdctl in the etcd pod of a node."""
    files = f"--cacert {PKI}/etcd/ca.crt --cert {PKI}/etcd/server.crt --key {PKI}/etcd/server.key"
    pod = quote(f"etcd-{node}")
    return f"-n kube-system exec {pod} -- etcdctl --endpoints=https://127.0.0.1:2379 {files}"


def parse_members(text: str) -> tuple[EtcdMember, ...]:
    """Lines of `etcdctl member list`: id, status, name, peer URL, client URL, is learner."""
    rows = ([part.strip() for part in line.split(",")] for line in text.splitlines())
    return tuple(EtcdMember(row[0], row[2], row[3], row[5] == "true") for row in rows if len(row) == 6)
