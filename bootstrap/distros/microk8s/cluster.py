"""What the facts say about a MicroK8s cluster as a whole: who founds, who is in, whom to ask. Pure.

A host where the snap was just installed is a cluster of its own at once, so what runs proves no membership: the record
does, or dqlite's list as another controller gives it. A record that is begun and holds nothing is an unfinished try.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from bootstrap.control_plane import ControlPlane
from bootstrap.distros.microk8s.layout import KUBECTL, is_ha
from bootstrap.distros.microk8s.probes import ALONE, KUBELITE, dqlite_members, enabled_addons, is_alone, snap_of
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import answers_api, has_trace
from bootstrap.model import Host, HostFacts


def is_installed(facts: HostFacts) -> bool:
    return snap_of(facts) is not None


def is_on_record(facts: HostFacts) -> bool:
    """Whether this program founded or joined it, to the end."""
    return bool(facts.record and facts.record.applied)


def is_ours(facts: HostFacts) -> bool:
    """Whether this program installed it: what came of a try that did not end well may be undone unasked."""
    return facts.record is not None


@dataclass(frozen=True)
class Cluster(ControlPlane):
    """Answers about one inventory and the facts of its hosts."""

    service = KUBELITE
    holding = "holds the cluster"

    def holds_cluster(self, facts: HostFacts) -> bool:
        """A controller on record that was not removed since; one that joined to the end; a stranger's that answers."""
        if not is_installed(facts) or has_trace(facts, "clustered"):
            return False
        if is_on_record(facts):
            return not self.is_expelled(facts)
        return self.has_joined(facts) if is_ours(facts) else answers_api(facts)

    def _others(self, facts: HostFacts) -> Iterator[HostFacts]:
        """Other controllers on record that answer."""
        others = (self.facts(host) for host in self.controllers if host.name != facts.host)
        return (other for other in others if is_on_record(other) and answers_api(other))

    def has_joined(self, facts: HostFacts) -> bool:
        """Whether a controller in the cluster counts it as dqlite's member, and it serves: its record is yet to be written."""
        address = self.address(self.plan_input.inventory.host(facts.host))
        counted = (address in dqlite_members(other) and _trust_alike(facts, other) for other in self._others(facts))
        return answers_api(facts) and not has_trace(facts, "joining") and any(counted)

    def is_expelled(self, facts: HostFacts) -> bool:
        """Whether the cluster goes on without it: it was removed while it was off, or it left and is one of its own.

        A list that dqlite gives proves that a majority of the members agrees with it.
        """
        address = self.address(self.plan_input.inventory.host(facts.host))
        for other in self._others(facts):
            members = dqlite_members(other)
            if not members or address in members or is_alone(other):
                continue
            if is_alone(facts) or (_trust_alike(facts, other) and not answers_api(facts)):
                return True
        return False

    @cached_property
    def unproven(self) -> tuple[Host, ...]:
        """Controllers with a MicroK8s of somebody else's that does not answer: not ours to erase."""
        return tuple(
            host
            for host in self.controllers
            if host not in self.members and is_installed(self.facts(host)) and not is_ours(self.facts(host))
        )

    def refuse_founding(self) -> None:
        """Raises PlanRefusedError when a MicroK8s is there that nobody vouches for."""
        if self.unproven:
            names = ", ".join(host.name for host in self.unproven)
            raise PlanRefusedError(
                f"{names} has a MicroK8s that does not answer, and no record of this program tells of it",
                why="founding a cluster would erase it",
                next_step="start it (`microk8s start`), or erase it yourself with `snap remove --purge microk8s`; then apply again",
            )

    @property
    def has_etcd(self) -> bool:
        """Whether dqlite keeps the data on the controllers."""
        return bool(self.members) and is_ha(self.plan_input.inventory)

    @cached_property
    def dqlite(self) -> Mapping[str, str]:
        """Address -> role as a controller that answers tells it; else as any member's own file does."""
        ranked = sorted(self.members, key=lambda host: not answers_api(self.facts(host)))
        return next((found for host in ranked if (found := dqlite_members(self.facts(host)))), {})

    @cached_property
    def voters(self) -> Mapping[str, bool]:
        """Every voting member by its Node, and whether it works."""
        names = {self.address(host): host.name for host in self.plan_input.inventory.controllers}
        names |= {address: name for name in (self.nodes or {}) if (address := self._node_address(name)) not in names}
        names[ALONE] = self.members[0].name if self.members else ALONE
        found = (names.get(address, address) for address, role in self.dqlite.items() if role == "voter")
        return {name: self.works(name) for name in found}

    def _node_address(self, name: str) -> str:
        entries = ((self.nodes or {}).get(name) or {}).get("status", {}).get("addresses") or ()
        return next((str(entry.get("address")) for entry in entries if entry.get("type") == "InternalIP"), "")

    def known_addresses(self, host: Host) -> tuple[str, ...]:
        """Every address under which dqlite may know a host: its own, and the one that its Node tells."""
        found = (self.address(host), self._node_address(host.name))
        return tuple(dict.fromkeys(address for address in found if address))

    def is_known(self, host: Host) -> bool:
        """Whether the cluster has a Node or a member of dqlite of this name or address."""
        listed = any(address in self.dqlite for address in self.known_addresses(host))
        return self.node(host) is not None or listed

    def is_member(self, host: Host) -> bool:
        """In the cluster: a controller that holds it, a worker that trusts its CA and has a Node."""
        facts = self.facts(host)
        if host.role.controls:
            return self.holds_cluster(facts)
        if self.is_new or not is_installed(facts) or not has_trace(facts, "clustered") or has_trace(facts, "joining"):
            return False
        if not _trust_alike(facts, self.facts(self.founder)):
            return False
        return is_on_record(facts) or self.node(host) is not None

    @cached_property
    def addons(self) -> Mapping[str, bool]:
        """REPOSITORY/NAME -> enabled, as a controller that answers tells it; empty when none does."""
        return next((found for host in self.members if (found := enabled_addons(self.facts(host)))), {})

    @cached_property
    def notes(self) -> Mapping[str, str]:
        """What is noted of add-ons in the cluster."""
        found = (self.facts(host).values.get("notes") for host in self.members)
        return next((notes for notes in found if notes is not None), {})

    @cached_property
    def pools(self) -> Mapping[str, tuple[str, ...]]:
        """MetalLB's pools, by name."""
        return next((found for host in self.members if (found := self.facts(host).values.get("pools"))), {})

    def kubectl(self) -> tuple[str, ...]:
        """Words that start kubectl on the controller that is asked."""
        return KUBECTL


def _trust_alike(one: HostFacts, other: HostFacts) -> bool:
    authority = one.values.get("ca")
    return bool(authority) and authority == other.values.get("ca")
