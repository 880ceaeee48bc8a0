"""Three etcd controllers and two workers: order, quorum, replacement. For each distribution, in order."""

from itertools import pairwise

import pytest

from tests.cluster.conftest import Repository, fresh
from tests.cluster.distribution import K0S, K3S

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.timeout(1800),
    pytest.mark.parametrize(
        "home", [K3S, K0S], ids=lambda distribution: distribution.name, indirect=True, scope="module"
    ),
]
CONTROLLERS = ("h1", "h2", "h3")


def settle(home: Repository, host: str) -> None:
    """Wait until a host that was switched on is up: a plan made before would not be the plan of a second later."""
    up = f"systemctl is-active -q {home.distribution.services[0]} && {home.distribution.kubectl} get --raw /readyz"
    home.hosts.ssh(host, f"for i in $(seq 120); do {up} && exit; sleep 1; done; exit 1", timeout=180)


def voters(home: Repository) -> set[str]:
    """Names of the controllers that have a vote, as the distribution itself tells them."""
    return set(home.hosts.ssh("h1", home.distribution.voters).split())


def ready(node: dict) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])


def test_three_controllers_and_two_workers_come_up_with_etcd_on_each_controller(home: Repository) -> None:
    fresh(home, 3, 2)
    home.apply()
    found = home.nodes()
    assert set(found) == {"h1", "h2", "h3", "h4", "h5"}
    assert all(ready(node) for node in found.values())
    assert voters(home) == set(CONTROLLERS)
    assert home.plan_is_empty()


def test_a_change_restarts_the_controllers_one_at_a_time(home: Repository) -> None:
    home.change_cluster(home.distribution.cluster_change)
    home.apply()
    spans = []
    for host in CONTROLLERS:
        stamp = "ActiveEnterTimestampMonotonic,InactiveExitTimestampMonotonic"
        shown = dict(
            line.split("=")
            for line in home.hosts.ssh(host, f"systemctl show -p {stamp} {home.distribution.services[0]}").split()
        )
        spans.append((int(shown["InactiveExitTimestampMonotonic"]), int(shown["ActiveEnterTimestampMonotonic"])))
    spans.sort()
    assert all(first[1] <= second[0] for first, second in pairwise(spans)), spans
    assert home.plan_is_empty()


def test_the_first_controller_wiped_joins_the_cluster_that_lives_on(home: Repository) -> None:
    before = home.nodes()["h2"]["metadata"]["uid"]
    home.hosts.wipe("h1")
    home.pin()
    home.apply()
    found = home.nodes("h2")
    assert found["h2"]["metadata"]["uid"] == before, "a second cluster was founded"
    assert set(found) == {"h1", "h2", "h3", "h4", "h5"}
    assert home.plan_is_empty()


def test_with_one_controller_down_no_other_is_restarted_or_removed(home: Repository) -> None:
    home.hosts.sandbox.cut("h3")
    text = home.inventory.read_text()
    refused = home.run("remove", "h2", "--yes", code=1)
    assert "etcd voters" in refused.text
    home.change_cluster(home.distribution.cluster_change_again)
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
    assert home.hosts.ssh("h1", f"ls -d {home.distribution.programs[0]} 2>/dev/null; true") == ""
    for host in ("h2", "h3"):
        home.hosts.sandbox.start(host)
    for host in ("h2", "h3"):
        settle(home, host)
    home.apply()
    assert set(home.nodes()) == {"h1", "h2", "h3", "h4", "h5"}


def test_when_all_five_were_wiped_one_apply_brings_them_back(home: Repository) -> None:
    home.hosts.wipe("h1", "h2", "h3", "h4", "h5")
    home.pin()
    home.apply()
    assert all(ready(node) for node in home.nodes().values())
    assert home.plan_is_empty()


def test_a_critical_value_changed_later_is_refused_with_the_reason(home: Repository) -> None:
    text = home.inventory.read_text()
    home.inventory.write_text(
        text.replace("hosts:", "network: {pods: 10.99.0.0/16, services: 10.98.0.0/16}\nhosts:", 1)
    )
    refused = home.apply(code=1)
    for word in home.distribution.critical:
        assert word in refused.text
    home.inventory.write_text(text)
    assert home.plan_is_empty()


def test_a_removed_controller_leaves_etcd_too(home: Repository) -> None:
    home.run("remove", "h3", "--yes")
    found = home.nodes()
    assert set(found) == {"h1", "h2", "h4", "h5"}
    assert all(ready(found[name]) for name in ("h1", "h2"))
