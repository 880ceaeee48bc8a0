"""kubeadm: what it is told, asked, and how its changes are ordered. Unaware of other distributions."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bootstrap.distros.kubeadm.layout import server_port
from bootstrap.driver import DeepTools, NativeProblem, NodeExpectation, PlanInput, TemplateUse, UpstreamFile

if TYPE_CHECKING:
    from bootstrap.model import Check, Facts, Finding, Host, Inventory, Lock, Plan, Probe


class Kubeadm:
    """The kubeadm driver."""

    name = "kubeadm"

    def check(self, inventory: Inventory) -> list[NativeProblem]:
        from bootstrap.distros.kubeadm.native import check_native

        return check_native(inventory)

    def check_token(self, token: str) -> str:
        from bootstrap.distros.kubeadm.native import check_token

        return check_token(token)

    def templates(
        self, inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None
    ) -> Sequence[TemplateUse]:
        """With facts, each host has its join.yaml too: planning decides who needs one."""
        from bootstrap.distros.kubeadm.cluster import list_joins
        from bootstrap.distros.kubeadm.files import templates

        uses = templates(inventory, facts, lock)
        return uses if facts is None else [*uses, *list_joins(inventory, facts)]

    def upstream_files(self, inventory: Inventory, arches: Sequence[str]) -> Sequence[UpstreamFile]:
        from bootstrap.distros.kubeadm.upstream import list_upstream

        return list_upstream(inventory, arches)

    def probes(self, inventory: Inventory, host: Host) -> Sequence[Probe]:
        from bootstrap.distros.kubeadm.files import host_templates
        from bootstrap.distros.kubeadm.packages import list_paths, package_probes
        from bootstrap.distros.kubeadm.probes import make_probes

        paths = (*(use.path for use in host_templates(inventory, host, None, None)), *list_paths(inventory))
        return (*make_probes(host, tuple(dict.fromkeys(paths))), *package_probes(inventory))

    def check_hosts(self, plan_input: PlanInput) -> Sequence[Finding]:
        from bootstrap.distros.kubeadm.preflight import check_hosts

        return check_hosts(plan_input)

    def plan_apply(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.kubeadm.planning import plan_apply

        return plan_apply(plan_input)

    def plan_remove(self, plan_input: PlanInput, host: str) -> Plan:
        from bootstrap.distros.kubeadm.removal import plan_remove

        return plan_remove(plan_input, host)

    def plan_reset(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.kubeadm.removal import plan_reset

        return plan_reset(plan_input)

    def expect_nodes(self, inventory: Inventory) -> Sequence[NodeExpectation]:
        from bootstrap.plan import expect_nodes

        return expect_nodes(inventory)

    def api_port(self, host: Host) -> int:
        return server_port(host)

    def workloads(self, inventory: Inventory) -> Sequence[str]:
        """kubeadm's add-ons that are not disabled (kubernetes.io/docs/reference/setup-tools/kubeadm)."""
        cluster = inventory.native.get("cluster") or {}
        disabled = {name for name in ("dns", "proxy") if (cluster.get(name) or {}).get("disabled")}
        return [workload for name, workload in (("dns", "coredns"), ("proxy", "kube-proxy")) if name not in disabled]

    def brings_network(self, inventory: Inventory) -> bool:
        """False with `cni: none`: Nodes are then expected to be NotReady until one is there."""
        return bool(inventory.native.get("cni") != "none")

    def check_facts(self, inventory: Inventory, facts: Facts) -> Sequence[Check]:  # noqa: ARG002 - the API tells all
        return ()

    def deep_tools(self, host: Host) -> DeepTools:  # noqa: ARG002 - the same on every host
        from bootstrap.distros.kubeadm.layout import ADMIN, KUBECTL, PKI

        return DeepTools(
            program=KUBECTL[0],
            images=("ctr", "--namespace", "k8s.io", "images"),
            admin_kubeconfig=ADMIN,
            kubelet_kubeconfig="/etc/kubernetes/kubelet.conf",
            certificates=(
                f"{PKI}/*.crt",
                f"{PKI}/etcd/*.crt",
                "/etc/kubernetes/*.conf",
                "/var/lib/kubelet/pki/kubelet-client-current.pem",
            ),
            renewal="kubeadm certs renew all, then restart the control plane's pods",
        )

    def token_from(self, facts: Facts) -> str | None:  # noqa: ARG002
        """None: tokens are made for each run, and live for two hours."""
        return None

    def kubeconfig_from(self, facts: Facts) -> str | None:
        """The admin kubeconfig of a controller that has one, one that answers first."""
        from bootstrap.facts import find_kubeconfig

        return find_kubeconfig(facts)


DRIVER = Kubeadm()
__all__ = ["DRIVER", "Kubeadm"]
