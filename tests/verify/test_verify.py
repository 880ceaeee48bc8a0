"""Verification against a server that misbehaves: never a false green, never a traceback, always an end."""

import pytest

from bootstrap.api import open_api
from bootstrap.driver import NodeExpectation
from bootstrap.model import Connection, Host, Inventory
from bootstrap.verify import Patience, observe_cluster, verify_cluster

from .fake_api import (
    DEPLOYMENTS,
    PODS,
    VERSION,
    Cluster,
    always,
    cut_in_the_middle,
    drip,
    first,
    issue_server,
    make_authority,
    make_kubeconfig,
    make_node,
    now,
    reset_every_second,
    serve,
    silence,
)

EXPECTED = (NodeExpectation("c1", VERSION, True, {}, ()), NodeExpectation("w1", VERSION, False, {}, ()))
INVENTORY = Inventory(
    "home.yaml",
    "home",
    "k3s",
    VERSION,
    (Host("c1", Connection("10.0.0.1"), node_addresses=("10.0.0.1",)), Host("w1", Connection("10.0.0.2"))),
)
QUICK = Patience(deadline=6, looks=2, interval=0.05)
SHORT = Patience(deadline=0.4, looks=2, interval=0.05)

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def verify(tmp_path, authority, client):
    """Serves in a manner and verifies; the looks made are kept in `verify.looks`, requests in `verify.paths`."""

    def verify(
        cluster=None, *, patience=QUICK, trusted=authority, expected=EXPECTED, on_look=lambda checks: None, **serving
    ):
        with serve(cluster or Cluster(), authority, tmp_path, **serving) as server:
            text = make_kubeconfig(server.url, trusted, client)
            checks = verify_cluster(INVENTORY, expected, lambda: open_api(text), patience=patience, on_look=on_look)
            verify.paths = server.paths
        return checks

    return verify


def all_green(checks):
    return bool(checks) and all(check.ok for check in checks)


def red(checks):
    return {(check.name, check.subject): check.detail for check in checks if not check.ok}


def test_a_good_cluster_is_green_after_the_wanted_number_of_looks(verify):
    looks = []
    checks = verify(on_look=looks.append)
    assert red(checks) == {}
    assert len(looks) == 2
    assert checks[-1].detail == "2 good looks in a row"
    assert {"addresses", "heartbeat", "system pods"} <= {check.name for check in checks}


def test_no_look_at_all_is_never_enough(verify):
    assert all_green(verify(patience=Patience(deadline=0, looks=0)))
    assert not all_green(verify(Cluster(workers=()), patience=Patience(deadline=0, looks=0)))
    assert not all_green(verify(patience=Patience(deadline=0, looks=2)))


def test_expecting_nothing_is_red(verify):
    assert ("node set", "") in red(verify(expected=(), patience=SHORT))


@pytest.mark.parametrize(
    "manner",
    [
        always(503, b'{"message": "apiserver not ready"}'),
        always(500, b"[-]etcd failed"),
        always(429, b"", Retry_After="3600"),
        always(401, b'{"message": "Unauthorized"}'),
        always(403, b'{"message": "nodes is forbidden"}'),
        always(404, b"404 page not found"),
        always(302, b"", Location="https://login.example/"),
        always(200, b"<html>Welcome to nginx!</html>"),
        always(200, b"ok"),
        always(200, b""),
        always(200, b"{}"),
        always(200, b'{"items": null}'),
        always(200, b'{"items": [null, 3, {"metadata": null}]}'),
        silence,
        drip,
        cut_in_the_middle,
    ],
    ids=[
        "503", "500", "429", "401", "403", "404", "redirect", "html", "text", "empty", "empty object", "null items",
        "odd items", "silence", "drip", "cut",
    ],
)  # fmt: skip
def test_a_server_that_always_misbehaves_is_red_and_bounded(verify, manner):
    checks = verify(manner=manner, patience=SHORT)
    assert red(checks)
    assert not all_green(checks)


def test_resets_of_every_second_request_are_ridden_out(verify):
    assert red(verify(manner=reset_every_second, patience=Patience(deadline=30, looks=2, interval=0.05))) == {}


