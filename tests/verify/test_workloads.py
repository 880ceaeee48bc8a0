"""The system's workloads: each way of not running is red and says the reason."""

import pytest

from bootstrap.cluster_state import ClusterState
from bootstrap.workloads import check_workloads

from .fake_api import make_list

PULL = 'Back-off pulling image "rancher/mirrored-coredns-coredns:1.14.1": ErrImagePull: dial tcp: lookup registry-1.docker.io'


def deployment(name="coredns", **status):
    good = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    return {"metadata": {"name": name, "generation": 2}, "spec": {"replicas": 1}, "status": {**good, **status}}


def daemonset(name="svclb", **status):
    good = {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2}
    return {"metadata": {"name": name, "generation": 1}, "status": {**good, **status}}


def pod(name="coredns-1", phase="Running", ready="True", owner="ReplicaSet", waiting=None, **status):
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": ready, "reason": "ContainersNotReady"},
    ]
    container = {"name": "main", "state": {"waiting": waiting} if waiting else {"running": {}}}
    return {
        "metadata": {"name": name, "ownerReferences": [{"kind": owner}] if owner else None},
        "status": {"phase": phase, "conditions": conditions, "containerStatuses": [container], **status},
    }


def state(deployments=(), daemonsets=(), pods=()):
    return ClusterState(deployments=make_list(*deployments), daemonsets=make_list(*daemonsets), pods=make_list(*pods))


def red(expected=(), **lists):
    return {check.name: check.detail for check in check_workloads(state(**lists), expected) if not check.ok}


def test_workloads_that_run_are_green():
    assert red(("coredns", "svclb"), deployments=[deployment()], daemonsets=[daemonset()], pods=[pod()]) == {}


def test_none_is_right_when_none_is_expected_and_is_said():
    assert [check.detail for check in check_workloads(state())] == ["none"] * 3


@pytest.mark.parametrize("items", [None, []])
def test_a_workload_that_is_expected_and_missing_is_named(items):
    checks = check_workloads(ClusterState(deployments={"items": items}), ("coredns",))
    assert [check.detail for check in checks if not check.ok] == ["missing: coredns"]


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        ({"availableReplicas": 0}, "coredns: 0 of 1 available"),
        ({"availableReplicas": None}, "coredns: 0 of 1 available"),
        ({"updatedReplicas": 0}, "coredns: 0 of 1 available"),
        ({"observedGeneration": 1}, "coredns: the controller has not seen its last change"),
        ({"observedGeneration": None}, "coredns: the controller has not seen its last change"),
    ],
)
def test_a_deployment_that_is_not_available(status, detail):
    assert red(deployments=[deployment(**status)]) == {"system deployments": detail}


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        ({"numberReady": 1}, "svclb: 1 of 2 ready"),
        ({"numberReady": None}, "svclb: 0 of 2 ready"),
        ({"updatedNumberScheduled": 1}, "svclb: 1 of 2 ready"),
        ({"observedGeneration": 0}, "svclb: the controller has not seen its last change"),
    ],
)
def test_a_daemonset_that_is_not_ready(status, detail):
    assert red(daemonsets=[daemonset(**status)]) == {"system daemonsets": detail}


def test_an_image_that_cannot_be_pulled_shows_the_registrys_reason():
    stuck = pod(phase="Pending", ready="False", waiting={"reason": "ImagePullBackOff", "message": PULL})
    assert red(pods=[stuck])["system pods"].startswith("coredns-1: ImagePullBackOff: Back-off pulling image")


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "CrashLoopBackOff", "CreateContainerConfigError", "InvalidImageName"]
)
def test_a_pod_that_is_stuck_is_red_even_when_a_job_owns_it(reason):
    for owner in ("ReplicaSet", "Job", None):
        assert reason in red(pods=[pod(ready="False", owner=owner, waiting={"reason": reason})])["system pods"]


def test_an_init_container_that_is_stuck():
    containers = [{"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}}]
    stuck = pod(phase="Pending", ready="False", waiting={"reason": "PodInitializing"}, initContainerStatuses=containers)
    assert red(pods=[stuck]) == {"system pods": "coredns-1: CrashLoopBackOff: back-off 5m0s"}


def test_a_stuck_container_beside_a_running_one():
    containers = [{"state": {"running": {}}}, {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    assert red(pods=[pod(containerStatuses=containers)]) == {"system pods": "coredns-1: CrashLoopBackOff"}


def test_a_pod_that_no_node_takes_shows_the_schedulers_words():
    conditions = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
    ]
    waiting = pod(phase="Pending", conditions=conditions, containerStatuses=None)
    assert red(pods=[waiting]) == {"system pods": "coredns-1: Unschedulable: 0/1 nodes are available"}


def test_a_pod_that_runs_and_is_not_ready():
    assert red(pods=[pod(ready="False")]) == {"system pods": "coredns-1: ContainersNotReady: not yet"}


def test_pods_that_ended_or_go_are_no_fault():
    going = pod("going", ready="False")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ended = [pod("done", phase="Succeeded", ready="False", owner="Job"), pod("evicted", phase="Failed", ready="False")]
    running_job = pod("job", phase="Running", ready="False", owner="Job")
    assert red(pods=[going, running_job, *ended]) == {}


@pytest.mark.parametrize("owner", ["Node", None])
def test_a_failed_pod_that_nobody_replaces_is_red(owner):
    failed = pod("etcd", phase="Failed", owner=owner, conditions=None, reason="Evicted", message="low on disk")
    assert red(pods=[failed]) == {"system pods": "etcd: Failed Evicted low on disk"}


@pytest.mark.parametrize("status", [None, {}, {"phase": None}])
def test_a_pod_without_a_status_is_red(status):
    assert "system pods" in red(pods=[{"metadata": {"name": "new"}, "status": status}])


def test_many_wrong_pods_are_shortened():
    wrong = [pod(f"p{number}", ready="False") for number in range(8)]
    assert red(pods=wrong)["system pods"].endswith("; and 3 more")


def test_a_message_cannot_write_on_the_terminal():
    stuck = pod(waiting={"reason": "ErrImagePull", "message": "\x1b[2J\nall good" + "x" * 1000})
    detail = red(pods=[stuck])["system pods"]
    assert detail.isprintable()
    assert len(detail) < 250
