"""What a host goes through on every distribution: hooks, the marks of its Node, the record. Pure; no distribution is named."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from bootstrap.driver import PlanInput
from bootstrap.errors import LockError
from bootstrap.model import Action, Disruption, Host, HostFacts, LockedFile, Record, Run, Step
from bootstrap.plan import (
    NodeMarks,
    change_record,
    due_hooks,
    hooks_at,
    mark_step,
    own_marks,
    record_step,
    unknown_node,
    wanted_marks,
)

# Labels of these namespaces are refused from a kubelet unless they are among its own (k8s.io/kubelet, well_known_labels.go).
RESERVED = ("kubernetes.io", "k8s.io")
KUBELET_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)


def kubelet_may_set(name: str) -> bool:
    """Whether a kubelet may put this label on its own Node; the others are set through the API."""
    namespace = name.rpartition("/")[0]
    reserved = any(namespace == each or namespace.endswith(f".{each}") for each in RESERVED)
    allowed = any(namespace == each or namespace.endswith(f".{each}") for each in KUBELET_NAMESPACES)
    return not reserved or allowed or name in KUBELET_LABELS


class ClusterView(Protocol):
    """What the facts say about a cluster as a whole."""

    @property
    def plan_input(self) -> PlanInput: ...

    @property
    def founder(self) -> Host:
        """The controller that founds, or that is asked."""
        ...

    @property
    def is_new(self) -> bool: ...

    @property
    def rises(self) -> bool:
        """The API answers nowhere because controllers are down that this run starts."""
        ...

    def is_member(self, host: Host) -> bool: ...

    def node(self, host: Host) -> Mapping[str, Any] | None: ...


Cluster = TypeVar("Cluster", bound=ClusterView)


@dataclass(frozen=True)
class Membership(Generic[Cluster]):
    """One host of a cluster. A distribution adds what it installs, and gives `kubectl`, `wanted` and `start_reason`."""

    cluster: Cluster
    host: Host

    @property
    def kubectl(self) -> tuple[str, ...]:
        """The words that start kubectl on a controller."""
        raise NotImplementedError

    @property
    def wanted(self) -> Mapping[str, str]:
        """What the record shall say: digests of what is in force, by a word for each."""
        raise NotImplementedError

    @property
    def start_reason(self) -> str:
        """Why a member must be started or restarted; empty when it runs with what is wanted."""
        raise NotImplementedError

    @property
    def plan_input(self) -> PlanInput:
        return self.cluster.plan_input

    @property
    def facts(self) -> HostFacts:
        return self.plan_input.facts[self.host.name]

    @cached_property
    def is_member(self) -> bool:
        return self.cluster.is_member(self.host)

    @property
    def applied(self) -> Mapping[str, str]:
        return self.facts.record.applied if self.facts.record else {}

    def locked(self, name: str, version: str = "") -> LockedFile:
        """The file of the lock for this host's architecture. Raises LockError."""
        version = version or self.plan_input.inventory.version
        file = self.plan_input.lock.find(name, version, self.facts.arch)
        if file is None:
            raise LockError(
                f"artifacts.lock has no {name} {version} for {self.facts.arch}",
                where=self.host.name,
                next_step="bootstrap lock",
            )
        return file

    def step(
        self, title: str, reason: str, action: Action, disruption: Disruption = Disruption.NONE, on: str = ""
    ) -> Step:
        return Step(self.host.name, title, reason, action, disruption=disruption, on=on)

    def run(
        self,
        title: str,
        reason: str,
        script: str,
        disruption: Disruption = Disruption.NONE,
        *,
        deadline: float = 180.0,
        on: str = "",
    ) -> Step:
        """A step that runs a script; `deadline` in seconds."""
        return self.step(title, reason, Run(script, deadline=deadline), disruption, on=on)

    # --- hooks -------------------------------------------------------------------------------

    def hooks(self, *points: str) -> list[Step]:
        return list(hooks_at(self.plan_input, self.host, *points, founder=self.cluster.founder.name))

    def first_hooks(self) -> list[Step]:
        return self.hooks("after-connect", "before-apply")

    def late_hooks(self) -> list[Step]:
        """Hooks of points that a member has passed long ago."""
        return self.hooks("before-founder", "after-founder", "before-join", "after-join")

    # --- labels, annotations, taints ---------------------------------------------------------

    def mark_steps(self) -> list[Step]:
        """Labels and the like; a Node that joins in this run has what the kubelet registers, and no more."""
        wanted, owned = wanted_marks(self.host), self.facts.record or Record()
        if not self.is_member:
            wanted, owned = self.unregistered_marks(wanted), Record()
        step = mark_step(self.host.name, self.cluster.founder.name, self.kubectl, wanted, self.seen_node(), owned)
        return [step] if step and self.marks_are_set else []

    def unregistered_marks(self, wanted: NodeMarks) -> NodeMarks:
        """What a kubelet does not register itself, before any pod comes, when its host joins."""
        labels = {name: value for name, value in wanted.labels.items() if not kubelet_may_set(name)}
        return replace(wanted, labels=labels, taints={})

    def seen_node(self) -> Mapping[str, Any] | None:
        """The Node as the API gives it; while it is down, one that has what is on record, with values that nobody knows."""
        if not self.is_member:
            return None
        return self.cluster.node(self.host) or unknown_node(self.facts.record or Record())

    @property
    def marks_are_set(self) -> bool:
        """Whether this run knows what the Node has, or brings the Node up itself."""
        known = not self.is_member or self.cluster.node(self.host) is not None
        return known or self.cluster.rises or bool(self.start_reason)

    # --- the record --------------------------------------------------------------------------

    def record_started(self, title: str) -> Step:
        """Note what is in force as soon as it is, so that no later failure makes it be done again."""
        before = self.facts.record if self.is_member else None
        record = change_record(before, self.plan_input.inventory.cluster, applied=self.wanted)
        step = record_step(replace(self.facts, record=None), record)
        assert step is not None  # noqa: S101 - a record compared with none always differs
        return replace(step, title=title)

    def last_steps(self) -> list[Step]:
        """Hooks of the end, and the whole record where it is another one now."""
        hooks = due_hooks(self.plan_input, self.host, self.cluster.founder.name)
        record = Record(self.plan_input.inventory.cluster, applied=self.wanted, hooks=hooks)
        before = Record() if self.marks_are_set else self.facts.record or Record()
        # who joins anew has had its record written over in this run
        facts = self.facts if self.is_member else replace(self.facts, record=None)
        step = record_step(facts, own_marks(record, wanted_marks(self.host), before))
        return [*self.hooks("after-apply"), *([step] if step else [])]
