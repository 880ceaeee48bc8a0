"""Where k0s keeps things on a host, and the names of its services. Pure constants and small answers."""

from collections.abc import Mapping
from typing import Any

from bootstrap.model import Host, Inventory, Role

BINARY = "/usr/local/bin/k0s"
KUBECTL = (BINARY, "kubectl")
FOLDER = "/etc/k0s"
CONFIG = f"{FOLDER}/k0s.yaml"
# Holds a join token only around a join; what stays behind is a comment, for the unit goes on naming the file.
TOKEN = f"{FOLDER}/k0stoken"
INSTALL_FLAGS = f"{FOLDER}/install-flags"  # what `k0s install` is told, one flag a line
SECRET_ENVIRONMENT = f"{FOLDER}/environment"  # variables that hold references: units are 0644
CONTAINERD_PARTS = f"{FOLDER}/containerd.d"
CONTROLLER, WORKER = "k0scontroller", "k0sworker"
DEFAULT_DATA = "/var/lib/k0s"
API_PORT, JOIN_PORT, KONNECTIVITY_PORT = 6443, 9443, 8132
API_VERSION, KIND = "k0s.k0sproject.io/v1beta1", "ClusterConfig"
K0SCTL = "/k0sctl.yaml"  # of the host `_cluster`: in the rendered tree only
# A cluster's identity, below <data>/pki; those of etcd only where k0s runs it.
PKI_FILES = ("ca.crt", "ca.key", "sa.key", "sa.pub")
ETCD_PKI_FILES = ("etcd/ca.crt", "etcd/ca.key")


def effective(host: Host, section: str, default: Any = None) -> Any:  # noqa: ANN401 - of any form, as the section is
    """A native section as it is in force on a host, or `default`."""
    value = host.native.get(section)
    return default if value is None else value


def config_of(host: Host) -> Mapping[str, Any]:
    """The `spec` of ClusterConfig as the inventory's layers give it for a host, without what follows from the rest."""
    config = effective(host, "config", {})
    return config if isinstance(config, Mapping) else {}


def lookup(values: Mapping[str, Any], *path: str) -> Any:  # noqa: ANN401
    """A value deep in mappings; None where there is none."""
    found: Any = values
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


# --- services ------------------------------------------------------------------------------------


def kind(host: Host) -> str:
    """The word behind `k0s install` and `k0s token create --role`."""
    return "controller" if host.role.controls else "worker"


def service(host: Host) -> str:
    return CONTROLLER if host.role.controls else WORKER


def unit_path(host: Host, init: str = "systemd") -> str:
    """What `k0s install` writes."""
    return f"/etc/init.d/{service(host)}" if init == "openrc" else f"/etc/systemd/system/{service(host)}.service"


def environment_path(host: Host, init: str = "systemd") -> str:
    """Where the service's variables stand, as k0sctl places them."""
    if init == "openrc":
        return f"/etc/conf.d/{service(host)}"
    return f"/etc/systemd/system/{service(host)}.service.d/env.conf"


# --- folders -------------------------------------------------------------------------------------


def data_folder(host: Host) -> str:
    return str(effective(host, "dataDir") or DEFAULT_DATA).rstrip("/")


def kubelet_folder(host: Host) -> str:
    return str(effective(host, "kubeletRootDir") or f"{data_folder(host)}/kubelet").rstrip("/")


def pki_folder(host: Host) -> str:
    return f"{data_folder(host)}/pki"


def etcd_folder(host: Host) -> str:
    """etcd's data; `member/snap/db` below it is there once this controller has joined."""
    return f"{data_folder(host)}/etcd"


def images_folder(host: Host) -> str:
    """Archives of images that k0s imports by itself; `k0s reset` takes them away."""
    return f"{data_folder(host)}/images"


def manifests_folder(host: Host) -> str:
    """Each folder below it is a stack that the controllers apply."""
    return f"{data_folder(host)}/manifests"


def kubelet_kubeconfig(host: Host) -> str:
    """There once the host has joined as a node: a join token is ignored from then on."""
    return f"{data_folder(host)}/kubelet.conf"


def admin_kubeconfig(host: Host) -> str:
    return f"{pki_folder(host)}/admin.conf"


# --- what the cluster is -------------------------------------------------------------------------


def server_port(host: Host) -> int:
    """Where a controller's API server listens."""
    return _port(lookup(config_of(host), "api", "port"), API_PORT)


def join_port(host: Host) -> int:
    """Where a controller is asked by others that join."""
    return _port(lookup(config_of(host), "api", "k0sApiPort"), JOIN_PORT)


def _port(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def storage_type(inventory: Inventory) -> str:
    """`etcd` or `kine`; a single node has kine by default, as k0s itself says."""
    config = inventory.native.get("config")
    given = lookup(config if isinstance(config, Mapping) else {}, "storage", "type")
    if given:
        return str(given)
    return "kine" if is_single(inventory) else "etcd"


def is_single(inventory: Inventory) -> bool:
    """Whether the one host is a cluster that nobody can join."""
    return any(host.role is Role.SINGLE for host in inventory.hosts)


def runs_etcd(inventory: Inventory) -> bool:
    """Whether the controllers hold etcd themselves: its members are who counts for a majority."""
    config = inventory.native.get("config")
    external = lookup(config if isinstance(config, Mapping) else {}, "storage", "etcd", "externalCluster")
    return storage_type(inventory) == "etcd" and not external


def is_dynamic(inventory: Inventory) -> bool:
    """Whether the cluster-wide part of the configuration lives in the cluster (object `k0s` in kube-system)."""
    return inventory.native.get("dynamicConfig") is True
