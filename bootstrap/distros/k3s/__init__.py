"""k3s: what it is told, asked, and how its changes are ordered. Unaware of other distributions."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote as quote_url

from bootstrap.distros.k3s.layout import BINARY, CONFIG, KUBECONFIG, data_folder, effective, server_port
from bootstrap.driver import DeepTools, NativeProblem, NodeExpectation, PlanInput, TemplateUse, UpstreamFile

if TYPE_CHECKING:
    from bootstrap.model import Check, Facts, Finding, Host, Inventory, Lock, Plan, Probe

RELEASES = "https://github.com/k3s-io/k3s/releases/download"
SCRIPTS = "https://raw.githubusercontent.com/k3s-io/k3s"
# Packaged part -> its Deployment in kube-system; servicelb has none until a Service asks for one.
PACKAGED = {
    "coredns": "coredns",
    "local-storage": "local-path-provisioner",
    "metrics-server": "metrics-server",
    "traefik": "traefik",
}
BINARIES = {"amd64": "k3s", "arm64": "k3s-arm64", "arm": "k3s-armhf"}


class K3s:
    """The k3s driver."""

    name = "k3s"

    def check(self, inventory: Inventory) -> list[NativeProblem]:
        from bootstrap.distros.k3s.native import check_native

        return check_native(inventory)

    def check_token(self, token: str) -> str:
        from bootstrap.distros.k3s.native import check_token

        return check_token(token)

    def templates(
        self, inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None
    ) -> Sequence[TemplateUse]:
        from bootstrap.distros.k3s.files import templates

        return templates(inventory, facts, lock)

    def upstream_files(self, inventory: Inventory, arches: Sequence[str]) -> Sequence[UpstreamFile]:
        """The release's own files: https://github.com/k3s-io/k3s/releases; images only where a mirror holds them."""
        tag = quote_url(inventory.version, safe="")
        release = f"{RELEASES}/{tag}"
        files = []
        for arch in arches:
            sums = f"{release}/sha256sum-{arch}.txt"
            files.append(UpstreamFile("k3s", arch, f"{release}/{BINARIES[arch]}", sums))
            if inventory.mirror:
                images = f"{release}/k3s-airgap-images-{arch}.tar.zst"
                files.append(UpstreamFile("k3s-airgap-images", arch, images, sums, optional=True))
        return [*files, UpstreamFile("install.sh", "any", f"{SCRIPTS}/{tag}/install.sh", None)]

    def probes(self, inventory: Inventory, host: Host) -> Sequence[Probe]:
        from bootstrap.distros.k3s.files import host_templates
        from bootstrap.distros.k3s.probes import make_probes

        paths = tuple(dict.fromkeys(use.path for use in host_templates(inventory, host, None, None)))
        return make_probes(host, paths)

    def check_hosts(self, plan_input: PlanInput) -> Sequence[Finding]:
        from bootstrap.distros.k3s.preflight import state_needs
        from bootstrap.preflight import check_host_facts

        return check_host_facts(plan_input, state_needs)

    def plan_apply(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.k3s.planning import plan_apply

        return plan_apply(plan_input)

    def plan_remove(self, plan_input: PlanInput, host: str) -> Plan:
        from bootstrap.distros.k3s.removal import plan_remove

        return plan_remove(plan_input, host)

    def plan_reset(self, plan_input: PlanInput) -> Plan:
        from bootstrap.distros.k3s.removal import plan_reset

        return plan_reset(plan_input)

    def expect_nodes(self, inventory: Inventory) -> Sequence[NodeExpectation]:
        from bootstrap.plan import expect_nodes

        return expect_nodes(inventory)

    def api_port(self, host: Host) -> int:
        return server_port(host)

    def workloads(self, inventory: Inventory) -> Sequence[str]:
        """The packaged parts that are not disabled (docs.k3s.io/installation/packaged-components)."""
        keys = effective(inventory.controllers[0])
        disabled = keys.get("disable") or ()
        off = set(disabled.split(",") if isinstance(disabled, str) else disabled)
        if keys.get("disable-helm-controller"):
            off.add("traefik")
        return [name for part, name in PACKAGED.items() if part not in off]

    def brings_network(self, inventory: Inventory) -> bool:
        """False when the CNI comes from elsewhere: Nodes are then expected to be NotReady until it is there."""
        return all(effective(host).get("flannel-backend") != "none" for host in inventory.controllers)

    def check_facts(self, inventory: Inventory, facts: Facts) -> Sequence[Check]:  # noqa: ARG002 - the API tells all
        return ()

    def deep_tools(self, host: Host) -> DeepTools:
        """BINARY unpacks the real program, which is static, below its data folder."""
        data = data_folder(host)
        return DeepTools(
            program=f"{data}/data/current/bin/k3s",
            images=(BINARY, "ctr", "images"),
            admin_kubeconfig=KUBECONFIG,
            kubelet_kubeconfig=f"{data}/agent/kubelet.kubeconfig",
            certificates=tuple(
                f"{data}/{place}/*.crt" for place in ("agent", "server/tls", "server/tls/etcd", "server/tls/kube-*")
            ),
            renewal="k3s renews its own at a restart in their last 120 days",
        )

    def token_from(self, facts: Facts) -> str | None:
        """The cluster's own token, as a controller keeps it; None when there is no cluster yet."""
        tokens = (host.values.get("token") for host in facts.values() if host.values.get("datastore"))
        return next((token.reveal() for token in tokens if token), None)

    def kubeconfig_from(self, facts: Facts) -> str | None:
        """The admin kubeconfig of a controller that has one, one that answers first."""
        from bootstrap.facts import find_kubeconfig

        return find_kubeconfig(facts)


DRIVER = K3s()
__all__ = ["CONFIG", "DRIVER", "K3s"]
