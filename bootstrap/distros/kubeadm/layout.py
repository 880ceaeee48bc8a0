"""Where kubeadm, the kubelet and containerd keep things on a host. Pure constants and small answers."""

from typing import Any

from bootstrap.model import Host

SERVICE = "kubelet"
KUBEADM = "/usr/local/bin/kubeadm"
KUBELET = "/usr/local/bin/kubelet"
CTR_NAMESPACE = "k8s.io"
ADMIN = "/etc/kubernetes/admin.conf"
SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"  # on the founder only; kube-vip needs it while `init` runs
KUBECTL = ("/usr/local/bin/kubectl", "--kubeconfig", ADMIN)

# What bootstrap renders.
FOLDER = "/etc/kubernetes/bootstrap"
CONFIG = f"{FOLDER}/kubeadm.yaml"
JOIN = f"{FOLDER}/join.yaml"  # there only while a join runs: it holds tokens
PATCHES = f"{FOLDER}/patches"
KUBELET_PATCH = f"{PATCHES}/kubeletconfiguration0+strategic.yaml"
ROUTES = f"{FOLDER}/routes"
SCRIPT = "/usr/local/lib/bootstrap/kubeadm-prepare.sh"
ROUTES_SCRIPT = "/usr/local/lib/bootstrap/kubeadm-routes.sh"
ROUTES_UNIT = "/etc/systemd/system/bootstrap-routes.service"
ROUTES_SERVICE = "bootstrap-routes"
KUBELET_UNIT = "/etc/systemd/system/kubelet.service"
KUBELET_DROP_IN = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf"
CONTAINERD_UNIT = "/etc/systemd/system/containerd.service"  # with the runtime from its releases only
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
REGISTRIES = "/etc/containerd/certs.d"
CRICTL_CONFIG = "/etc/crictl.yaml"
MODULES = "/etc/modules-load.d/kubernetes.conf"
SYSCTL = "/etc/sysctl.d/90-kubernetes.conf"
CONFLIST = "/etc/cni/net.d/10-bridge.conflist"
KUBE_VIP = "/etc/kubernetes/manifests/kube-vip.yaml"

# What kubeadm and the runtime write.
MANIFESTS = "/etc/kubernetes/manifests"
PKI = "/etc/kubernetes/pki"
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
KUBELET_FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
ETCD_DATA = "/var/lib/etcd"  # unless `cluster.etcd.local.dataDir` says otherwise
SOCKET = "unix:///run/containerd/containerd.sock"
SOCKETS = (SOCKET, "unix:///var/run/containerd/containerd.sock")  # one socket, two spellings

# There when the prepare script turned swap off: `reset` lets it come back.
SWAP_WAS_ON = "/var/lib/bootstrap/swap-was-on"

# Locked file -> its path on a host. Archives are unpacked by the prepare script.
DOWNLOADS = "/var/lib/bootstrap/downloads"
IMAGES = "/var/lib/bootstrap/images/kubernetes-images.tar"
BINARIES = {"kubeadm": KUBEADM, "kubelet": KUBELET, "kubectl": KUBECTL[0]}
RUNTIME_FILES = {
    "containerd": f"{DOWNLOADS}/containerd.tar.gz",
    "runc": "/usr/local/sbin/runc",
    "cni-plugins": f"{DOWNLOADS}/cni-plugins.tgz",
    "crictl": f"{DOWNLOADS}/crictl.tar.gz",
}
NETWORK_FILES = {
    "flannel": "/var/lib/bootstrap/network/kube-flannel.yml",
    "calico": "/var/lib/bootstrap/network/calico.yaml",
    "cilium": "/var/lib/bootstrap/network/cilium.tgz",  # the chart
    "cilium-cli": f"{DOWNLOADS}/cilium-cli.tar.gz",
}

DEFAULTS: dict[str, Any] = {"cni": "flannel", "runtime": "release", "containerd": ""}
API_PORT = 6443
# Targets of patches that only a controller has (kubernetes: cmd/kubeadm/app/util/patches).
CONTROL_TARGETS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "corednsdeployment")


def effective(host: Host, section: str) -> Any:  # noqa: ANN401 - text or a mapping, as the section is
    """A native section as it is in force on a host, or its default; a mapping that nobody wrote is empty."""
    value = host.native.get(section)
    return DEFAULTS.get(section, {}) if value is None else value


def service(host: Host) -> str:  # noqa: ARG001 - the same on every host
    return SERVICE


def server_port(host: Host) -> int:
    """Where a controller's own API server listens (`localAPIEndpoint.bindPort`, the same on all controllers)."""
    return int(((effective(host, "init").get("localAPIEndpoint") or {}).get("bindPort")) or API_PORT)


def host_patches(host: Host) -> dict[str, str]:
    """File name -> text of the patches that count on a host: a worker has no control plane to patch."""
    patches: dict[str, str] = effective(host, "patches")
    return {name: text for name, text in patches.items() if host.role.controls or not name.startswith(CONTROL_TARGETS)}


def is_patched(host: Host) -> bool:
    """Whether kubeadm finds patches of the inventory in PATCHES on this host."""
    return bool(host_patches(host))
