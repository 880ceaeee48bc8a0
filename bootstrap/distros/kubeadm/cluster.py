"""What the facts say about a kubeadm cluster as a whole: who founds, who is in, whom to ask. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from bootstrap.control_plane import ControlPlane
from bootstrap.distros.kubeadm.files import join_use
from bootstrap.distros.kubeadm.layout import effective, server_port
from bootstrap.distros.kubeadm.probes import API_MANIFEST, KUBELET_CONF, UNFINISHED, EtcdMember, etcd_folder, kubectl_on
from bootstrap.driver import TemplateUse
from bootstrap.errors import PlanRefusedError
from bootstrap.facts import answers_api, bracket, has_trace
from bootstrap.model import Facts, Host, HostFacts, Inventory


@dataclass(frozen=True)
class Cluster(ControlPlane):
    """Answers about one inventory and the facts of its hosts."""

    service = "kubelet"
    holding = "holds the cluster"

    @cached_property
    def config_maps(self) -> Mapping[str, Mapping[str, str]]:
        """kubeadm's ConfigMaps as a controller that answers gives them."""
        found = (
            self.facts(host).values.get("config_maps") for host in self.controllers if answers_api(self.facts(host))
        )
        return next((maps for maps in found if maps is not None), {})

    def holds_cluster(self, facts: HostFacts) -> bool:
        """A control plane with proof that it was whole once: on our record, or the API tells of a finished `init`.

        Files alone are also what an `init` leaves that failed.
        """
        if has_trace(facts, UNFINISHED) or not has_trace(facts, API_MANIFEST):
            return False
        host = self.plan_input.inventory.host(facts.host)
        if not self.is_external and not has_trace(facts, f"{etcd_folder(host)}/member"):
            return False
        if self.is_expelled(facts):
            return False
        finished = answers_api(facts) and "kubeadm-config" in (facts.values.get("config_maps") or {})
        return bool(facts.record and facts.record.applied) or finished

    def is_expelled(self, facts: HostFacts) -> bool:
        """Whether the etcd of this very cluster lives on elsewhere and has no such member: it was removed while it was off.

        Its own etcd never starts again. A list that etcd gives proves that a majority of the members agrees with it.
        """
        if answers_api(facts) or self.is_external:
            return False
        others = (self.facts(host) for host in self.controllers if host.name != facts.host)
        lists = (
            other.values.get("members")
            for other in others
            if answers_api(other) and other.values.get("ca") == facts.values.get("ca")
        )
        members = next((found for found in lists if found), ())
        return bool(members) and all(member.name != facts.host for member in members)

    @cached_property
    def unproven(self) -> tuple[Host, ...]:
        """Controllers with a control plane that nobody vouches for and that is down: no leftover of ours, so not ours to erase."""
        return tuple(
            host
            for host in self.controllers
            if host not in self.members
            and has_trace(self.facts(host), API_MANIFEST)
            and not has_trace(self.facts(host), UNFINISHED)
            and self.nodes is None
        )

    def refuse_founding(self) -> None:
        """Raises PlanRefusedError when a control plane is there that nobody vouches for."""
        if self.unproven:
            names = ", ".join(host.name for host in self.unproven)
            raise PlanRefusedError(
                f"{names} holds a control plane that does not answer, and no record of this program tells of it",
                why="founding a cluster would erase it",
                next_step="start it (`systemctl start kubelet`), or erase it yourself with `kubeadm reset`; then apply again",
            )

    @cached_property
    def is_external(self) -> bool:
        """etcd runs elsewhere (`kubeadm.cluster.etcd.external`)."""
        return any((effective(host, "cluster").get("etcd") or {}).get("external") for host in self.controllers)

    @property
    def has_etcd(self) -> bool:
        """Whether etcd runs on the controllers."""
        return bool(self.members) and not self.is_external

    @cached_property
    def networked(self) -> bool:
        """Whether this program brings the network: without one Nodes stay NotReady until a CNI is there."""
        return bool(effective(self.founder, "cni") != "none")

    @cached_property
    def etcd_members(self) -> tuple[EtcdMember, ...]:
        """The members as etcd lists them; empty when it can't be asked, or runs elsewhere."""
        found = (self.facts(host).values.get("members") for host in self.members)
        return next((members for members in found if members), ())

    @cached_property
    def voters(self) -> Mapping[str, bool]:
        """Every voting etcd member by its Node, and whether it works: Ready, and running as far as we can ask."""
        return {m.name: self.works(m.name) for m in self.etcd_members if m.name and not m.is_learner}

    def is_member(self, host: Host) -> bool:
        """In the cluster by what the cluster says: files alone are also what a join leaves that failed."""
        facts = self.facts(host)
        if host.role.controls:
            return self.holds_cluster(facts)
        if self.is_new or has_trace(facts, UNFINISHED) or not has_trace(facts, KUBELET_CONF):
            return False
        if facts.values.get("ca") and facts.values["ca"] != self.facts(self.founder).values.get("ca"):
            return False
        return bool(facts.record and facts.record.applied) or self.node(host) is not None

    def kubectl(self) -> tuple[str, ...]:
        """Words that start kubectl on the controller that is asked."""
        return kubectl_on(self.founder)


def list_joins(inventory: Inventory, facts: Facts) -> Iterator[TemplateUse]:
    """join.yaml of every host that was seen, asking the endpoint, else a controller that answers."""
    seen = [host for host in inventory.controllers if host.name in facts]
    asked = next((host for host in seen if answers_api(facts[host.name])), next(iter(seen), None))
    if asked is None:
        return
    address = next(iter(facts[asked.name].node_addresses(asked)), asked.connection.address)
    endpoint = inventory.endpoint
    server = f"{bracket(endpoint.host)}:{endpoint.port}" if endpoint else f"{bracket(address)}:{server_port(asked)}"
    for host in inventory.hosts:
        if host.name in facts:
            mode = "controller" if host.role.controls else "worker"
            yield join_use(inventory, host, server=server, mode=mode, facts=facts)
