"""From facts to the stages of an apply: prepare, found, update, join, record. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from bootstrap.control_plane import refuse_without_quorum
from bootstrap.distros.k0s.cluster import Cluster
from bootstrap.distros.k0s.host_plan import HostPlan
from bootstrap.distros.k0s.layout import TOKEN, data_folder
from bootstrap.distros.k0s.refusals import refuse_impossible_changes, refuse_strangers
from bootstrap.driver import PlanInput
from bootstrap.model import Host, HostFacts, Plan, Stage, Step
from bootstrap.plan import make_stage

WORKERS_AT_ONCE = 10
HOSTS_AT_ONCE = 32
RECOVERY = "restore a backup (systemctl stop k0scontroller; k0s reset; k0s restore FILE; systemctl start k0scontroller)"


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    seen = Cluster(plan_input)
    seen.founder  # noqa: B018 - refuses first of all when founding would be a guess
    refuse_impossible_changes(seen)
    undone = [host for host in (*seen.controllers, *seen.workers) if HostPlan(seen, host).needs_reset]
    refuse_strangers(seen, undone)
    cluster = Cluster(_after_resets(plan_input, undone))
    hosts = {host.name: HostPlan(cluster, host) for host in (*cluster.controllers, *cluster.workers)}
    refuse_without_quorum(cluster, hosts.values(), RECOVERY)
    return Plan(plan_input.inventory.cluster, "apply", tuple(s for s in _stages(cluster, hosts) if s.steps))


def _after_resets(plan_input: PlanInput, undone: list[Host]) -> PlanInput:
    """The input with the files, services and records gone that a reset takes from hosts which must be undone first."""
    facts = dict(plan_input.facts)
    for host in undone:
        facts[host.name] = _without_installation(facts[host.name], data_folder(host))
    return replace(plan_input, facts=facts)


def _without_installation(facts: HostFacts, data: str) -> HostFacts:
    kept = {path: file for path, file in facts.files.items() if not path.startswith((f"{data}/", TOKEN))}
    return replace(facts, files=kept, units={}, record=None, values={**facts.values, "laid": (), "status": {}})


def _stages(cluster: Cluster, hosts: dict[str, HostPlan]) -> Iterator[Stage]:
    controllers = [hosts[host.name] for host in cluster.controllers]
    workers = [hosts[host.name] for host in cluster.workers]
    everyone = [*controllers, *workers]
    founder = hosts[cluster.founder.name]
    joining = [each for each in controllers if not each.is_member and each is not founder]
    replaced = [each for each in joining if each.is_mended]
    members = [each for each in (founder, *(each for each in controllers if each is not founder)) if each.is_member]
    down = [each for each in members if each.is_down]
    up = sorted((each for each in members if not each.is_down), key=lambda each: not each.is_mended)
    yield make_stage("before the first change", _each(everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("prepare new hosts", _each(everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {founder.host.name}", founder.found(), critical=True)
    # What lost votes is brought back before a vote that is there is touched.
    yield make_stage("start controllers that are down", _each(down, HostPlan.rise), at_once=HOSTS_AT_ONCE)
    yield make_stage("see that they serve", _each(down, HostPlan.settle), critical=True)
    yield make_stage("replace lost controllers, one at a time", _each(replaced, HostPlan.join), critical=True)
    yield make_stage("update controllers, one at a time", _each(up, HostPlan.update), critical=True)
    yield make_stage("change the cluster's configuration", founder.change_cluster(), critical=True)
    joining = [each for each in joining if each not in replaced]
    yield make_stage("join controllers, one at a time", _each(joining, HostPlan.join), critical=True)
    old, new = [each for each in workers if each.is_member], [each for each in workers if not each.is_member]
    yield make_stage("update workers", _each(old, HostPlan.update), at_once=WORKERS_AT_ONCE)
    yield make_stage("join workers", _each(new, HostPlan.join), at_once=WORKERS_AT_ONCE)
    yield make_stage("after the last change", _each(everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)


def _each(plans: Iterable[HostPlan], steps: Callable[[HostPlan], Iterable[Step]]) -> list[Step]:
    return [step for plan in plans for step in steps(plan)]
