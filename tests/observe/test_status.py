"""Rows of the status table, from what hosts answered."""

from dataclasses import replace

import pytest

from bootstrap.status import make_rows
from tests.observe.test_recorded import read
from tests.plan.world import World, built, make_inventory


def test_a_running_cluster() -> None:
    inventory = make_inventory(1, 1)
    hosts = tuple(replace(host, name=name) for host, name in zip(inventory.hosts, ("h1", "h2"), strict=True))
    facts = {"h1": read("debian-server"), "h2": read("debian-agent")}
    first, second = make_rows(replace(inventory, hosts=hosts), facts)
    assert (first.host, first.role, first.version, first.ready, first.unit) == (
        "h1",
        "controller+worker",
        "v1.36.3+k3s1",
        True,
        "k3s active",
    )
    assert (second.role, second.ready, second.unit) == ("worker", True, "k3s-agent active")
    assert first.age is not None
    assert first.disk_free_kb == facts["h1"].free_kb["/var/lib"]


def test_a_host_that_can_not_be_asked_shows_what_the_cluster_knows_of_it() -> None:
    world = built(make_inventory(1, 1))
    world.stop("w1")
    world.hosts["w1"].reachable = False
    _, row = make_rows(world.inventory, world.facts())
    assert (row.unit, row.disk_free_kb, row.ready, row.version) == ("unreachable", None, False, "v1.36.3+k3s1")


def test_before_there_is_a_cluster() -> None:
    (row,) = make_rows(make_inventory(1), World(make_inventory(1)).facts())
    assert (row.version, row.ready, row.age, row.unit) == ("", None, None, "not installed")


def test_without_any_answer_every_host_is_unreachable() -> None:
    assert [row.unit for row in make_rows(make_inventory(1, 1), {})] == ["unreachable", "unreachable"]


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"status": {}},
        {"metadata": {}, "status": {"nodeInfo": {}}},
        {"status": {"conditions": None}},
        {"status": {"conditions": [{}]}, "metadata": {"creationTimestamp": "soon"}},
    ],
)
def test_a_node_that_tells_little_does_no_harm(node: dict[str, object]) -> None:
    world = built(make_inventory(1))
    facts = world.facts()
    facts["c1"].values["nodes"]["c1"] = node
    (row,) = make_rows(world.inventory, facts)
    assert (row.host, row.ready, row.age) == ("c1", False, None)
