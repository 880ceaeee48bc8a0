"""From facts to the stages of an apply: prepare, found, update, join, record. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from bootstrap.control_plane import refuse_without_quorum
from bootstrap.distros.k0s.cluster import Cluster
from bootstrap.distros.k0s.host_plan import HostPlan
from bootstrap.distros.k0s.layout import TOKEN, data_folder
from bootstrap.distros.k0s.refusals import refuse_impossible_changes, refuse_strangers
from bootstrap.driver import PlanInput
from bootstrap.model import Host, HostFacts, Plan, Stage
from bootstrap.plan import make_stage
from bootstrap.ranks import HOSTS_AT_ONCE, WORKERS_AT_ONCE, Ranks, gather, rank_hosts

RECOVERY = "restore a backup (systemctl stop k0scontroller; k0s reset; k0s restore FILE; systemctl start k0scontroller)"


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    seen = Cluster(plan_input)
    seen.founder  # noqa: B018 - refuses first of all when founding would be a guess
    refuse_impossible_changes(seen)
    undone = [host for host in (*seen.controllers, *seen.workers) if HostPlan(seen, host).needs_reset]
    refuse_strangers(seen, undone)
    cluster = Cluster(_after_resets(plan_input, undone))
    ranks = rank_hosts(cluster, lambda host: HostPlan(cluster, host))
    refuse_without_quorum(cluster, ranks.everyone, RECOVERY)
    return Plan(plan_input.inventory.cluster, "apply", tuple(s for s in _stages(cluster, ranks) if s.steps))


def _after_resets(plan_input: PlanInput, undone: list[Host]) -> PlanInput:
    """The input with the files, services and records gone that a reset takes from hosts which must be undone first."""
    facts = dict(plan_input.facts)
    for host in undone:
        facts[host.name] = _without_installation(facts[host.name], data_folder(host))
    return replace(plan_input, facts=facts)


def _without_installation(facts: HostFacts, data: str) -> HostFacts:
    kept = {path: file for path, file in facts.files.items() if not path.startswith((f"{data}/", TOKEN))}
    return replace(facts, files=kept, units={}, record=None, values={**facts.values, "laid": (), "status": {}})


def _stages(cluster: Cluster, ranks: Ranks[HostPlan]) -> Iterator[Stage]:
    yield make_stage("before the first change", gather(ranks.everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("prepare new hosts", gather(ranks.everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {ranks.founder.host.name}", ranks.founder.found(), critical=True)
    # What lost votes is brought back before a vote that is there is touched.
    yield make_stage("start controllers that are down", gather(ranks.down, HostPlan.rise), at_once=HOSTS_AT_ONCE)
    yield make_stage("see that they serve", gather(ranks.down, HostPlan.settle), critical=True)
    yield make_stage("replace lost controllers, one at a time", gather(ranks.replaced, HostPlan.join), critical=True)
    yield make_stage(
        "update controllers, one at a time",
        gather(sorted(ranks.up, key=lambda each: not each.is_mended), HostPlan.update),
        critical=True,
    )
    yield make_stage("change the cluster's configuration", ranks.founder.change_cluster(), critical=True)
    yield make_stage("join controllers, one at a time", gather(ranks.added, HostPlan.join), critical=True)
    yield make_stage("update workers", gather(ranks.old_workers, HostPlan.update), at_once=WORKERS_AT_ONCE)
    yield make_stage("join workers", gather(ranks.new_workers, HostPlan.join), at_once=WORKERS_AT_ONCE)
    yield make_stage("after the last change", gather(ranks.everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)
