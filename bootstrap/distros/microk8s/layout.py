"""Where the MicroK8s snap keeps things on a host, and the names of its services. Pure constants and small answers."""

from collections.abc import Mapping
from typing import Any

from bootstrap.model import Host, Inventory

# /snap/bin is often missing from the PATH of ssh's shells and of sudo, so everything is called by its whole path.
MICROK8S = "/snap/bin/microk8s"
SNAP = "/usr/bin/snap"
KUBECTL = (MICROK8S, "kubectl")
SNAP_NAME, BASE_NAME = "microk8s", "core22"
FOUND = "/snap/microk8s/current"  # what the snap ships, read-only
CURRENT = "/var/snap/microk8s/current"  # a link to the data of the revision that runs
COMMON = "/var/snap/microk8s/common"

# What bootstrap renders. What lies below CURRENT is written once the snap is there, and gone with it.
LAUNCH_CONFIG = "/etc/microk8s.yaml"  # read at install only
FOLDER = "/var/lib/bootstrap/microk8s"
FRAGMENTS = f"{FOLDER}/args"  # <service>: what shall stand in ARGS/<service>, see `documents.fragment_lines`
PKI = f"{FOLDER}/pki"  # the folder for `refresh-certs`, on controllers with `microk8s.pki`
ADDONS_SCRIPT = "/addons.sh"  # of the host `_cluster`: in the rendered tree only
JOIN_ORDER = "/join-order.txt"  # the same
CLUSTER_HOST = "_cluster"

# Locked file -> its path on a host; assertions lie beside the snaps.
DOWNLOADS = "/var/lib/bootstrap/downloads"
SNAP_FILES = {
    "core22": f"{DOWNLOADS}/core22.snap",
    "core22-assert": f"{DOWNLOADS}/core22.assert",
    "microk8s": f"{DOWNLOADS}/microk8s.snap",
    "microk8s-assert": f"{DOWNLOADS}/microk8s.assert",
}
SIDELOAD = f"{COMMON}/sideload"  # *.tar in it are loaded at install

# What the snap writes.
ARGS = f"{CURRENT}/args"
REGISTRIES = f"{ARGS}/certs.d"
CERTS = f"{CURRENT}/certs"
CREDENTIALS = f"{CURRENT}/credentials"
KUBECONFIG = f"{CREDENTIALS}/client.config"
KUBELET_KUBECONFIG = f"{CREDENTIALS}/kubelet.config"
LOCKS = f"{CURRENT}/var/lock"
CLUSTERED = f"{LOCKS}/clustered.lock"  # a worker's
HA_LOCK = f"{LOCKS}/ha-cluster"
JOIN_LEFTOVER = f"{LOCKS}/join-in-progress"  # stays behind after every failed join
LOW_MEMORY = f"{LOCKS}/low-memory-guard.lock"
BACKEND = f"{CURRENT}/var/kubernetes/backend"
CLUSTER_YAML = f"{BACKEND}/cluster.yaml"
LAUNCHER = f"{COMMON}/etc/launcher"
LAUNCH_APPLIED = f"{LAUNCHER}/install.yaml.applied"  # the launch configuration is in force from here on
STORAGE = f"{COMMON}/default-storage"  # data of hostpath-storage

API_PORT, AGENT_PORT, DQLITE_PORT, ETCD_PORT = 16443, 25000, 19001, 12379
CONTROLLER_SERVICES = ("kubelite", "k8s-dqlite", "containerd", "cluster-agent", "apiserver-kicker")
WORKER_SERVICES = ("kubelite", "containerd", "cluster-agent", "apiserver-proxy")
# File of arguments -> the one service that reads it at its start.
READERS = {
    "kube-apiserver": "kubelite",
    "kube-controller-manager": "kubelite",
    "kube-scheduler": "kubelite",
    "kubelet": "kubelite",
    "kube-proxy": "kubelite",
    "containerd": "containerd",
    "containerd-env": "containerd",
    "k8s-dqlite": "k8s-dqlite",
    "cluster-agent": "cluster-agent",
    "apiserver-proxy": "apiserver-proxy",
    "etcd": "etcd",
    "flanneld": "flanneld",
    "ha-conf": "kubelite",
}


def effective(host: Host, section: str, default: Any = None) -> Any:  # noqa: ANN401 - of any form, as the section is
    """A native section as it is in force on a host, or `default`."""
    value = host.native.get(section)
    return default if value is None else value


def arguments_of(host: Host, service: str) -> Mapping[str, Any]:
    """`args.<service>` as the inventory's layers give it for a host; an empty value removes the argument."""
    given = effective(host, "args", {})
    found = given.get(service) if isinstance(given, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def service(host: Host) -> str:  # noqa: ARG001 - the same on every host
    """The systemd unit that is Kubernetes on a host."""
    return unit("kubelite")


def unit(name: str) -> str:
    """The systemd unit of one of the snap's services, such as kubelite."""
    return f"snap.microk8s.daemon-{name}"


def services(host: Host) -> tuple[str, ...]:
    """The snap's services that must be active on a host."""
    return CONTROLLER_SERVICES if host.role.controls else WORKER_SERVICES


def server_port(host: Host) -> int:
    """Where a controller's API server listens."""
    given = str(arguments_of(host, "kube-apiserver").get("--secure-port") or "")
    return int(given) if given.isdecimal() else API_PORT


def is_ha(inventory: Inventory) -> bool:
    """Whether dqlite and Calico run; without them a lone node has etcd and flannel (`disable ha-cluster`)."""
    return inventory.native.get("ha") is not False


def is_offline(inventory: Inventory) -> bool:
    """Whether the snap comes from the mirror, with its assertions, and not from the store."""
    return inventory.native.get("offline") is True
