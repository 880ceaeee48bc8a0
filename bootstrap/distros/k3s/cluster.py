"""What the facts say about the k3s cluster as a whole: who founds, who is in, whom to ask. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bootstrap.control_plane import ControlPlane, is_running
from bootstrap.distros.k3s.layout import effective, server_port
from bootstrap.distros.k3s.probes import has_datastore
from bootstrap.facts import bracket
from bootstrap.model import Host, HostFacts

ETCD_LABEL = "node-role.kubernetes.io/etcd"


@dataclass(frozen=True)
class Cluster(ControlPlane):
    """Answers about one inventory and the facts of its hosts."""

    service = "k3s"
    holding = "has a datastore"

    def holds_cluster(self, facts: HostFacts) -> bool:
        """Certificates alone are also what a join leaves that was cut off: only with proof they stand for a datastore elsewhere."""
        proven = bool(facts.record and facts.record.applied) or is_running(facts, "k3s")
        return has_datastore(facts) and (facts.values["datastore"] != "external" or self.is_external or proven)

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
    def networked(self) -> bool:
        """Whether k3s brings the network itself: without one Nodes stay NotReady until a CNI is there."""
        return effective(self.founder).get("flannel-backend") != "none"

    @cached_property
    def voters(self) -> Mapping[str, bool]:
        """Every etcd member by its Node, and whether it works."""
        marked = (
            name for name, node in (self.nodes or {}).items() if ETCD_LABEL in (node["metadata"].get("labels") or {})
        )
        return {name: self.works(name) for name in marked}

    def is_member(self, host: Host) -> bool:
        """In the cluster by its own traces: a server has the datastore, an agent its kubelet's certificate."""
        facts = self.facts(host)
        if host.role.controls:
            return self.holds_cluster(facts)
        unit = facts.units.get("k3s-agent")
        joined = any(trace.endswith("client-kubelet.crt") for trace in facts.values.get("traces", ()))
        return unit is not None and unit.load == "loaded" and joined and not self.is_new

    def server_url(self) -> str:
        """Where a joiner asks: the endpoint, or a controller that has the datastore and is not the joiner."""
        endpoint = self.plan_input.inventory.endpoint
        if endpoint and not self.is_new:
            return f"https://{bracket(endpoint.host)}:{endpoint.port}"
        return f"https://{bracket(self.address(self.founder))}:{server_port(self.founder)}"
