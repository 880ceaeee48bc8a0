"""What the facts say about a k0s cluster as a whole: who founds, who is in, whom to ask. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bootstrap.control_plane import ControlPlane, is_ready, is_running
from bootstrap.distros.k0s.documents import node_address
from bootstrap.distros.k0s.layout import CONTROLLER, lookup, pki_folder, runs_etcd
from bootstrap.distros.k0s.probes import kubectl_on
from bootstrap.facts import answers_api, has_trace
from bootstrap.model import Host, HostFacts
from bootstrap.plan import filled_content, find_artifact


@dataclass(frozen=True)
class Cluster(ControlPlane):
    """Answers about one inventory and the facts of its hosts."""

    service = CONTROLLER
    holding = "holds the cluster"

    def holds_cluster(self, facts: HostFacts) -> bool:
        """A controller with data of its own, unless an unfinished try left it, or its etcd was told to go.

        A k0s that is down starts again from its data, so data that nobody vouches for is kept.
        """
        if not self._has_data(facts):
            return False
        if answers_api(facts):
            return True
        on_record = bool(facts.record and facts.record.applied)
        return not self._has_left(facts) and (on_record or not has_trace(facts, "unfinished"))

    def _has_data(self, facts: HostFacts) -> bool:
        """Data elsewhere leaves keys only, which a kept identity lays down too: then only a service that runs, or the record, tells."""
        if has_trace(facts, "etcd") or has_trace(facts, "sqlite"):
            return True
        known = is_running(facts, CONTROLLER) or bool(facts.record and facts.record.applied)
        return not self.has_embedded_data and has_trace(facts, "authority") and known

    def _has_left(self, facts: HostFacts) -> bool:
        """The etcd of this very cluster goes on without the controller: its own starts no more.

        A list that etcd gives proves that a majority of the members agrees with it.
        """
        if not self.runs_etcd:
            return False
        own, address = facts.values.get("ca"), self.address(self.plan_input.inventory.host(facts.host))
        others = (self.facts(host) for host in self.controllers if host.name != facts.host)
        answering = (each for each in others if answers_api(each) and each.values.get("ca") == own)
        members: Mapping[str, str] = next((found for each in answering if (found := each.values.get("members"))), {})
        return bool(members) and address not in members.values()

    def address(self, host: Host) -> str:
        """A controller's address for other nodes, as its configuration names it."""
        return node_address(host, self.plan_input.facts) or super().address(host)

    @cached_property
    def runs_etcd(self) -> bool:
        return runs_etcd(self.plan_input.inventory)

    @cached_property
    def has_embedded_data(self) -> bool:
        """Whether the data lies on the controllers: in etcd, or in the file of kine's default."""
        config = self.plan_input.inventory.native.get("config") or {}
        return self.runs_etcd or not (
            lookup(config, "storage", "etcd", "externalCluster") or lookup(config, "storage", "kine", "dataSource")
        )

    @property
    def has_etcd(self) -> bool:
        return bool(self.members) and self.runs_etcd

    @cached_property
    def networked(self) -> bool:
        """Whether k0s brings the network: without one Nodes stay NotReady until a CNI is there."""
        return str(lookup(self.plan_input.inventory.native, "config", "network", "provider")) != "custom"

    @cached_property
    def etcd_members(self) -> Mapping[str, str]:
        """Address by etcd's own name of every member, as a controller that answers tells; empty when none does."""
        answering = (self.facts(host) for host in self.controllers if answers_api(self.facts(host)))
        return next((found for facts in answering if (found := facts.values.get("members"))), {})

    @cached_property
    def voters(self) -> Mapping[str, bool]:
        """Every etcd member, by the inventory's name where it has one, and whether it works."""
        names = {self.address(host): host.name for host in self.plan_input.inventory.controllers}
        found = (names.get(address, name) for name, address in self.etcd_members.items())
        return {name: self.works(name) for name in found}

    def works(self, name: str) -> bool:
        """A controller without work has no Node, so its own API is asked; of a stranger only its Node can tell."""
        facts = self.plan_input.facts.get(name)
        if facts is not None:
            return answers_api(facts)
        return name not in self.plan_input.unreachable and is_ready((self.nodes or {}).get(name) or {})

    @cached_property
    def authority(self) -> str:
        """The CA that the cluster has, or will be founded with where the inventory keeps one; else empty."""
        if self.members:
            return str(self.facts(self.founder).values.get("ca") or "")
        kept = find_artifact(self.plan_input, self.founder.name, f"{pki_folder(self.founder)}/ca.crt")
        return filled_content(self.plan_input, kept).strip() if kept else ""

    def is_member(self, host: Host) -> bool:
        """In the cluster: a controller with its data, a worker whose kubelet trusts this cluster's CA."""
        facts = self.facts(host)
        if host.role.controls:
            return self.holds_cluster(facts)
        if not has_trace(facts, "kubelet"):
            return False
        return bool(facts.values.get("ca") == self.authority) if self.authority else not self.is_new

    def trusts_another(self, host: Host) -> bool:
        """Whether its kubelet belongs to a control plane that is no more, or to another one."""
        return has_trace(self.facts(host), "kubelet") and not self.is_member(host)

    def kubectl(self) -> tuple[str, ...]:
        """Words that start kubectl on the controller that is asked."""
        return kubectl_on(self.founder)
