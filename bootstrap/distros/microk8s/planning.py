"""From facts to the stages of an apply: install, found, update, join, add-ons, record. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from bootstrap.control_plane import refuse_without_quorum
from bootstrap.distros.microk8s.addon_plan import AddonPlan
from bootstrap.distros.microk8s.cluster import Cluster
from bootstrap.distros.microk8s.host_plan import HostPlan
from bootstrap.distros.microk8s.layout import COMMON, CURRENT
from bootstrap.distros.microk8s.refusals import refuse_impossible_changes, refuse_strangers
from bootstrap.driver import PlanInput
from bootstrap.model import HostFacts, Plan, Record, Stage, Step
from bootstrap.plan import make_stage

WORKERS_AT_ONCE = 10
HOSTS_AT_ONCE = 32
RECOVERY = "give dqlite its quorum back with the members that are left (microk8s.io/docs/restore-quorum)"


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    seen = Cluster(plan_input)
    seen.founder  # noqa: B018 - refuses first of all when founding would be a guess
    purged = [host for host in (*seen.controllers, *seen.workers) if HostPlan(seen, host).needs_purge]
    refuse_impossible_changes(seen)
    refuse_strangers(seen)
    cluster = Cluster(_without_purged(plan_input, {host.name for host in purged}))
    hosts = {host.name: HostPlan(cluster, host) for host in (*cluster.controllers, *cluster.workers)}
    refuse_without_quorum(cluster, hosts.values(), RECOVERY)
    addons = AddonPlan(cluster)
    stages = tuple(stage for stage in _stages(cluster, hosts, addons) if stage.steps)
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


def _stages(cluster: Cluster, hosts: dict[str, HostPlan], addons: AddonPlan) -> Iterator[Stage]:
    controllers = [hosts[host.name] for host in cluster.controllers]
    workers = [hosts[host.name] for host in cluster.workers]
    everyone = [*controllers, *workers]
    founder = hosts[cluster.founder.name]
    joining = [each for each in controllers if not each.is_member and each is not founder]
    replaced = [each for each in joining if each.is_mended]
    members = [each for each in (founder, *(each for each in controllers if each is not founder)) if each.is_member]
    down = [each for each in members if each.is_down]
    up = [each for each in members if not each.is_down]
    yield make_stage("before the first change", _each(everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("install the snap on new hosts", _each(everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {founder.host.name}", founder.found(), critical=True)
    # What lost votes is brought back before a vote that is there is touched.
    yield make_stage("start controllers that are down", _each(down, HostPlan.rise), at_once=HOSTS_AT_ONCE)
    yield make_stage("see that they serve", _each(down, HostPlan.settle), critical=True)
    yield make_stage("let lost controllers join again", founder.mint(replaced), critical=True)
    yield make_stage("replace lost controllers, one at a time", _each(replaced, HostPlan.join), critical=True)
    yield make_stage("update controllers, one at a time", _each(up, HostPlan.update), critical=True)
    joining = [each for each in joining if each not in replaced]
    old, new = [each for each in workers if each.is_member], [each for each in workers if not each.is_member]
    yield make_stage("let controllers join", founder.mint(joining), critical=True)
    yield make_stage("join controllers, one at a time", _each(joining, HostPlan.join), critical=True)
    at_once = 1 if any(each.drains for each in old) else WORKERS_AT_ONCE
    yield make_stage("update workers", _each(old, HostPlan.update), at_once=at_once)
    yield make_stage("let workers join", founder.mint(new), critical=True)
    yield make_stage("join workers", _each(new, HostPlan.join), at_once=WORKERS_AT_ONCE)
    yield make_stage("bring add-ons, one at a time", addons.steps(), critical=True)
    yield make_stage("after the last change", _each(everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)


def _each(plans: Iterable[HostPlan], steps: Callable[[HostPlan], Iterable[Step]]) -> list[Step]:
    return [step for plan in plans for step in steps(plan)]
