"""Changes that a living MicroK8s cluster can't take, and why. Pure."""

from collections.abc import Iterator, Mapping

from bootstrap.control_plane import find_separate, refuse_changes
from bootstrap.distros.microk8s.cluster import Cluster, is_installed, is_on_record, is_ours
from bootstrap.distros.microk8s.drift import name_of
from bootstrap.distros.microk8s.layout import ARGS, PKI, is_ha
from bootstrap.distros.microk8s.network import pods_of, services_of
from bootstrap.distros.microk8s.probes import snap_of
from bootstrap.distros.microk8s.versions import Series, is_strict, series_of, snap_series
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import has_trace
from bootstrap.model import Host, HostFacts
from bootstrap.plan import filled_content, find_artifact

# File of arguments and argument -> the inventory's field; the snap writes them once, at install.
RANGES: Mapping[tuple[str, str], str] = {
    ("kube-apiserver", "--service-cluster-ip-range"): "network.services",
    ("kube-controller-manager", "--service-cluster-ip-range"): "network.services",
    ("kube-controller-manager", "--cluster-cidr"): "network.pods",
    ("kube-proxy", "--cluster-cidr"): "network.pods",
}


def refuse_impossible_changes(cluster: Cluster) -> None:
    """Raises PlanRefusedError that names every such change at once."""
    refuse_changes(
        [
            *_role_changes(cluster),
            *_range_changes(cluster),
            *_datastore_changes(cluster),
            *_separate_clusters(cluster),
            *_authority_changes(cluster),
            *_confinement_changes(cluster),
            *_version_changes(cluster),
        ]
    )


def refuse_strangers(cluster: Cluster) -> None:
    """Raises PlanRefusedError for a MicroK8s that must go first, and that nothing of ours vouches for."""
    for host in (*cluster.controllers, *cluster.workers):
        facts = cluster.facts(host)
        if is_installed(facts) and not is_ours(facts) and not cluster.is_member(host):
            raise PlanRefusedError(
                f"{host.name} has a MicroK8s of its own, and no record of this program tells of it",
                why="to join this cluster it would have to be erased",
                next_step=f"look what it is; `snap remove --purge microk8s` on {host.name} erases it; then apply again",
            )


def _known(cluster: Cluster, host: Host) -> bool:
    """Whether the host's role is that of a finished membership."""
    facts = cluster.facts(host)
    return is_installed(facts) and (is_on_record(facts) or cluster.is_member(host))


def _role_changes(cluster: Cluster) -> Iterator[str]:
    for host in (*cluster.controllers, *cluster.workers):
        node = cluster.node(host)
        if node is None or not _known(cluster, host):
            continue
        works_only = has_trace(cluster.facts(host), "clustered")
        if works_only is host.role.controls:
            is_now = "worker" if works_only else "controller"
            yield f"{host.name} is a {is_now} and shall become {host.role}: `bootstrap remove {host.name}` first, then apply"


def _range_changes(cluster: Cluster) -> Iterator[str]:
    """Read from the arguments that are in force, so a cluster that others made is judged as well."""
    inventory = cluster.plan_input.inventory
    wanted = {"network.pods": pods_of(inventory), "network.services": services_of(inventory)}
    told = set()
    for host in cluster.members:
        for (file, argument), field in RANGES.items():
            there = _argument(cluster.facts(host), file, argument)
            if there and set(there.split(",")) != set(wanted[field]) and field not in told:
                told.add(field)
                yield (
                    f"{field} is fixed when the cluster is made, for Calico and dqlite hold it: it is {there},"
                    f" the inventory says {','.join(wanted[field])}"
                )


def _argument(facts: HostFacts, file: str, argument: str) -> str:
    there = facts.files.get(f"{ARGS}/{file}")
    lines = (line for line in ((there.content or "") if there else "").splitlines() if name_of(line) == argument)
    return next((line[len(argument) :].lstrip("= ").strip() for line in lines), "")


def _datastore_changes(cluster: Cluster) -> Iterator[str]:
    wanted = is_ha(cluster.plan_input.inventory)
    for host in cluster.members:
        facts = cluster.facts(host)
        if has_trace(facts, "ha") is not wanted:
            there, then = ("dqlite", "etcd") if not wanted else ("etcd", "dqlite")
            yield f"`ha` is fixed when the cluster is made: {host.name} has {there}, and would lose everything on the way to {then}"


def _separate_clusters(cluster: Cluster) -> Iterator[str]:
    for reason in find_separate(cluster):
        yield f"{reason} (`snap remove --purge microk8s` on one of them erases it)"


def _authority_changes(cluster: Cluster) -> Iterator[str]:
    """Every certificate of the cluster was signed with it, and every node would have to join again."""
    for host in cluster.members:
        file = find_artifact(cluster.plan_input, host.name, f"{PKI}/ca.crt")
        there = str(cluster.facts(host).values.get("ca") or "")
        if file and there and filled_content(cluster.plan_input, file).strip() != there:
            yield f"pki.ca.crt is fixed when the cluster is made: {host.name} has another one"


def _confinement_changes(cluster: Cluster) -> Iterator[str]:
    strict = is_strict(cluster.plan_input.inventory)
    for host in (*cluster.controllers, *cluster.workers):
        snap = snap_of(cluster.facts(host))
        if snap and _known(cluster, host) and strict is ("classic" in snap.notes):
            there, then = ("classic", "strict") if strict else ("strict", "classic")
            yield f"{host.name} has the {there} snap: it has to be removed before a {then} one can be installed"


def _version_changes(cluster: Cluster) -> Iterator[str]:
    """Up one minor at a time, and never down (discuss.kubernetes.io/t/18239)."""
    wanted = series_of(cluster.plan_input.inventory)
    for host in (*cluster.controllers, *cluster.workers):
        snap = snap_of(cluster.facts(host))
        runs = snap_series(snap.version) if snap and cluster.is_member(host) else None
        if runs is None:
            continue
        if wanted < runs:
            yield f"{host.name} runs {_show(runs)}, and dqlite's data can't go back to {_show(wanted)}"
        elif wanted > (runs[0], runs[1] + 1):
            yield f"{host.name} runs {_show(runs)}: MicroK8s goes up one minor at a time, so {_show((runs[0], runs[1] + 1))} comes first"


def _show(series: Series) -> str:
    return f"{series[0]}.{series[1]}"
