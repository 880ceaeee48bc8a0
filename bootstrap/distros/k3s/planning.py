"""From facts to the stages of an apply: install, found, update, join, reconcile, record. Pure."""

from collections.abc import Iterable, Iterator

from bootstrap.distros.k3s.cluster import Cluster
from bootstrap.distros.k3s.host_plan import HostPlan
from bootstrap.distros.k3s.refusals import refuse_impossible_changes
from bootstrap.driver import PlanInput
from bootstrap.errors import PlanRefusedError
from bootstrap.model import (
    Plan,
    Stage,
    Step,
)
from bootstrap.plan import (
    make_stage,
)
from bootstrap.quorum import majority, refuse_stop

AGENTS_AT_ONCE = 10
HOSTS_AT_ONCE = 32


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    cluster = Cluster(plan_input)
    cluster.founder  # noqa: B018 - refuses first of all when founding would be a guess
    refuse_impossible_changes(cluster)
    hosts = {host.name: HostPlan(cluster, host) for host in (*cluster.controllers, *cluster.workers)}
    _refuse_without_quorum(cluster, list(hosts.values()))
    return Plan(plan_input.inventory.cluster, "apply", tuple(s for s in _stages(cluster, hosts) if s.steps))


def _refuse_without_quorum(cluster: Cluster, hosts: list[HostPlan]) -> None:
    """Raises PlanRefusedError when etcd has lost its quorum, or would lose it by a restart."""
    controllers = len(cluster.plan_input.inventory.controllers)
    members = [each for each in hosts if each.is_member and each.host.role.controls]
    # A founder that is still starting for the first time has no quorum to lose, and nothing on record.
    were_up = all(each.applied for each in members)
    if cluster.has_etcd and cluster.nodes is None and were_up and len(members) < majority(controllers):
        raise PlanRefusedError(
            f"etcd has lost its quorum: {len(members)} of {controllers} members can be asked, {majority(controllers)} are needed",
            why="joining hosts to it can't succeed, and founding anew would lose what it holds",
            next_step=f"bring the missing controllers back, or on {members[0].host.name}: "
            "systemctl stop k3s; k3s server --cluster-reset; systemctl start k3s - then apply again",
        )
    mended = {each.host.name for each in hosts if each.is_mended}
    healthy = {name: works or name in mended for name, works in cluster.voters.items()}
    reasons = [refuse_stop(each.host.name, healthy) for each in members if each.start_reason and not each.is_mended]
    if any(reasons):
        raise PlanRefusedError(
            "the control plane can't be restarted now",
            why="\n        ".join(reason for reason in reasons if reason),
            next_step="bring the controller that is down back first, or `bootstrap remove` it",
        )


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
    joining = [each for each in joining if each not in replaced]
    yield make_stage("join controllers, one at a time", _each(joining, HostPlan.join), critical=True)
    yield make_stage(
        "update workers", _each([w for w in workers if w.is_member], HostPlan.update), at_once=AGENTS_AT_ONCE
    )
    yield make_stage(
        "join workers", _each([w for w in workers if not w.is_member], HostPlan.join), at_once=AGENTS_AT_ONCE
    )
    yield make_stage("look again after ten seconds", _each(everyone, HostPlan.look_again), at_once=HOSTS_AT_ONCE)
    yield make_stage("after the last change", _each(everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)


def _each(plans: Iterable[HostPlan], steps: "object") -> list[Step]:
    return [step for plan in plans for step in steps(plan)]  # type: ignore[operator]
