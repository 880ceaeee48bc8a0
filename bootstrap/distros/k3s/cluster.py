"""What the facts say about the k3s cluster as a whole: who founds, who is in, whom to ask. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bootstrap.distros.k3s.layout import effective, server_port
from bootstrap.distros.k3s.probes import answers_api, has_datastore, live_nodes
from bootstrap.driver import PlanInput
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import bracket
from bootstrap.model import Host, HostFacts

ETCD_LABEL = "node-role.kubernetes.io/etcd"


@dataclass(frozen=True)
class Cluster:
    """Answers about one inventory and the facts of its hosts."""

    plan_input: PlanInput

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
        """Controllers that hold the datastore: their presence, not their place in the list, decides who founds."""
        return tuple(host for host in self.controllers if self._has_datastore(self.facts(host)))

    def _has_datastore(self, facts: HostFacts) -> bool:
        """Certificates alone are also what a join leaves that was cut off: only with proof they stand for a datastore elsewhere."""
        proven = bool(facts.record and facts.record.applied) or is_running(facts, "k3s")
        return has_datastore(facts) and (facts.values["datastore"] != "external" or self.is_external or proven)

    @cached_property
    def founder(self) -> Host:
        """The controller that founds or has founded. Raises PlanRefusedError when a second cluster could come up."""
        if self.members:
            return next((host for host in self.members if answers_api(self.facts(host))), self.members[0])
        missing = [name for name in self.plan_input.unreachable if self.plan_input.inventory.host(name).role.controls]
        if missing:
            raise PlanRefusedError(
                f"no reachable controller has a datastore, and {', '.join(missing)} can't be reached",
                why="it may hold the cluster: founding now could make a second cluster beside it",
                next_step=f"bring {', '.join(missing)} back, or take it out of the inventory if it is gone for good",
            )
        if not self.controllers:
            raise PlanRefusedError("no controller can be reached", next_step="look at the errors above")
        return self.controllers[0]

    @property
    def is_new(self) -> bool:
        return not self.members

    @cached_property
    def is_external(self) -> bool:
        return any(effective(host).get("datastore-endpoint") for host in self.plan_input.inventory.controllers)

    @cached_property
    def wants_etcd(self) -> bool:
        """Embedded etcd: several controllers without an external datastore, or asked for with cluster-init."""
        several = len(self.plan_input.inventory.controllers) > 1
        asked = any(effective(host).get("cluster-init") for host in self.plan_input.inventory.controllers)
        return not self.is_external and (several or asked or self.has_etcd)

    @cached_property
    def has_etcd(self) -> bool:
        return any(self.facts(host).values.get("datastore") == "etcd" for host in self.members)

    @property
    def rises(self) -> bool:
        """The API answers nowhere because k3s is down on controllers: this run starts it."""
        down = (not is_running(self.facts(host), "k3s") for host in self.members)
        return self.nodes is None and any(down)

    @property
    def networked(self) -> bool:
        """Whether k3s brings the network itself: without one Nodes stay NotReady until a CNI is there."""
        return effective(self.founder).get("flannel-backend") != "none"

    @cached_property
    def voters(self) -> Mapping[str, bool]:
        """Every etcd member by its Node, and whether it works: Ready, and running as far as we can ask.

        A dead host's Node stays Ready for 40 s, so a host that can't be reached counts as down at once.
        """
        marked = (
            name for name, node in (self.nodes or {}).items() if ETCD_LABEL in (node["metadata"].get("labels") or {})
        )
        return {name: self._works(name) for name in marked}

    def _works(self, name: str) -> bool:
        conditions = (self.nodes or {})[name].get("status", {}).get("conditions") or []
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
        facts = self.plan_input.facts.get(name)
        return ready and name not in self.plan_input.unreachable and (facts is None or answers_api(facts))

    def facts(self, host: Host) -> HostFacts:
        return self.plan_input.facts[host.name]

    def is_member(self, host: Host) -> bool:
        """In the cluster by its own traces: a server has the datastore, an agent its kubelet's certificate."""
        facts = self.facts(host)
        if host.role.controls:
            return self._has_datastore(facts)
        unit = facts.units.get("k3s-agent")
        joined = any(trace.endswith("client-kubelet.crt") for trace in facts.values.get("traces", ()))
        return unit is not None and unit.load == "loaded" and joined and not self.is_new

    def node(self, host: Host) -> Mapping[str, Any] | None:
        return (self.nodes or {}).get(host.name)

    def server_url(self) -> str:
        """Where a joiner asks: the endpoint, or a controller that has the datastore and is not the joiner."""
        endpoint = self.plan_input.inventory.endpoint
        if endpoint and not self.is_new:
            return f"https://{bracket(endpoint.host)}:{endpoint.port}"
        return f"https://{bracket(self.address(self.founder))}:{server_port(self.founder)}"

    def address(self, host: Host) -> str:
        """A controller's address for other nodes: its node address, else where ssh goes."""
        found = self.facts(host).node_addresses(host) if host.name in self.plan_input.facts else host.node_addresses
        return found[0] if found else host.connection.address


def is_running(facts: HostFacts, service: str) -> bool:
    unit = facts.units.get(service)
    return unit is not None and unit.is_running
