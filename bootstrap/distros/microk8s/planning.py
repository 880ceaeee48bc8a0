"""From facts to the stages of an apply: install, found, update, join, add-ons, record. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from bootstrap.control_plane import refuse_without_quorum
from bootstrap.distros.microk8s.addon_plan import AddonPlan
from bootstrap.distros.microk8s.cluster import Cluster
from bootstrap.distros.microk8s.host_plan import HostPlan
from bootstrap.distros.microk8s.layout import COMMON, CURRENT
from bootstrap.distros.microk8s.refusals import refuse_impossible_changes, refuse_strangers
from bootstrap.driver import PlanInput
from bootstrap.model import HostFacts, Plan, Record, Stage
from bootstrap.plan import make_stage
from bootstrap.ranks import HOSTS_AT_ONCE, WORKERS_AT_ONCE, Ranks, gather, rank_hosts

RECOVERY = "give dqlite its quorum back with the members that are left (microk8s.io/docs/restore-quorum)"


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    seen = Cluster(plan_input)
    seen.founder  # noqa: B018 - refuses first of all when founding would be a guess
    purged = [host for host in (*seen.controllers, *seen.workers) if HostPlan(seen, host).needs_purge]
    refuse_impossible_changes(seen)
    refuse_strangers(seen)
    cluster = Cluster(_without_purged(plan_input, {host.name for host in purged}))
    ranks = rank_hosts(cluster, lambda host: HostPlan(cluster, host))
    refuse_without_quorum(cluster, ranks.everyone, RECOVERY)
    addons = AddonPlan(cluster)
    stages = tuple(stage for stage in _stages(cluster, ranks, addons) if stage.steps)
    return Plan(plan_input.inventory.cluster, "apply", stages, notes=tuple(addons.notes_for_people()))


def _without_purged(plan_input: PlanInput, names: set[str]) -> PlanInput:
    """The input with the snap's own files gone from hosts where it is removed first."""
    facts = {name: _purge_files(found) if name in names else found for name, found in plan_input.facts.items()}
    return replace(plan_input, facts=facts)


def _purge_files(facts: HostFacts) -> HostFacts:
    """A record from an earlier membership counts no more: what is planned is a new one."""
    kept = {path: file for path, file in facts.files.items() if not path.startswith((f"{CURRENT}/", f"{COMMON}/"))}
    record = facts.record and Record(facts.record.cluster)
    return replace(facts, files=kept, record=record if record else None)


def _stages(cluster: Cluster, ranks: Ranks[HostPlan], addons: AddonPlan) -> Iterator[Stage]:
    yield make_stage("before the first change", gather(ranks.everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("install the snap on new hosts", gather(ranks.everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {ranks.founder.host.name}", ranks.founder.found(), critical=True)
    # What lost votes is brought back before a vote that is there is touched.
    yield make_stage("start controllers that are down", gather(ranks.down, HostPlan.rise), at_once=HOSTS_AT_ONCE)
    yield make_stage("see that they serve", gather(ranks.down, HostPlan.settle), critical=True)
    yield make_stage("let lost controllers join again", ranks.founder.mint(ranks.replaced), critical=True)
    yield make_stage("replace lost controllers, one at a time", gather(ranks.replaced, HostPlan.join), critical=True)
    yield make_stage("update controllers, one at a time", gather(ranks.up, HostPlan.update), critical=True)
    yield make_stage("let controllers join", ranks.founder.mint(ranks.added), critical=True)
    yield make_stage("join controllers, one at a time", gather(ranks.added, HostPlan.join), critical=True)
    at_once = 1 if any(each.drains for each in ranks.old_workers) else WORKERS_AT_ONCE
    yield make_stage("update workers", gather(ranks.old_workers, HostPlan.update), at_once=at_once)
    yield make_stage("let workers join", ranks.founder.mint(ranks.new_workers), critical=True)
    yield make_stage("join workers", gather(ranks.new_workers, HostPlan.join), at_once=WORKERS_AT_ONCE)
    yield make_stage("bring add-ons, one at a time", addons.steps(), critical=True)
    yield make_stage("after the last change", gather(ranks.everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)
