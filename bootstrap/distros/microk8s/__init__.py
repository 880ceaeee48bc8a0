"""MicroK8s: what it is told, asked, and how its changes are ordered. Unaware of other distributions."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bootstrap.distros.microk8s.layout import (
    CERTS,
    CREDENTIALS,
    FOUND,
    KUBECONFIG,
    KUBELET_KUBECONFIG,
    MICROK8S,
    server_port,
)
from bootstrap.driver import DeepTools, NativeProblem, NodeExpectation, PlanInput, TemplateUse, UpstreamFile

if TYPE_CHECKING:
    from bootstrap.model import Check, Facts, Finding, Host, Inventory, Lock, Plan, Probe


class Microk8s:
    """The MicroK8s driver."""

    name = "microk8s"

    def check(self, inventory: Inventory) -> list[NativeProblem]:
        from bootstrap.distros.microk8s.native import check_native

        return check_native(inventory)

    def check_token(self, token: str) -> str:
        from bootstrap.distros.microk8s.tokens import check_token

        return check_token(token)

    def templates(
        self, inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None
    ) -> Sequence[TemplateUse]:
        from bootstrap.distros.microk8s.files import templates

        return templates(inventory, facts, lock)

    def upstream_files(self, inventory: Inventory, arches: Sequence[str]) -> Sequence[UpstreamFile]:
        from bootstrap.distros.microk8s.upstream import list_upstream

        return list_upstream(inventory, arches)

    def probes(self, inventory: Inventory, host: Host) -> Sequence[Probe]:
        from bootstrap.distros.microk8s.files import host_templates
        from bootstrap.distros.microk8s.probes import make_probes

        paths = tuple(dict.fromkeys(use.path for use in host_templates(inventory, host, None)))
        return make_probes(inventory, host, paths)

    def check_hosts(self, plan_input: PlanInput) -> Sequence[Finding]:
        from bootstrap.distros.microk8s.preflight import check_hosts

        return check_hosts(plan_input)

    def plan_apply(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.microk8s.planning import plan_apply

        return plan_apply(plan_input)

    def plan_remove(self, plan_input: PlanInput, host: str) -> Plan:
        from bootstrap.distros.microk8s.removal import plan_remove

        return plan_remove(plan_input, host)

    def plan_reset(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.microk8s.removal import plan_reset

        return plan_reset(plan_input)

    def expect_nodes(self, inventory: Inventory) -> Sequence[NodeExpectation]:
        """The version is that of a minor: the store alone knows which patch release a channel has."""
        from bootstrap.distros.microk8s.versions import kubelet_version
        from bootstrap.plan import expect_nodes

        return [replace(node, version=kubelet_version(inventory)) for node in expect_nodes(inventory)]

    def api_port(self, host: Host) -> int:
        return server_port(host)

    def workloads(self, inventory: Inventory) -> Sequence[str]:
        """The pod network's, and those of the add-ons that live in kube-system."""
        from bootstrap.distros.microk8s.addons import list_workloads

        return list_workloads(inventory)

    def brings_network(self, inventory: Inventory) -> bool:  # noqa: ARG002 - Calico, flannel or kube-ovn
        return True

    def check_facts(self, inventory: Inventory, facts: Facts) -> Sequence[Check]:
        from bootstrap.distros.microk8s.checks import check_facts

        return check_facts(inventory, facts)

    def deep_tools(self, host: Host) -> DeepTools:  # noqa: ARG002 - the same on every host
        return DeepTools(
            program=f"{FOUND}/kubectl",
            images=(MICROK8S, "ctr", "images"),
            admin_kubeconfig=KUBECONFIG,
            kubelet_kubeconfig=KUBELET_KUBECONFIG,
            certificates=(f"{CERTS}/*.crt", f"{CREDENTIALS}/*.config"),
            renewal=f"{MICROK8S} refresh-certs --cert server.crt (and front-proxy-client.crt) on that host",
        )

    def token_from(self, facts: Facts) -> str | None:  # noqa: ARG002
        """None: tokens are made for each run, and expire."""
        return None

    def kubeconfig_from(self, facts: Facts) -> str | None:
        """The admin kubeconfig of a controller that has one, one that answers first."""
        from bootstrap.facts import find_kubeconfig

        return find_kubeconfig(facts)


DRIVER = Microk8s()
__all__ = ["DRIVER", "Microk8s"]
