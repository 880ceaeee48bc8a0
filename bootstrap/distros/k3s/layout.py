"""Where k3s keeps things on a host, and the names of its services. Pure constants and small answers."""

from typing import Any

from bootstrap.model import Host

BINARY = "/usr/local/bin/k3s"
CONFIG = "/etc/rancher/k3s/config.yaml"
JOIN = "/etc/rancher/k3s/config.yaml.d/10-join.yaml"
# Read at each start like config.yaml, but what is in it counts only when the node registers: a change needs no restart,
# since labels and taints of a registered node are set through the API.
REGISTRATION = "/etc/rancher/k3s/config.yaml.d/20-registration.yaml"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
INSTALLER = "/usr/local/lib/bootstrap/k3s-upstream-install.sh"
SCRIPT = "/usr/local/lib/bootstrap/k3s-install.sh"
DEFAULT_DATA = "/var/lib/rancher/k3s"
KUBECTL = (BINARY, "kubectl")


def effective(host: Host) -> dict[str, Any]:
    """The native keys in force on a host: `config`, then the section of its role."""
    section = "server" if host.role.controls else "agent"
    return {**(host.native.get("config") or {}), **(host.native.get(section) or {})}


def data_folder(host: Host) -> str:
    return str(effective(host).get("data-dir") or DEFAULT_DATA).rstrip("/")


def server_port(host: Host) -> int:
    return int(effective(host).get("https-listen-port") or 6443)


def service(host: Host) -> str:
    return "k3s" if host.role.controls else "k3s-agent"


def image_path(host: Host, arch: str) -> str:
    return f"{data_folder(host)}/agent/images/k3s-airgap-images-{arch}.tar.zst"
