"""Three etcd controllers and two workers: order, quorum, replacement. The tests go in order."""

import json
from itertools import pairwise

import pytest

from tests.cluster.conftest import Repository, fresh

pytestmark = pytest.mark.sandbox
CONTROLLERS = ("h1", "h2", "h3")


@pytest.fixture
def home(shared_repository: Repository) -> Repository:
    return shared_repository


def nodes(home: Repository, asked: str = "h1") -> dict[str, dict]:
    items = json.loads(home.hosts.ssh(asked, "k3s kubectl get --raw /api/v1/nodes"))["items"]
    return {item["metadata"]["name"]: item for item in items}


def settle(home: Repository, host: str) -> None:
    """Wait until k3s of a host that was switched on is up: a plan made before would not be the plan of a second later."""
    home.hosts.ssh(
        host,
        "for i in $(seq 120); do systemctl is-active -q k3s && k3s kubectl get --raw /readyz && exit; sleep 1; done; exit 1",
        timeout=180,
    )


def ready(node: dict) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def test_three_controllers_and_two_workers_come_up_with_etcd_on_each_controller(home: Repository) -> None:
    fresh(home, 3, 2)
    home.apply()
    found = nodes(home)
    assert set(found) == {"h1", "h2", "h3", "h4", "h5"}
    assert all(ready(node) for node in found.values())
    assert {
        name for name, node in found.items() if "node-role.kubernetes.io/etcd" in node["metadata"]["labels"]
    } == set(CONTROLLERS)
    assert home.plan_is_empty()


def test_a_change_restarts_the_controllers_one_at_a_time(home: Repository) -> None:
    home.inventory.write_text(home.inventory.read_text() + "  server: {etcd-snapshot-retention: 6}\n")
    home.apply()
    spans = []
    for host in CONTROLLERS:
        stamp = "ActiveEnterTimestampMonotonic,InactiveExitTimestampMonotonic"
        shown = dict(line.split("=") for line in home.hosts.ssh(host, f"systemctl show -p {stamp} k3s").split())
        spans.append((int(shown["InactiveExitTimestampMonotonic"]), int(shown["ActiveEnterTimestampMonotonic"])))
    spans.sort()
    assert all(first[1] <= second[0] for first, second in pairwise(spans)), spans
    assert home.plan_is_empty()


def test_the_first_controller_wiped_joins_the_cluster_that_lives_on(home: Repository) -> None:
    before = nodes(home)["h2"]["metadata"]["uid"]
    home.hosts.wipe("h1")
    home.pin()
    home.apply()
    found = nodes(home, "h2")
    assert found["h2"]["metadata"]["uid"] == before, "a second cluster was founded"
    assert set(found) == {"h1", "h2", "h3", "h4", "h5"}
    assert home.plan_is_empty()


def test_with_one_controller_down_no_other_is_restarted_or_removed(home: Repository) -> None:
    home.hosts.sandbox.cut("h3")
    text = home.inventory.read_text()
    refused = home.run("remove", "h2", "--yes", code=1)
    assert "etcd voters" in refused.text
    home.inventory.write_text(text.replace("etcd-snapshot-retention: 6", "etcd-snapshot-retention: 7"))
    refused = home.apply(code=None)
    assert refused.code in (1, 4)
    assert "etcd voters" in refused.text
    home.inventory.write_text(text)
    home.hosts.sandbox.start("h3")
    settle(home, "h3")
    home.apply()


def test_two_unreachable_controllers_are_named_and_nothing_is_founded(home: Repository) -> None:
    home.hosts.sandbox.cut("h2")
    home.hosts.sandbox.cut("h3")
    home.hosts.wipe("h1")
    home.pin()
    refused = home.apply(code=None)
    assert refused.code != 0
    assert "h2" in refused.text
    assert "second cluster" in refused.text
    assert home.hosts.ssh("h1", "ls /usr/local/bin/k3s 2>/dev/null; true") == ""
    for host in ("h2", "h3"):
        home.hosts.sandbox.start(host)
    for host in ("h2", "h3"):
        settle(home, host)
    home.apply()
    assert set(nodes(home)) == {"h1", "h2", "h3", "h4", "h5"}


def test_when_all_five_were_wiped_one_apply_brings_them_back(home: Repository) -> None:
    home.hosts.wipe("h1", "h2", "h3", "h4", "h5")
    home.pin()
    home.apply()
    assert all(ready(node) for node in nodes(home).values())
    assert home.plan_is_empty()


def test_a_critical_value_changed_later_is_refused_with_the_reason(home: Repository) -> None:
    text = home.inventory.read_text()
    home.inventory.write_text(
        text.replace("hosts:", "network: {pods: 10.99.0.0/16, services: 10.98.0.0/16}\nhosts:", 1)
    )
    refused = home.apply(code=1)
    assert "cluster-cidr" in refused.text
    assert "fixed when the cluster is made" in refused.text
    home.inventory.write_text(text)
    assert home.plan_is_empty()


def test_a_removed_controller_leaves_etcd_too(home: Repository) -> None:
    home.run("remove", "h3", "--yes")
    found = nodes(home)
    assert set(found) == {"h1", "h2", "h4", "h5"}
    assert all(ready(found[name]) for name in ("h1", "h2"))
