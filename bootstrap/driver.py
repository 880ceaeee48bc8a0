"""What a distribution must answer. Pure answers only: no driver reaches a host."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bootstrap.model import Artifact, Check, Facts, Finding, Host, Inventory, Lock, Plan, Probe, Secret


@dataclass(frozen=True)
class NativeProblem:
    """A mistake in native keys: the path in the document, what is wrong, and a hint."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""


@dataclass(frozen=True)
class TemplateUse:
    """Render `template` with `variables` for one host (or `_cluster`) into `path` on it."""

    host: str
    template: str  # below templates/<distro>/
    path: str
    variables: dict[str, Any]
    mode: str = "0644"
    owner: str = "root:root"


@dataclass(frozen=True)
class UpstreamFile:
    """A file that upstream publishes: where, and the checksum file that covers it (None: none is published)."""

    name: str
    arch: str
    url: str
    checksum_url: str | None
    optional: bool = False
    version: str = ""  # its own, where it is not the cluster's
    signed_by: str = ""  # a public key of the repository, by which <url>.sig must be


@dataclass(frozen=True)
class PlanInput:
    """All that a plan is made from.

    `filled` is what shall lie at (host, path) with references replaced, `secrets` the values by reference text:
    both are for comparing and masking, and never shown.
    """

    inventory: Inventory
    artifacts: tuple[Artifact, ...]
    facts: Facts
    lock: Lock
    filled: dict[tuple[str, str], str] = field(repr=False)  # (host, path) -> bytes that shall lie there, as text
    secrets: dict[str, Secret] = field(default_factory=dict, repr=False)
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeExpectation:
    """What verify wants to see of one Node."""

    name: str
    version: str
    controls: bool
    labels: dict[str, str]
    taints: tuple[str, ...]


@dataclass(frozen=True)
class DeepTools:
    """What one host offers to the deep checks.

    `program` is a static program, which acts as kubectl when it is called by that name; `images` the words before
    `import -`, `rm NAME` and `ls -q` (containerd's `ctr`). `kubelet_kubeconfig` is the host's own way to the API. In
    `certificates` an asterisk stands for any name; kubeconfigs may be among them. `renewal`: how to renew them.
    """

    program: str
    images: tuple[str, ...]
    admin_kubeconfig: str  # on controllers
    kubelet_kubeconfig: str
    certificates: tuple[str, ...]
    renewal: str


class Driver(Protocol):
    """One distribution."""

    name: str

    def check(self, inventory: Inventory) -> list[NativeProblem]:
        """Cross-checks that only this distribution knows (keys per role, versions, conflicts)."""
        ...

    def check_token(self, token: str) -> str:
        """What is wrong with a join token, or nothing."""
        ...

    def templates(
        self, inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None
    ) -> Sequence[TemplateUse]:
        """Every file to render; without facts, as for a cluster that is yet to be made."""
        ...

    def upstream_files(self, inventory: Inventory, arches: Sequence[str]) -> Sequence[UpstreamFile]: ...

    def probes(self, inventory: Inventory, host: Host) -> Sequence[Probe]: ...

    def check_hosts(self, plan_input: PlanInput) -> Sequence[Finding]:
        """Preflight findings from facts."""
        ...

    def plan_apply(self, plan_input: PlanInput) -> Plan: ...

    def plan_remove(self, plan_input: PlanInput, host: str) -> Plan: ...

    def plan_reset(self, plan_input: PlanInput) -> Plan: ...

    def expect_nodes(self, inventory: Inventory) -> Sequence[NodeExpectation]: ...

    def api_port(self, host: Host) -> int:
        """The port on which a controller's API listens."""
        ...

    def workloads(self, inventory: Inventory) -> Sequence[str]:
        """Names in kube-system that must be there when the cluster is well."""
        ...

    def brings_network(self, inventory: Inventory) -> bool:
        """False when the CNI comes from elsewhere: Nodes are then expected to be NotReady until it is there."""
        ...

    def check_facts(self, inventory: Inventory, facts: Facts) -> Sequence[Check]:
        """What the Kubernetes API can't tell of the hosts; empty where it tells all."""
        ...

    def deep_tools(self, host: Host) -> DeepTools:
        """What `verify --deep` uses on a host of the running cluster."""
        ...

    def token_from(self, facts: Facts) -> str | None:
        """The cluster's own join token, as a controller keeps it; None when there is no cluster yet."""
        ...

    def kubeconfig_from(self, facts: Facts) -> str | None:
        """The admin kubeconfig of a controller that has one."""
        ...


__all__ = [
    "DeepTools",
    "Driver",
    "NativeProblem",
    "NodeExpectation",
    "PlanInput",
    "TemplateUse",
    "UpstreamFile",
]
