"""How containerd is set up on a host: by its version, where its programs come from, and what the inventory adds. Pure."""

import re
from typing import Any

from bootstrap.distros.kubeadm.images import image_repository as image_repository
from bootstrap.distros.kubeadm.images import sandbox_image as sandbox_image
from bootstrap.distros.kubeadm.layout import REGISTRIES, effective
from bootstrap.distros.kubeadm.upstream import part_version
from bootstrap.model import Facts, Host, Inventory

UNKNOWN = "2"  # what is assumed of packages on a host that nobody looked at yet
RELEASE_PLUGINS = "/opt/cni/bin"
PACKAGED_PLUGINS = "/usr/lib/cni"
# Distribution (ID of os-release) -> where its package puts the CNI plugins, where that is another place.
OTHER_PLUGINS = dict.fromkeys(("fedora", "rhel", "centos", "rocky", "almalinux"), "/usr/libexec/cni")
# Networks whose pods put a plugin of their own into /opt/cni/bin: containerd looks into one folder, so it must be that.
BRING_PLUGINS = ("flannel", "calico", "cilium")


def is_released(host: Host) -> bool:
    """Whether containerd and its companions come from artifacts.lock, not from the host's packages."""
    return bool(effective(host, "runtime") == "release")


def containerd_version(inventory: Inventory, host: Host, facts: Facts | None = None) -> str:
    """The version that runs, or will run: pinned for `release`, as seen for `packages`."""
    if is_released(host):
        return part_version(inventory, "containerd")
    seen = facts[host.name].values.get("containerd") if facts and host.name in facts else ""
    return str(seen or UNKNOWN)


def split_version(text: str) -> tuple[int, int]:
    """Major and minor of a version text such as `1.7.24~ds1`; a minor that is not there counts as high."""
    match = re.match(r"v?(\d+)(?:\.(\d+))?", text)
    return (int(match[1]), int(match[2] or 99)) if match else (int(UNKNOWN), 99)


def packaged_plugins(host: Host, facts: Facts | None = None) -> str:
    """The folder of CNI plugins that the host's packages fill."""
    seen = facts[host.name].os if facts and host.name in facts else ""
    words = (host.os or seen or "").split()
    return OTHER_PLUGINS.get(words[0], PACKAGED_PLUGINS) if words else PACKAGED_PLUGINS


def plugin_folder(inventory: Inventory, host: Host, facts: Facts | None = None) -> str:
    """Where containerd looks for CNI plugins."""
    brought = inventory.native.get("cni", "flannel") in BRING_PLUGINS
    return RELEASE_PLUGINS if is_released(host) or brought else packaged_plugins(host, facts)


def containerd_template(inventory: Inventory, host: Host, facts: Facts | None = None) -> str:
    """The template of config.toml: a configuration of 2.x names its plugins differently."""
    major, _ = split_version(containerd_version(inventory, host, facts))
    return "containerd-1.toml.j2" if major < 2 else "containerd-2.toml.j2"


def containerd_variables(inventory: Inventory, host: Host, facts: Facts | None = None) -> dict[str, Any]:
    """What both templates need."""
    options = effective(host, "runtime_options")
    return {
        "cluster": inventory.cluster,
        "host": host.name,
        "sandbox_image": sandbox_image(inventory),
        "plugins": plugin_folder(inventory, host, facts),
        "takes_several_folders": split_version(containerd_version(inventory, host, facts)) >= (2, 1),
        "restrict_oom_score_adj": options.get("restrict_oom_score_adj") is True,
        "registries": REGISTRIES,
        "own": effective(host, "containerd"),
    }


def registry_files(host: Host) -> dict[str, dict[str, Any]]:
    """Path of each hosts.toml -> the variables of its template."""
    found = {}
    for name, entry in effective(host, "registries").items():
        usual = "https://registry-1.docker.io" if name == "docker.io" else f"https://{name}"
        server = "" if name == "_default" else entry.get("server", usual)
        found[f"{REGISTRIES}/{name}/hosts.toml"] = {
            "name": name,
            "server": entry.get("server", server),
            "mirrors": list(entry.get("mirrors") or ()),
        }
    return found
