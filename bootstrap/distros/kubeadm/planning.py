"""From facts to the stages of an apply: prepare, found, update, join, record. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from bootstrap.control_plane import refuse_without_quorum
from bootstrap.distros.kubeadm.cluster import Cluster
from bootstrap.distros.kubeadm.host_plan import HostPlan
from bootstrap.distros.kubeadm.layout import JOIN, MANIFESTS, PKI
from bootstrap.distros.kubeadm.refusals import refuse_impossible_changes
from bootstrap.driver import PlanInput
from bootstrap.model import HostFacts, Plan, Stage
from bootstrap.plan import make_stage
from bootstrap.ranks import HOSTS_AT_ONCE, WORKERS_AT_ONCE, Ranks, gather, rank_hosts

RECOVERY = "restore etcd from a snapshot (etcdutl snapshot restore)"


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    seen = Cluster(plan_input)
    seen.founder  # noqa: B018 - refuses first of all when founding would be a guess
    refuse_impossible_changes(seen)
    cluster = Cluster(_after_resets(seen))
    ranks = rank_hosts(cluster, lambda host: HostPlan(cluster, host))
    refuse_without_quorum(cluster, ranks.everyone, RECOVERY)
    return Plan(plan_input.inventory.cluster, "apply", tuple(s for s in _stages(cluster, ranks) if s.steps))


def _after_resets(cluster: Cluster) -> PlanInput:
    """The input with the files gone that a reset takes from hosts which must be undone first."""
    facts = dict(cluster.plan_input.facts)
    for host in (*cluster.controllers, *cluster.workers):
        if HostPlan(cluster, host).needs_reset:
            facts[host.name] = _without_kubeadm_files(facts[host.name])
    return replace(cluster.plan_input, facts=facts)


def _without_kubeadm_files(facts: HostFacts) -> HostFacts:
    kept = {path: file for path, file in facts.files.items() if not path.startswith((PKI, MANIFESTS, JOIN))}
    return replace(facts, files=kept)


def _stages(cluster: Cluster, ranks: Ranks[HostPlan]) -> Iterator[Stage]:
    yield make_stage("before the first change", gather(ranks.everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("prepare new hosts", gather(ranks.everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {ranks.founder.host.name}", ranks.founder.found(), critical=True)
    # What lost votes is brought back before a vote that is there is touched.
    yield make_stage("start controllers that are down", gather(ranks.down, HostPlan.rise), at_once=HOSTS_AT_ONCE)
    yield make_stage("see that they serve", gather(ranks.down, HostPlan.settle), critical=True)
    yield make_stage("let hosts join", ranks.founder.mint([*ranks.joining, *ranks.new_workers]), critical=True)
    yield make_stage("replace lost controllers, one at a time", gather(ranks.replaced, HostPlan.join), critical=True)
    yield make_stage("update controllers, one at a time", gather(ranks.up, HostPlan.update), critical=True)
    if not cluster.is_new:
        yield make_stage("bring the pod network up to date", ranks.founder.bring_network(), critical=True)
    yield make_stage("join controllers, one at a time", gather(ranks.added, HostPlan.join), critical=True)
    yield make_stage("update workers", gather(ranks.old_workers, HostPlan.update), at_once=WORKERS_AT_ONCE)
    yield make_stage("join workers", gather(ranks.new_workers, HostPlan.join), at_once=WORKERS_AT_ONCE)
    yield make_stage("after the last change", gather(ranks.everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)
