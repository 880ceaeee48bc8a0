"""Changes that a living kubeadm cluster can't take, and why. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bootstrap.control_plane import find_separate, is_ready, refuse_changes
from bootstrap.distros.kubeadm.cluster import Cluster
from bootstrap.distros.kubeadm.drift import PLACES
from bootstrap.distros.kubeadm.files import cluster_documents, pki_artifacts
from bootstrap.distros.kubeadm.layout import CONFLIST, PKI
from bootstrap.distros.kubeadm.probes import API_MANIFEST, KUBELET_CONF, UNFINISHED
from bootstrap.distros.kubeadm.versions import GRAMMAR, parse_version
from bootstrap.facts import has_trace
from bootstrap.plan import filled_content
from bootstrap.releases import Version

# Fields of ClusterConfiguration that certificates, addresses or data were made with: path -> default.
FIXED: Mapping[str, str] = {
    "networking.podSubnet": "",
    "networking.serviceSubnet": "10.96.0.0/12",
    "networking.dnsDomain": "cluster.local",
    "clusterName": "kubernetes",
    "controlPlaneEndpoint": "",
    "certificatesDir": "/etc/kubernetes/pki",
    "etcd.local.dataDir": "/var/lib/etcd",
    "etcd.external.endpoints": "",
}
KUBELET_BEHIND = 3  # minors that a kubelet may be older than the API


def refuse_impossible_changes(cluster: Cluster) -> None:
    """Raises PlanRefusedError that names every such change at once."""
    refuse_changes(
        [
            *_role_changes(cluster),
            *_fixed_changes(cluster),
            *find_separate(cluster),
            *_authority_changes(cluster),
            *_version_changes(cluster),
            *_network_changes(cluster),
        ]
    )


def _role_changes(cluster: Cluster) -> Iterator[str]:
    for host in cluster.workers:
        facts = cluster.facts(host)
        if has_trace(facts, API_MANIFEST) and not has_trace(facts, UNFINISHED):
            yield f"{host.name} is a controller and shall become {host.role}: `bootstrap remove {host.name}` first, then apply"
    for host in cluster.controllers:
        facts, node = cluster.facts(host), cluster.node(host)
        joined = has_trace(facts, KUBELET_CONF) and not has_trace(facts, UNFINISHED)
        if joined and node and not has_trace(facts, API_MANIFEST) and not _is_control_plane(node):
            yield f"{host.name} is a worker and shall become {host.role}: `bootstrap remove {host.name}` first, then apply"


def _is_control_plane(node: Mapping[str, Any]) -> bool:
    return "node-role.kubernetes.io/control-plane" in (node["metadata"].get("labels") or {})


def _fixed_changes(cluster: Cluster) -> Iterator[str]:
    """Compared with what the cluster itself keeps, so a cluster that others made is judged as well."""
    name, key = PLACES["ClusterConfiguration"]
    text = cluster.config_maps.get(name, {}).get(key, "")
    actual = _load(text)
    if not actual:
        return
    wanted = cluster_documents(cluster.plan_input.inventory)["ClusterConfiguration"]
    for path, default in FIXED.items():
        old, new = _text(_find(actual, path), default), _text(_find(wanted, path), default)
        if path == "controlPlaneEndpoint" and not new:
            continue
        if old != new:
            yield f"{path} is fixed when the cluster is made: it is {old or 'not set'}, the inventory says {new or 'not set'}"


def _authority_changes(cluster: Cluster) -> Iterator[str]:
    """Every certificate and every token of the cluster was signed with the files that its controllers hold."""
    plan_input = cluster.plan_input
    for host in cluster.members:
        for artifact in pki_artifacts(plan_input.inventory, host):
            there = cluster.facts(host).files.get(artifact.path)
            wanted = filled_content(plan_input, artifact)
            if there and there.content is not None and there.content.strip() != wanted.strip():
                name = artifact.path.removeprefix(f"{PKI}/")
                yield f"pki.{name} is fixed when the cluster is made: {host.name} holds another one"


def _version_changes(cluster: Cluster) -> Iterator[str]:
    """kubeadm goes up one minor at a time, and never down."""
    wanted = parse_version(cluster.plan_input.inventory.version)
    name, key = PLACES["ClusterConfiguration"]
    actual = _load(cluster.config_maps.get(name, {}).get(key, ""))
    before = _version(str((actual or {}).get("kubernetesVersion") or ""))
    if before and wanted < before:
        yield f"the cluster runs {_show(before)}, and kubeadm can't go down to {_show(wanted)}"
    elif before and wanted.minor > before.minor + 1:
        step = f"v{before.major}.{before.minor + 1}"
        yield f"the cluster runs {_show(before)}: kubeadm goes up one minor at a time, so a release of {step} comes first"
    for node, item in (cluster.nodes or {}).items():
        kubelet = _version(str((item.get("status", {}).get("nodeInfo") or {}).get("kubeletVersion") or ""))
        if kubelet and wanted.minor - kubelet.minor > KUBELET_BEHIND:
            yield f"the kubelet of {node} is {_show(kubelet)}: at most {KUBELET_BEHIND} minors may lie between it and the API"


def _network_changes(cluster: Cluster) -> Iterator[str]:
    """A CNI can't be exchanged under running pods; the bridge's own file tells of it."""
    wanted = str(cluster.plan_input.inventory.native.get("cni") or "flannel")
    bridged = [host.name for host in cluster.members if CONFLIST in cluster.facts(host).files]
    if bridged and wanted != "bridge":
        yield f"the pod network is `bridge` on {', '.join(bridged)}, and can't become {wanted} under running pods"
    unbridged = [host.name for host in cluster.members if host.name not in bridged]
    if (
        wanted == "bridge"
        and unbridged
        and any(is_ready(cluster.node(host) or {}) for host in cluster.members if host.name in unbridged)
    ):
        yield f"the pod network of {', '.join(unbridged)} is another one, and can't become bridge under running pods"


def _version(text: str) -> Version | None:
    return parse_version(text) if GRAMMAR.fullmatch(text) else None


def _show(version: Version) -> str:
    return f"v{version.major}.{version.minor}.{version.patch}"


def _load(text: str) -> Mapping[str, Any]:
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _find(document: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: Any, default: str) -> str:  # noqa: ANN401
    if value in (None, "", [], {}):
        return default
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