@pytest.mark.parametrize(
    "manner", [always(503), always(200, b"<html>"), cut_in_the_middle, always(401), always(429, b"", Retry_After="0")]
)
def test_a_bad_start_converges_when_it_calms(verify, manner):
    assert red(verify(manner=first(3, manner))) == {}


def test_a_bad_look_between_two_good_ones_starts_the_count_anew(verify):
    cluster, looks = Cluster(), []

    def flap(checks):
        looks.append(all_green(checks))
        cluster.texts["/readyz"] = "not ready" if len(looks) == 1 else "ok"

    assert red(verify(cluster, on_look=flap)) == {}
    assert looks == [True, False, True, True]


def test_one_good_look_before_the_deadline_is_not_steady(verify):
    checks = verify(patience=Patience(deadline=0.5, looks=1000, interval=0.1))
    assert set(red(checks)) == {("steady", "")}


def test_a_wrong_ca_is_told_at_once_and_never_retried(verify):
    looks = []
    checks = verify(trusted=make_authority(), patience=Patience(deadline=600), on_look=looks.append)
    assert len(looks) == 1
    assert "signed by another CA" in checks[0].detail
    assert "bootstrap kubeconfig" in checks[0].detail


def test_an_expired_certificate_is_told_at_once(verify, authority):
    checks = verify(certificate=issue_server(authority, days=-1), patience=Patience(deadline=600))
    assert "has expired" in checks[0].detail


def test_a_certificate_for_another_name_is_believed_when_it_persists(verify, authority):
    """k3s adds names to its certificate while it runs: a moment of patience, then an end."""
    looks = []
    certificate = issue_server(authority, ("other.example",))
    checks = verify(certificate=certificate, patience=Patience(deadline=600, interval=0.01), on_look=looks.append)
    assert len(looks) == 5
    assert "for another" in checks[0].detail


def test_refusals_are_believed_when_they_persist(verify):
    looks = []
    checks = verify(manner=always(403), patience=Patience(deadline=600, interval=0.01), on_look=looks.append)
    assert len(looks) == 5
    assert "forbids" in checks[0].detail


def test_a_node_that_comes_late_is_waited_for(verify):
    cluster = Cluster(workers=())
    checks = verify(cluster, on_look=lambda checks: cluster.nodes.setdefault("w1", make_node("w1")))
    assert red(checks) == {}


def test_a_dead_kubelet_behind_a_ready_node_is_red(verify):
    cluster = Cluster()
    cluster.stopped["w1"] = now(-90)
    assert set(red(verify(cluster, patience=SHORT))) == {("heartbeat", "w1"), ("steady", "")}


def test_a_host_with_a_wrong_clock_is_alive_when_its_lease_moves(verify):
    cluster = Cluster()
    beats = iter(range(10_000))

    def beat(checks):
        cluster.stopped["w1"] = now(-3600 + next(beats))

    beat(())
    assert red(verify(cluster, on_look=beat)) == {}


@pytest.mark.filterwarnings("ignore:System time is way off")
def test_our_own_clock_does_not_matter(verify, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert red(verify()) == {}


def test_pods_that_cannot_pull_their_image_say_so(verify):
    cluster = Cluster()
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "busybox": no route to registry'}
    status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    cluster.objects[PODS] = {"items": [{"metadata": {"name": "p"}, "status": status}]}
    assert "no route to registry" in red(verify(cluster, patience=SHORT))["system pods", "kube-system"]


def test_null_lists_of_workloads_are_none(verify):
    cluster = Cluster()
    cluster.objects[DEPLOYMENTS] = cluster.objects[PODS] = {"items": None}
    assert red(verify(cluster)) == {}


def test_only_get_requests_of_known_paths_are_made(verify):
    verify(patience=Patience(deadline=6, looks=1))
    assert len(verify.paths) == len(set(verify.paths)) == 7


def test_one_look_can_be_had_alone(tmp_path, authority, client):
    with (
        serve(Cluster(), authority, tmp_path) as server,
        open_api(make_kubeconfig(server.url, authority, client)) as api,
    ):
        state = observe_cluster(api)
    assert state.readyz == "ok"
    assert state.server_time is not None
    assert state.certificate_expiry is not None
