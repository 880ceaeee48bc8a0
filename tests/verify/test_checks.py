"""Each check is green on a good cluster and red when its one thing is wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap.checks import check_certificate, check_cluster, check_heartbeat, check_node
from bootstrap.cluster_state import ClusterState
from bootstrap.driver import NodeExpectation
from bootstrap.verify import Wanted, judge

from .fake_api import VERSION, make_lease, make_list, make_node

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
C1 = NodeExpectation(
    "c1", VERSION, controls=True, labels={}, taints=("node-role.kubernetes.io/control-plane:NoSchedule",)
)
W1 = NodeExpectation("w1", VERSION, controls=False, labels={"disk": "ssd"}, taints=("gpu=yes:NoExecute",))
EXPECTED = (C1, W1)
ADDRESSES = {"w1": ("10.0.0.2", "fd00:0::2")}


def at(seconds):
    return f"{NOW + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}Z"


def good_nodes():
    c1, w1 = make_node("c1", controls=True), make_node("w1")
    c1["spec"]["taints"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    w1["spec"]["taints"] = [{"key": "gpu", "value": "yes", "effect": "NoExecute"}]
    w1["metadata"]["labels"]["disk"] = "ssd"
    w1["status"]["addresses"] = [{"type": "InternalIP", "address": address} for address in ("10.0.0.2", "fd00::2")]
    return c1, w1


def good_state(*nodes):
    return ClusterState(
        readyz="ok",
        version={"gitVersion": VERSION},
        nodes=make_list(*(nodes or good_nodes())),
        leases=make_list(make_lease("c1", at(-3)), make_lease("w1", at(-9))),
        deployments=make_list(),
        daemonsets=make_list(),
        pods=make_list(),
        server_time=NOW,
        certificate_expiry=NOW + timedelta(days=300),
    )


def red(state, expected=EXPECTED, **options):
    checks = check_cluster(state, expected, ADDRESSES, **options)
    return {(check.name, check.subject): check.detail for check in checks if not check.ok}


def test_a_good_cluster_is_all_green():
    checks = check_cluster(good_state(), EXPECTED, ADDRESSES)
    assert [check for check in checks if not check.ok] == []
    assert {check.name for check in checks} == {
        "api ready", "api version", "api certificate", "node set", "node ready", "heartbeat", "kubelet version",
        "role", "schedulable", "labels", "taints", "addresses",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[-]etcd failed", "okay", "<html>ok</html>"])
def test_a_readyz_that_is_not_ok(text):
    assert red(replace(good_state(), readyz=text)) == {("api ready", ""): f"readyz: {text or 'empty answer'}"}


@pytest.mark.parametrize("version", [{}, {"gitVersion": "v1.35.0+k3s1"}, {"gitVersion": None}])
def test_another_api_version(version):
    assert VERSION in red(replace(good_state(), version=version))["api version", ""]


def test_where_controllers_are_no_nodes_the_workers_tell_the_version():
    _, w1 = good_nodes()
    assert red(good_state(w1), (W1,)) == {}
    assert (
        "v1.35.0+k3s1, wanted"
        in red(replace(good_state(w1), version={"gitVersion": "v1.35.0+k3s1"}), (W1,))["api version", ""]
    )


def test_a_controllers_version_counts_and_not_a_workers():
    old = replace(W1, version="v1.35.0+k3s1")
    assert ("api version", "") in red(replace(good_state(), version={"gitVersion": old.version}), (C1, old))


def test_a_missing_and_an_extra_node_are_both_named():
    c1, _ = good_nodes()
    state = good_state(c1, make_node("old"))
    assert red(state)["node set", ""] == "missing: w1; not in the inventory: old"
    assert red(state)["node ready", "w1"] == "there is no such Node"


@pytest.mark.parametrize("nodes", [{}, {"items": None}, {"items": []}, {"items": "x"}, {"items": [None, 1, {}]}])
def test_a_list_without_nodes_is_red_for_each_node(nodes):
    wrong = red(replace(good_state(), nodes=nodes))
    assert {("node set", ""), ("node ready", "c1"), ("node ready", "w1")} <= wrong.keys()


def test_expecting_nothing_is_never_green():
    assert red(good_state(), ()).keys() >= {("node set", "")}
    assert red(ClusterState(), ()).keys() >= {("node set", ""), ("api ready", ""), ("api version", "")}


def test_a_node_that_is_not_ready_says_why():
    c1, w1 = good_nodes()
    w1["status"]["conditions"][-1].update(
        status="Unknown", reason="NodeStatusUnknown", message="Kubelet stopped posting"
    )
    assert red(good_state(c1, w1)) == {("node ready", "w1"): "not ready: NodeStatusUnknown: Kubelet stopped posting"}


@pytest.mark.parametrize("conditions", [None, [], [{"type": "DiskPressure", "status": "False"}], [{"type": "Ready"}]])
def test_a_node_without_a_ready_condition_is_not_ready(conditions):
    c1, w1 = good_nodes()
    w1["status"]["conditions"] = conditions
    assert ("node ready", "w1") in red(good_state(c1, w1))


@pytest.mark.parametrize("kind", ["MemoryPressure", "DiskPressure", "PIDPressure"])
def test_a_node_under_pressure(kind):
    c1, w1 = good_nodes()
    condition = next(entry for entry in w1["status"]["conditions"] if entry["type"] == kind)
    condition.update(status="True", reason="KubeletHas", message="too little")
    assert red(good_state(c1, w1)) == {("node ready", "w1"): f"{kind}: KubeletHas: too little"}


NO_CNI = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: cni plugin not initialized"
)


def without_network(message=NO_CNI):
    c1, w1 = good_nodes()
    w1["status"]["conditions"][-1].update(status="False", reason="KubeletNotReady", message=message)
    return good_state(c1, w1)


def test_a_node_that_waits_for_a_cni_is_red_unless_the_person_brings_it():
    assert NO_CNI[:40] in red(without_network())["node ready", "w1"]
    assert red(without_network(), network_comes_later=True) == {}


def test_a_node_that_lacks_more_than_a_cni_is_red_in_any_case():
    for message in ("PLEG is not healthy", f"RuntimeReady=false, {NO_CNI}", ""):
        assert ("node ready", "w1") in red(without_network(message), network_comes_later=True)


def test_system_pods_are_not_judged_before_there_is_a_cni_and_the_check_says_so():
    wanted = Wanted(EXPECTED, ADDRESSES, workloads=("coredns",), network_comes_later=True)
    assert judge(without_network(), wanted)[-1].detail == "not looked at before there is a CNI"
    assert "missing: coredns" in [check.detail for check in judge(good_state(), wanted)]


FIVE_SECONDS_AGO, LONG_AGO = at(-5), at(-1000)


def heartbeat(renewed=FIVE_SECONDS_AGO, *, server_time=NOW, seen=None, ready_beat=LONG_AGO):
    _, w1 = good_nodes()
    w1["status"]["conditions"][-1]["lastHeartbeatTime"] = ready_beat
    leases = make_list(make_lease("w1", renewed)) if renewed else make_list()
    state = ClusterState(leases=leases, server_time=server_time, renewed_ago={} if seen is None else {"w1": seen})
    return check_heartbeat(state, w1)


def test_a_heartbeat_is_fresh_by_the_servers_clock():
    assert heartbeat(at(-59)).ok
    assert not heartbeat(at(-61)).ok
    assert heartbeat(at(-5), server_time=None).detail == "the API server told no time to compare with"
    assert heartbeat("yesterday").detail == "the kubelet has never reported"
    assert not heartbeat("2026-11-25T12:00:00").ok  # no zone: no time


def test_a_heartbeat_of_the_future_proves_nothing():
    assert heartbeat(at(2)).ok
    late = heartbeat(at(3600))
    assert not late.ok
    assert "clock is wrong" in late.detail


def test_a_renewal_before_our_eyes_counts_whatever_the_clocks_say():
    for renewed in (at(-3600), at(3600)):
        assert heartbeat(renewed, seen=12).ok
        assert not heartbeat(renewed, seen=61).ok


def test_without_a_lease_the_ready_conditions_heartbeat_counts():
    assert heartbeat("", ready_beat=at(-5)).ok
    assert not heartbeat("", ready_beat=at(-1000)).ok
    assert not heartbeat("", ready_beat=None).ok


def test_a_node_with_the_version_of_before_the_restart():
    c1, w1 = good_nodes()
    w1["status"]["nodeInfo"]["kubeletVersion"] = "v1.35.1+k3s1"
    assert red(good_state(c1, w1)) == {("kubelet version", "w1"): f"v1.35.1+k3s1, wanted {VERSION}"}
    w1["status"]["nodeInfo"] = None
    assert red(good_state(c1, w1)) == {("kubelet version", "w1"): f"none reported, wanted {VERSION}"}


def test_roles_that_are_swapped():
    c1, w1 = good_nodes()
    del c1["metadata"]["labels"]["node-role.kubernetes.io/control-plane"]
    w1["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = "true"
    assert red(good_state(c1, w1)) == {
        ("role", "c1"): "worker, wanted control plane",
        ("role", "w1"): "control plane, wanted worker",
    }


@pytest.mark.parametrize(
    ("labels", "detail"),
    [({"disk": "hdd"}, "disk is `hdd`, wanted `ssd`"), ({}, "disk is missing"), (None, "disk is missing")],
)
def test_a_label_that_is_missing_or_other(labels, detail):
    c1, w1 = good_nodes()
    w1["metadata"]["labels"] = labels
    assert red(good_state(c1, w1)) == {("labels", "w1"): detail}


@pytest.mark.parametrize(
    "taints",
    [None, [], [{"key": "gpu", "effect": "NoExecute"}], [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]],
)
def test_a_taint_that_is_missing_or_other(taints):
    c1, w1 = good_nodes()
    w1["spec"]["taints"] = taints
    assert red(good_state(c1, w1)) == {("taints", "w1"): "missing: gpu=yes:NoExecute"}


def test_a_cordoned_node_says_how_to_uncordon_it():
    c1, w1 = good_nodes()
    w1["spec"]["unschedulable"] = True
    assert red(good_state(c1, w1)) == {("schedulable", "w1"): "cordoned: `kubectl uncordon w1`"}


@pytest.mark.parametrize(
    "addresses",
    [None, [], [{"type": "InternalIP", "address": "10.0.0.2"}], [{"type": "ExternalIP", "address": "fd00::2"}]],
)
def test_an_address_that_the_node_does_not_announce(addresses):
    c1, w1 = good_nodes()
    w1["status"]["addresses"] = addresses
    detail = red(good_state(c1, w1))["addresses", "w1"]
    assert detail in ("none, wanted 10.0.0.2, fd00:0::2", "10.0.0.2, wanted 10.0.0.2, fd00:0::2")


def test_the_certificates_expiry():
    state = good_state()
    assert check_certificate(replace(state, certificate_expiry=None)) is None
    soon = check_certificate(replace(state, certificate_expiry=NOW + timedelta(days=12)))
    assert soon.ok
    assert "in 12 days" in soon.detail
    assert not check_certificate(replace(state, certificate_expiry=NOW - timedelta(seconds=1))).ok


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(
        ["items", "metadata", "name", "status", "conditions", "type", "spec", "labels", "taints", "addresses", "nodeInfo"]
    ), children, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["items", "metadata", "gitVersion"]), json_values), json_values)
def test_no_shape_of_answer_raises_or_gives_green(answer, node):
    state = ClusterState("ok", answer, answer, answer, answer, answer, answer, NOW)
    assert red(state)
    wanted = Wanted(EXPECTED, ADDRESSES)
    assert not all(check.ok for check in judge(state, wanted))
    if isinstance(node, dict):
        assert not all(check.ok for check in check_node(state, W1, network_comes_later=False))
