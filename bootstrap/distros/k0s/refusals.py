"""Changes that a living k0s cluster can't take, and why. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bootstrap.control_plane import find_separate, refuse_changes
from bootstrap.distros.k0s.cluster import Cluster
from bootstrap.distros.k0s.drift import load_document, read_flags, read_unit
from bootstrap.distros.k0s.layout import (
    CONFIG,
    CONTROLLER,
    DEFAULT_DATA,
    INSTALL_FLAGS,
    WORKER,
    lookup,
    pki_folder,
    service,
    unit_path,
)
from bootstrap.distros.k0s.probes import status, version_there
from bootstrap.distros.k0s.versions import GRAMMAR, parse_version
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import has_trace
from bootstrap.model import Host, Role
from bootstrap.plan import filled_content, find_artifact
from bootstrap.releases import Version

OTHER_SERVICE = {CONTROLLER: WORKER, WORKER: CONTROLLER}
# Fields of ClusterConfig's spec that data, addresses or certificates were made with: path -> default.
FIXED: Mapping[str, str] = {
    "network.provider": "kuberouter",
    "network.podCIDR": "10.244.0.0/16",
    "network.serviceCIDR": "10.96.0.0/12",
    "network.clusterDomain": "cluster.local",
    "network.dualStack.enabled": "false",
    "network.dualStack.IPv6podCIDR": "",
    "network.dualStack.IPv6serviceCIDR": "",
    "storage.type": "etcd",
    "storage.etcd.externalCluster.endpoints": "",
    "storage.etcd.externalCluster.etcdPrefix": "",
    "storage.kine.dataSource": "",
    "api.port": "6443",
}
WORKERS_BEHIND = 1  # minors: controllers go first, and what k0s tests is one (k0sproject/k0s#8195)


def refuse_impossible_changes(cluster: Cluster) -> None:
    """Raises PlanRefusedError that names every such change at once."""
    refuse_changes(
        [
            *_role_changes(cluster),
            *_fixed_changes(cluster),
            *_folder_changes(cluster),
            *_separate_clusters(cluster),
            *_authority_changes(cluster),
            *_version_changes(cluster),
        ]
    )


def refuse_strangers(cluster: Cluster, undone: Iterable[Host]) -> None:
    """Raises PlanRefusedError for a host that must be reset first, and that nothing of ours vouches for."""
    for host in undone:
        facts = cluster.facts(host)
        if facts.record is None and not has_trace(facts, "unfinished"):
            raise PlanRefusedError(
                f"{host.name} belongs to another k0s cluster, and no record of this program tells of it",
                why="its data does not fit this cluster's, and to join it would have to be reset",
                next_step=f"look what it is; `k0s stop && k0s reset` on {host.name} erases it; then apply again",
            )


def _role_changes(cluster: Cluster) -> Iterator[str]:
    """k0s has no way from one role to another (k0sproject/k0s#4107)."""
    for host in (*cluster.controllers, *cluster.workers):
        found = _role_there(cluster, host)
        if found and found != host.role:
            yield f"{host.name} is a {found} and shall become {host.role}: `bootstrap remove {host.name}` first, then apply"


def _role_there(cluster: Cluster, host: Host) -> Role | None:
    """The role in force, as the service that is installed and its process say; None for a host that is not in."""
    facts = cluster.facts(host)
    other = facts.units.get(OTHER_SERVICE[service(host)])
    if other is not None and other.load == "loaded" and not has_trace(facts, "unfinished"):
        return Role.WORKER if host.role.controls else Role.CONTROLLER
    seen = status(facts)
    if not cluster.is_member(host) or not seen.get("Role"):
        return None
    if seen["Role"] == "worker":
        return Role.WORKER
    if seen.get("SingleNode"):
        return Role.SINGLE
    return Role.CONTROLLER_WORKER if seen.get("Workloads") else Role.CONTROLLER


def _fixed_changes(cluster: Cluster) -> Iterator[str]:
    """Compared with the file that the running k0s has read, so a cluster that others made is judged as well."""
    for host in cluster.members:
        there, file = cluster.facts(host).files.get(CONFIG), find_artifact(cluster.plan_input, host.name, CONFIG)
        actual = load_document(there.content if there else None)
        wanted = load_document(filled_content(cluster.plan_input, file)) if file else None
        if actual is None or wanted is None:
            continue
        for path, default in FIXED.items():
            old, new = _text(_find(actual, path), default), _text(_find(wanted, path), default)
            if path == "storage.type":
                old, new = _text(_find(actual, path), _default_storage(host)), _text(_find(wanted, path), new)
            if old != new:
                yield f"{host.name}: {path} is fixed when the cluster is made: it is {old or 'not set'}, the inventory says {new or 'not set'}"


def _default_storage(host: Host) -> str:
    return "kine" if host.role is Role.SINGLE else "etcd"


def _folder_changes(cluster: Cluster) -> Iterator[str]:
    """The data would stay behind in the old folder, and k0s would begin anew in the other."""
    for host in (*cluster.controllers, *cluster.workers):
        facts = cluster.facts(host)
        unit = facts.files.get(unit_path(host, facts.init))
        flags = find_artifact(cluster.plan_input, host.name, INSTALL_FLAGS)
        if unit is None or flags is None or has_trace(facts, "unfinished"):
            continue
        old = read_flags(read_unit(unit.content or "")).get("--data-dir", DEFAULT_DATA)
        new = read_flags(filled_content(cluster.plan_input, flags).splitlines()).get("--data-dir", DEFAULT_DATA)
        if old.rstrip("/") != new.rstrip("/"):
            yield f"{host.name}: dataDir is fixed when a host joins: it is {old}, the inventory says {new}"


def _separate_clusters(cluster: Cluster) -> Iterator[str]:
    """Controllers of one cluster have one CA, and one etcd."""
    yield from find_separate(cluster)
    alone = [
        host.name for host in cluster.members if has_trace(cluster.facts(host), "sqlite") and cluster.has_embedded_data
    ]
    if len(cluster.members) > 1 and alone and not cluster.runs_etcd:
        yield f"{', '.join(alone)} has data of its own beside others: these are separate clusters"


def _authority_changes(cluster: Cluster) -> Iterator[str]:
    """Every certificate and every token of the cluster was signed with the files that its controllers hold."""
    for host in cluster.members:
        for artifact in cluster.plan_input.artifacts:
            if artifact.host != host.name or not artifact.path.startswith(f"{pki_folder(host)}/"):
                continue
            there = cluster.facts(host).files.get(artifact.path)
            wanted = filled_content(cluster.plan_input, artifact)
            if there and there.content is not None and there.content.strip() != wanted.strip():
                name = artifact.path.removeprefix(f"{pki_folder(host)}/")
                yield f"pki.{name} is fixed when the cluster is made: {host.name} holds another one"


def _version_changes(cluster: Cluster) -> Iterator[str]:
    """Up one minor at a time, controllers before workers, and never down."""
    wanted = parse_version(cluster.plan_input.inventory.version)
    for host in (*cluster.members, *(worker for worker in cluster.workers if cluster.is_member(worker))):
        runs = _version(version_there(cluster.facts(host)))
        if runs is None:
            continue
        if wanted < runs:
            yield f"{host.name} runs {_show(runs)}, and k0s can't go down to {_show(wanted)}"
        elif wanted.minor > runs.minor + WORKERS_BEHIND:
            step = f"v{runs.major}.{runs.minor + 1}"
            yield f"{host.name} runs {_show(runs)}: k0s goes up one minor at a time, so a release of {step} comes first"


def _version(text: str) -> Version | None:
    return parse_version(text) if GRAMMAR.fullmatch(text) else None


def _show(version: Version) -> str:
    stage = f"-{version.stage}.{version.number}" if version.stage else ""
    return f"v{version.major}.{version.minor}.{version.patch}{stage}+k0s.{version.build}"


def _find(document: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    return lookup(document, "spec", *path.split("."))


def _text(value: Any, default: str) -> str:  # noqa: ANN401
    if value in (None, "", [], {}):
        return default
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
