"""Kubernetes versions: their grammar, and what goes with a minor. Pure."""

import re

from bootstrap.model import Inventory
from bootstrap.releases import Version, note_series, read_version

GRAMMAR = re.compile(r"v(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)(?:-(?P<stage>alpha|beta|rc)\.(?P<number>\d+))?")
OLDEST, NEWEST = (1, 34), (1, 37)  # minors that this program was made with
OLDEST_CONFIG = (1, 31)  # kubeadm.k8s.io/v1beta4 came with it
CONTAINERD_2 = (1, 37)  # a kubelet of this minor asks what containerd 1.x can't answer (the CRI's RuntimeConfig)
CGROUP_2 = (1, 35)  # from here on a kubelet does not start on cgroup v1 unless `failCgroupV1: false`
RELEASES_HINT = "take the exact release, such as v1.36.3"
# First minor -> apiVersion of kubeadm's documents from there on.
CONFIG_API = {OLDEST_CONFIG: "kubeadm.k8s.io/v1beta4"}
KUBELET_API = "kubelet.config.k8s.io/v1beta1"
PROXY_API = "kubeproxy.config.k8s.io/v1alpha1"
# First minor -> what `kubeadm config images list` names from there on (cmd/kubeadm/app/constants).
PAUSE = {(1, 31): "3.10", (1, 34): "3.10.1", (1, 36): "3.10.2"}
# First release -> tags of etcd and CoreDNS from there on; a release after the last may have moved on.
COMPANIONS = {
    (1, 34, 0): ("3.6.4-0", "v1.12.1"),
    (1, 34, 2): ("3.6.5-0", "v1.12.1"),
    (1, 35, 0): ("3.6.6-0", "v1.13.1"),
    (1, 36, 0): ("3.6.8-0", "v1.14.2"),
}
REPOSITORY = "registry.k8s.io"
# Releases of what is around Kubernetes; crictl's follow Kubernetes' minor.
PARTS = {
    "containerd": "2.2.1",
    "runc": "1.4.0",
    "cni-plugins": "1.9.0",
    "crictl": "",
    "kube-vip": "1.2.3",
    "flannel": "0.28.4",
    "calico": "3.31.7",
    "cilium": "1.20.1",
    "cilium-cli": "0.19.7",
}
PART_GRAMMAR = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")


def parse_version(text: str) -> Version:
    """Raises ValueError for what is no Kubernetes release."""
    return read_version(GRAMMAR, text, "Kubernetes")


def check_version(text: str) -> tuple[str, str]:
    """What is wrong with a version and a hint, both empty when nothing is."""
    if not GRAMMAR.fullmatch(text):
        likely = _repair(text)
        hint = f"did you mean `{likely}`?" if GRAMMAR.fullmatch(likely) else RELEASES_HINT
        return f"`{text}` is no Kubernetes release: those read vX.Y.Z", hint
    if parse_version(text).series < OLDEST_CONFIG:
        needed = f"v{OLDEST_CONFIG[0]}.{OLDEST_CONFIG[1]}"
        return f"kubeadm {text} does not know {CONFIG_API[OLDEST_CONFIG]}", f"{needed} is the first release that does"
    return "", ""


def _repair(text: str) -> str:
    """What is usually meant: without `v`, or another distribution's tag."""
    bare = re.sub(r"[+-](k3s|k0s|rke2)\S*$", "", text)
    return bare if bare.startswith("v") else f"v{bare}"


def note_version(text: str) -> str:
    """A remark on a version that this program was not made with; empty for one that it was."""
    return note_series("Kubernetes", parse_version(text).series, OLDEST, NEWEST)


def config_api(text: str) -> str:
    """apiVersion of kubeadm's documents for a version."""
    return _choose(CONFIG_API, text)


def pause_tag(text: str) -> str:
    """The tag of the sandbox image that goes with a version."""
    return _choose(PAUSE, text)


def companion_tags(text: str) -> tuple[str, str] | None:
    """The tags of etcd and CoreDNS that go with a release, as far as is known; None for a minor that is not."""
    version = parse_version(text)
    firsts = [first for first in COMPANIONS if first <= (version.major, version.minor, version.patch)]
    return COMPANIONS[max(firsts)] if firsts and max(firsts)[:2] == version.series else None


def _choose(table: dict[tuple[int, int], str], text: str) -> str:
    series = parse_version(text).series
    return table[max((first for first in table if first <= series), default=min(table))]


def default_part(name: str, version: str) -> str:
    """The release of a part, without `v`, where the inventory names none."""
    series = parse_version(version).series
    return PARTS[name] or f"{series[0]}.{series[1]}.0"


def part_version(inventory: Inventory, name: str) -> str:
    """The release of a part, without `v`: the inventory's, else the one that this program was made with."""
    given = inventory.native.get("versions") or {}
    return str(given.get(name) or default_part(name, inventory.version))
