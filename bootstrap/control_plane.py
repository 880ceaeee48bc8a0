"""What the facts say about a cluster as a whole, on every distribution: who is in, who founds, whom to ask, who may go. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from bootstrap.driver import PlanInput
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import answers_api, live_nodes
from bootstrap.model import Host, HostFacts
from bootstrap.quorum import majority, refuse_stop


@dataclass(frozen=True)
class ControlPlane:
    """Answers about one inventory and the facts of its hosts; a distribution says what holding the cluster means."""

    plan_input: PlanInput

    service: ClassVar[str]  # runs on controllers
    holding: ClassVar[str]  # "no reachable controller ..."

    def holds_cluster(self, facts: HostFacts) -> bool:
        """Whether a controller has the cluster's data, with proof."""
        raise NotImplementedError

    @property
    def has_etcd(self) -> bool:
        """Whether the members keep the data together, so that a majority of them must run."""
        raise NotImplementedError

    @property
    def voters(self) -> Mapping[str, bool]:
        """Every voting member by its Node, and whether it works."""
        raise NotImplementedError

    def refuse_founding(self) -> None:
        """Raises PlanRefusedError when founding would destroy something."""

    @cached_property
    def controllers(self) -> tuple[Host, ...]:
        return tuple(host for host in self.plan_input.inventory.controllers if host.name in self.plan_input.facts)

    @cached_property
    def workers(self) -> tuple[Host, ...]:
        return tuple(host for host in self.plan_input.inventory.workers if host.name in self.plan_input.facts)

    @cached_property
    def nodes(self) -> Mapping[str, Any] | None:
        """Node objects by name, when a controller answers."""
        return live_nodes(self.plan_input.facts)

    @cached_property
    def members(self) -> tuple[Host, ...]:
        """Controllers that hold the cluster: their presence, not their place in the list, decides who founds."""
        return tuple(host for host in self.controllers if self.holds_cluster(self.facts(host)))

    @cached_property
    def founder(self) -> Host:
        """The controller that founds or has founded. Raises PlanRefusedError when a second cluster could come up."""
        if self.members:
            return next((host for host in self.members if answers_api(self.facts(host))), self.members[0])
        missing = [name for name in self.plan_input.unreachable if self.plan_input.inventory.host(name).role.controls]
        if missing:
            raise PlanRefusedError(
                f"no reachable controller {self.holding}, and {', '.join(missing)} can't be reached",
                why="it may hold the cluster: founding now could make a second cluster beside it",
                next_step=f"bring {', '.join(missing)} back, or take it out of the inventory if it is gone for good",
            )
        self.refuse_founding()
        if not self.controllers:
            raise PlanRefusedError("no controller can be reached", next_step="look at the errors above")
        return self.controllers[0]

    @property
    def is_new(self) -> bool:
        return not self.members

    @property
    def rises(self) -> bool:
        """The API answers nowhere because controllers are down: this run starts them."""
        down = (not is_running(self.facts(host), self.service) for host in self.members)
        return self.nodes is None and any(down)

    def works(self, name: str) -> bool:
        """Ready, and running as far as we can ask.

        A dead host's Node stays Ready for 40 s, so a host that can't be reached counts as down at once.
        """
        node = (self.nodes or {}).get(name) or {}
        facts = self.plan_input.facts.get(name)
        return is_ready(node) and name not in self.plan_input.unreachable and (facts is None or answers_api(facts))

    def facts(self, host: Host) -> HostFacts:
        return self.plan_input.facts[host.name]

    def node(self, host: Host) -> Mapping[str, Any] | None:
        return (self.nodes or {}).get(host.name)

    def address(self, host: Host) -> str:
        """A controller's address for other nodes: its node address, else where ssh goes."""
        found = self.facts(host).node_addresses(host) if host.name in self.plan_input.facts else host.node_addresses
        return found[0] if found else host.connection.address


def is_running(facts: HostFacts, service: str) -> bool:
    unit = facts.units.get(service)
    return unit is not None and unit.is_running


def is_ready(node: Mapping[str, Any]) -> bool:
    """Whether a Node object says that it is Ready."""
    conditions = node.get("status", {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


# --- what is refused -----------------------------------------------------------------------------


class Controller(Protocol):
    """What must be known of a controller's plan before its service is touched."""

    @property
    def host(self) -> Host: ...

    @property
    def is_member(self) -> bool: ...

    @property
    def is_mended(self) -> bool:
        """It does not work now, and this plan brings it back before it touches one that does."""
        ...

    @property
    def applied(self) -> Mapping[str, str]: ...

    @property
    def start_reason(self) -> str: ...


def refuse_without_quorum(cluster: ControlPlane, plans: Iterable[Controller], recovery: str) -> None:
    """Raises PlanRefusedError when etcd has lost its quorum, or would lose it by a restart.

    `recovery`: what to do on the first member when the missing ones are gone for good.
    """
    controllers = len(cluster.plan_input.inventory.controllers)
    hosts = list(plans)
    members = [each for each in hosts if each.is_member and each.host.role.controls]
    # A founder that is still starting for the first time has no quorum to lose, and nothing on record.
    were_up = all(each.applied for each in members)
    if cluster.has_etcd and cluster.nodes is None and were_up and len(members) < majority(controllers):
        raise PlanRefusedError(
            f"etcd has lost its quorum: {len(members)} of {controllers} members can be asked, {majority(controllers)} are needed",
            why="joining hosts to it can't succeed, and founding anew would lose what it holds",
            next_step=f"bring the missing controllers back, or on {members[0].host.name}: {recovery} - then apply again",
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


def find_separate(cluster: ControlPlane) -> Iterator[str]:
    """Controllers whose CA, which the distribution's own look gives as `ca`, is not the first one's."""
    authorities = {host.name: cluster.facts(host).values.get("ca") for host in cluster.members}
    first = next((name for name, authority in authorities.items() if authority), "")
    for name, authority in authorities.items():
        if authority and authority != authorities[first]:
            yield f"{name} serves another cluster than {first}: their CAs differ"


def refuse_changes(reasons: list[str]) -> None:
    """Raises PlanRefusedError that names every change that a living cluster can't take."""
    if reasons:
        raise PlanRefusedError(
            "the cluster can't take " + ("this change" if len(reasons) == 1 else "these changes"),
            why="\n        ".join(reasons),
            next_step="put the old value back, or `bootstrap reset` and build the cluster anew",
        )
