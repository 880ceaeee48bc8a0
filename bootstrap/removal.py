"""Taking hosts out of a cluster, and what a distribution leaves on them, on every distribution. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bootstrap.control_plane import ControlPlane, is_ready
from bootstrap.driver import PlanInput
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import answers_api
from bootstrap.model import Host, Plan, Step
from bootstrap.plan import make_stage
from bootstrap.quorum import refuse_removal
from bootstrap.shell import join

HOSTS_AT_ONCE = 32


# --- one host ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaving:
    """A host that is to leave, and the controller that is asked to let it go. `host` is None for a Node of no host of ours."""

    name: str
    host: Host | None
    asked: Host

    def is_seen(self, cluster: ControlPlane) -> bool:
        return self.host is not None and self.name in cluster.plan_input.facts

    def can_be_drained(self, cluster: ControlPlane) -> bool:
        """False on a host that is dead: nobody there confirms that a pod has ended, and its pods go with its Node."""
        node = (cluster.nodes or {}).get(self.name) or {}
        return is_ready(node) and self.name not in cluster.plan_input.unreachable


def find_leaving(cluster: ControlPlane, name: str) -> Leaving:
    """Raises PlanRefusedError when nobody can let it go, or the cluster would not survive it."""
    inventory = cluster.plan_input.inventory
    host = next((each for each in inventory.hosts if each.name == name), None)
    asked = next((each for each in cluster.members if each.name != name and answers_api(cluster.facts(each))), None)
    if asked is None:
        raise PlanRefusedError(
            f"no other controller answers, so {name} can't be taken out of the cluster",
            next_step="`bootstrap reset` removes the whole cluster",
        )
    if name in cluster.voters or (host is not None and host.role.controls):
        _refuse_last_vote(cluster, name)
    elif host is None and name not in (cluster.nodes or {}):
        raise PlanRefusedError(f"neither the inventory nor the cluster has a {name}")
    return Leaving(name, host, asked)


def _refuse_last_vote(cluster: ControlPlane, name: str) -> None:
    if not cluster.has_etcd:
        if len(cluster.members) <= 1:
            raise PlanRefusedError(
                f"{name} is the only controller", next_step="`bootstrap reset` removes the whole cluster"
            )
        return
    reason = refuse_removal(name, cluster.voters)
    if reason:
        raise PlanRefusedError(
            reason, next_step="bring the missing controllers back first: `bootstrap status` shows them"
        )


def plan_leaving(cluster: ControlPlane, leaving: Leaving, steps: Iterator[Step]) -> Plan:
    """The plan of one host's removal."""
    name, known = leaving.name, leaving.host is not None
    stage = make_stage(f"take {name} out of the cluster", steps, critical=True)
    notes = (f"take {name} out of the inventory too, else the next apply joins it again",) if known else ()
    unreachable = (name,) if known and name in cluster.plan_input.unreachable else ()
    cluster_name = cluster.plan_input.inventory.cluster
    return Plan(cluster_name, "remove", (stage,) if stage.steps else (), notes=notes, unreachable=unreachable)


# --- all of them ---------------------------------------------------------------------------------


def plan_removal_of(
    product: str, plan_input: PlanInput, uninstall: Callable[[PlanInput, Host], Iterable[Step]]
) -> Plan:
    """Remove the product from every host that can be reached: workers first, controllers after."""
    inventory, facts = plan_input.inventory, plan_input.facts
    stages = [
        make_stage(
            f"remove {product} from the {kind}",
            [step for host in hosts if host.name in facts for step in uninstall(plan_input, host)],
            at_once=HOSTS_AT_ONCE,
        )
        for kind, hosts in (("workers", inventory.workers), ("controllers", inventory.controllers))
    ]
    return Plan(inventory.cluster, "reset", tuple(stage for stage in stages if stage.steps))


# --- pieces of sh --------------------------------------------------------------------------------


def remove_paths(paths: Iterable[str]) -> str:
    """Files and folders go; of a folder that something is mounted on, what is in it."""
    return f"""for path in {join(list(paths))}; do
  if mountpoint -q "$path" 2>/dev/null; then find "$path" -mindepth 1 -delete 2>/dev/null || true; else rm -rf "$path"; fi
done"""


def refuse_remains(paths: Iterable[str]) -> str:
    """Fails with the names of those that are still there."""
    return f"""left=$(for path in {join(list(paths))}; do [ ! -e "$path" ] || mountpoint -q "$path" || echo "$path"; done)
[ -z "$left" ] || {{ echo "still there: $left" >&2; exit 1; }}"""


def remove_rules(chains: str, *, also: str = "") -> str:
    """Rules of iptables that name one of the chains (an extended regular expression) go, and those that match `also`."""
    dropped = f"{chains}|{also}" if also else chains
    return f"""for tool in iptables ip6tables; do
  command -v $tool-save >/dev/null || continue
  $tool-save 2>/dev/null | grep -qE '{chains}' || continue
  $tool-save | grep -vE '{dropped}' | $tool-restore || true
done"""


def unmount(places: str) -> str:
    """Everything that is mounted at a place of the pattern (of `case`), innermost first."""
    return f"""awk '{{ print $2 }}' /proc/mounts | sort -r | while read -r place; do
  case $place in {places}) umount -l "$place" 2>/dev/null || true;; esac
done"""
