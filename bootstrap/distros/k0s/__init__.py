"""k0s: what it is told, asked, and how its changes are ordered. Unaware of other distributions."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bootstrap.distros.k0s.layout import (
    BINARY,
    admin_kubeconfig,
    data_folder,
    kubelet_kubeconfig,
    lookup,
    pki_folder,
    server_port,
)
from bootstrap.driver import DeepTools, NativeProblem, NodeExpectation, PlanInput, TemplateUse, UpstreamFile

if TYPE_CHECKING:
    from bootstrap.model import Check, Facts, Finding, Host, Inventory, Lock, Plan, Probe


class K0s:
    """The k0s driver."""

    name = "k0s"

    def check(self, inventory: Inventory) -> list[NativeProblem]:
        from bootstrap.distros.k0s.native import check_native

        return check_native(inventory)

    def check_token(self, token: str) -> str:
        from bootstrap.distros.k0s.native import check_token

        return check_token(token)

    def templates(
        self, inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None
    ) -> Sequence[TemplateUse]:
        from bootstrap.distros.k0s.files import templates

        return templates(inventory, facts, lock)

    def upstream_files(self, inventory: Inventory, arches: Sequence[str]) -> Sequence[UpstreamFile]:
        from bootstrap.distros.k0s.upstream import list_upstream

        return list_upstream(inventory, arches)

    def probes(self, inventory: Inventory, host: Host) -> Sequence[Probe]:
        from bootstrap.distros.k0s.files import host_templates
        from bootstrap.distros.k0s.probes import make_probes

        paths = tuple(dict.fromkeys(use.path for use in host_templates(inventory, host, None, None)))
        return make_probes(inventory, host, paths)

    def check_hosts(self, plan_input: PlanInput) -> Sequence[Finding]:
        from bootstrap.distros.k0s.preflight import check_hosts

        return check_hosts(plan_input)

    def plan_apply(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.k0s.planning import plan_apply

        return plan_apply(plan_input)

    def plan_remove(self, plan_input: PlanInput, host: str) -> Plan:
        from bootstrap.distros.k0s.removal import plan_remove

        return plan_remove(plan_input, host)

    def plan_reset(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.k0s.removal import plan_reset

        return plan_reset(plan_input)

    def expect_nodes(self, inventory: Inventory) -> Sequence[NodeExpectation]:
        """A controller without work runs no kubelet, so it has no Node."""
        from bootstrap.distros.k0s.versions import kubelet_version
        from bootstrap.plan import expect_nodes

        working = {host.name for host in inventory.hosts if host.role.takes_work}
        version = kubelet_version(inventory.version)
        return [replace(node, version=version) for node in expect_nodes(inventory) if node.name in working]

    def api_port(self, host: Host) -> int:
        return server_port(host)

    def workloads(self, inventory: Inventory) -> Sequence[str]:
        """What k0s itself deploys and nobody has disabled (docs.k0sproject.io, `--disable-components`)."""
        from bootstrap.distros.k0s.documents import list_workloads

        return list_workloads(inventory)

    def brings_network(self, inventory: Inventory) -> bool:
        """False with `provider: custom`: Nodes are then expected to be NotReady until a CNI is there."""
        return bool(lookup(inventory.native, "config", "network", "provider") != "custom")

    def check_facts(self, inventory: Inventory, facts: Facts) -> Sequence[Check]:  # noqa: ARG002 - the API tells all
        return ()

    def deep_tools(self, host: Host) -> DeepTools:
        """BINARY is static, and acts as kubectl when it is called by that name."""
        return DeepTools(
            program=BINARY,
            images=(BINARY, "ctr", "images"),
            admin_kubeconfig=admin_kubeconfig(host),
            kubelet_kubeconfig=kubelet_kubeconfig(host),
            certificates=(
                f"{pki_folder(host)}/*.crt",
                f"{pki_folder(host)}/etcd/*.crt",
                f"{data_folder(host)}/kubelet/pki/kubelet-client-current.pem",
            ),
            renewal="k0s renews its own at each start of its service",
        )

    def token_from(self, facts: Facts) -> str | None:  # noqa: ARG002
        """None: tokens are made for each run, and live for half an hour."""
        return None

    def kubeconfig_from(self, facts: Facts) -> str | None:
        """The admin kubeconfig of a controller that has one, one that answers first."""
        from bootstrap.facts import find_kubeconfig

        return find_kubeconfig(facts)


DRIVER = K0s()
__all__ = ["DRIVER", "K0s"]
