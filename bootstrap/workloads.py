"""What is right and wrong with the system's workloads in kube-system: raw lists in, checks out. Pure."""

from collections.abc import Callable, Sequence

from bootstrap.cluster_state import ClusterState, Raw, as_list, as_mapping, conditions_of, items, name_of, shorten
from bootstrap.model import Check

NAMESPACE = "kube-system"
_SHOWN = 5


def check_workloads(state: ClusterState, expected: Sequence[str] = ()) -> tuple[Check, ...]:
    """Deployments, DaemonSets and Pods of kube-system. `expected`: workloads that must be there by name.

    Without an expectation none at all is right too, and the check says so: a cluster may come without any.
    """
    present = check_presence(state, expected)
    checks = (check_deployments(state), check_daemonsets(state), check_pods(state))
    return (present, *checks) if present else checks


def check_presence(state: ClusterState, expected: Sequence[str]) -> Check | None:
    """The workloads that the distribution always brings exist; None when nothing is expected."""
    if not expected:
        return None
    found = {name_of(thing) for thing in items(state.deployments) + items(state.daemonsets)}
    missing = [name for name in expected if name not in found]
    detail = f"missing: {', '.join(missing)}" if missing else ", ".join(expected)
    return Check("system workloads", not missing, detail, subject=NAMESPACE)


def check_deployments(state: ClusterState) -> Check:
    """Each Deployment's current generation has all its replicas, updated and available."""
    return _check_all("system deployments", items(state.deployments), _explain_deployment)


def check_daemonsets(state: ClusterState) -> Check:
    """Each DaemonSet's current generation is ready on every Node that it wants."""
    return _check_all("system daemonsets", items(state.daemonsets), _explain_daemonset)


def check_pods(state: ClusterState) -> Check:
    """Each Pod that shall run is ready; one that can't says why, in the words of the kubelet or the scheduler."""
    pods = [pod for pod in items(state.pods) if not as_mapping(pod.get("metadata")).get("deletionTimestamp")]
    return _check_all("system pods", pods, explain_pod)


def explain_pod(pod: Raw) -> str:
    """What keeps a Pod from being ready, or nothing. A Job's Pod may wait and end, but not be stuck."""
    status = as_mapping(pod.get("status"))
    phase = str(status.get("phase") or "Unknown")
    if phase == "Succeeded" or (phase == "Failed" and _is_replaced_when_failed(pod)):
        return ""
    stuck = _explain_containers(status)
    if stuck or _has_owner(pod, "Job"):
        return stuck
    conditions = conditions_of(pod)
    if phase == "Running" and as_mapping(conditions.get("Ready")).get("status") == "True":
        return ""
    return _explain_condition(conditions) or shorten(
        f"{phase} {status.get('reason') or ''} {status.get('message') or ''}"
    )


def _check_all(name: str, things: Sequence[Raw], explain: Callable[[Raw], str]) -> Check:
    if not things:
        return Check(name, ok=True, detail="none", subject=NAMESPACE)
    wrong = [f"{name_of(thing)}: {reason}" for thing in things if (reason := explain(thing))]
    if not wrong:
        return Check(name, ok=True, detail=f"{len(things)} ready", subject=NAMESPACE)
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return Check(name, ok=False, detail="; ".join(wrong[:_SHOWN]) + more, subject=NAMESPACE)


def _explain_deployment(deployment: Raw) -> str:
    status = as_mapping(deployment.get("status"))
    wanted = _number(as_mapping(deployment.get("spec")), "replicas", default=1)
    if _is_stale(deployment):
        return "the controller has not seen its last change"
    updated, available = _number(status, "updatedReplicas"), _number(status, "availableReplicas")
    return "" if min(updated, available) >= wanted else f"{min(updated, available)} of {wanted} available"


def _explain_daemonset(daemonset: Raw) -> str:
    status = as_mapping(daemonset.get("status"))
    wanted = _number(status, "desiredNumberScheduled")
    if _is_stale(daemonset):
        return "the controller has not seen its last change"
    updated, ready = _number(status, "updatedNumberScheduled"), _number(status, "numberReady")
    return "" if min(updated, ready) >= wanted else f"{min(updated, ready)} of {wanted} ready"


def _is_stale(thing: Raw) -> bool:
    """The status is of an earlier generation, or there is none yet: zeros in it mean nothing."""
    generation = _number(as_mapping(thing.get("metadata")), "generation", default=1)
    return _number(as_mapping(thing.get("status")), "observedGeneration") < generation


def _explain_containers(status: Raw) -> str:
    """The first container that waits for something that time alone won't bring."""
    containers = as_list(status.get("initContainerStatuses")) + as_list(status.get("containerStatuses"))
    for container in containers:
        waiting = as_mapping(as_mapping(container.get("state")).get("waiting"))
        reason = str(waiting.get("reason") or "")
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            return shorten(": ".join(filter(None, (reason, str(waiting.get("message") or "")))))
    return ""


def _explain_condition(conditions: dict[str, Raw]) -> str:
    """The earliest condition that does not hold; later ones only follow from it."""
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        condition = as_mapping(conditions.get(kind))
        if condition and condition.get("status") != "True":
            parts = (str(condition.get("reason") or kind), str(condition.get("message") or "not yet"))
            return shorten(": ".join(parts))
    return ""


def _is_replaced_when_failed(pod: Raw) -> bool:
    """An evicted Pod of a controller stays as a corpse while its successor runs; the controller's status counts."""
    return any(_has_owner(pod, kind) for kind in ("ReplicaSet", "DaemonSet", "StatefulSet", "Job"))


def _has_owner(pod: Raw, kind: str) -> bool:
    owners = as_list(as_mapping(pod.get("metadata")).get("ownerReferences"))
    return any(owner.get("kind") == kind for owner in owners)


def _number(mapping: Raw, key: str, *, default: int = 0) -> int:
    value = mapping.get(key)
    return value if isinstance(value, int) else default
