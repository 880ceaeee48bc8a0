"""In which order the hosts of a cluster are taken, on every distribution: who is down, up, replaced, new. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bootstrap.control_plane import ControlPlane
from bootstrap.model import Host, Step

WORKERS_AT_ONCE = 10
HOSTS_AT_ONCE = 32


class Ranked(Protocol):
    """What must be known of a host's plan to give it its place."""

    @property
    def is_member(self) -> bool: ...

    @property
    def is_mended(self) -> bool:
        """Its vote is lost, and this plan brings it back before it touches one that works."""
        ...

    @property
    def is_down(self) -> bool:
        """A member that serves nobody: there is nothing to lose by starting it."""
        ...


Each = TypeVar("Each", bound=Ranked)


@dataclass(frozen=True)
class Ranks(Generic[Each]):
    """The plans of all hosts, each list in the inventory's order. The founder is one of `controllers`."""

    founder: Each
    controllers: list[Each]
    workers: list[Each]

    @property
    def everyone(self) -> list[Each]:
        return [*self.controllers, *self.workers]

    @property
    def joining(self) -> list[Each]:
        """Controllers that are not in; in a new cluster the founder is not among them."""
        return [each for each in self.controllers if not each.is_member and each is not self.founder]

    @property
    def replaced(self) -> list[Each]:
        """Those of `joining` whose vote is still counted."""
        return [each for each in self.joining if each.is_mended]

    @property
    def added(self) -> list[Each]:
        """Those of `joining` that nobody waits for."""
        return [each for each in self.joining if not each.is_mended]

    @property
    def members(self) -> list[Each]:
        """Controllers that are in, the founder first."""
        others = (each for each in self.controllers if each is not self.founder)
        return [each for each in (self.founder, *others) if each.is_member]

    @property
    def down(self) -> list[Each]:
        return [each for each in self.members if each.is_down]

    @property
    def up(self) -> list[Each]:
        return [each for each in self.members if not each.is_down]

    @property
    def old_workers(self) -> list[Each]:
        return [each for each in self.workers if each.is_member]

    @property
    def new_workers(self) -> list[Each]:
        return [each for each in self.workers if not each.is_member]


def rank_hosts(cluster: ControlPlane, make_plan: Callable[[Host], Each]) -> Ranks[Each]:
    """The plan of each host that was seen."""
    plans = {host.name: make_plan(host) for host in (*cluster.controllers, *cluster.workers)}
    return Ranks(
        plans[cluster.founder.name],
        [plans[host.name] for host in cluster.controllers],
        [plans[host.name] for host in cluster.workers],
    )


def gather(plans: Iterable[Each], steps: Callable[[Each], Iterable[Step]]) -> list[Step]:
    """The steps of several hosts, one host after the other."""
    return [step for plan in plans for step in steps(plan)]
