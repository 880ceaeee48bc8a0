"""Taking one host out, and everything away."""

from pathlib import Path

import pytest

from bootstrap.errors import PlanRefusedError
from bootstrap.model import Disruption

from .world import ADDRESSES, DRIVER, HIGH, blank, find, load, make_input, member, members, steps, titles


def test_a_host_that_can_be_reached_leaves_by_itself_and_is_then_forgotten(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    made = DRIVER.plan_remove(make_input(inventory, *members(inventory)), "three")
    assert titles(made) == [
        "drain the node",
        "leave the cluster (microk8s leave)",
        "take it out of dqlite and Kubernetes (remove-node)",
        "remove the snap (snap remove --purge)",
        "remove files and what MicroK8s leaves",
    ]
    assert [step.on for step in steps(made)] == ["one", "", "one", "", ""]
    assert {step.disruption for step in steps(made)} == {Disruption.REMOVE}


def test_a_dead_controller_is_forgotten_by_name_and_by_address(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    found = [member(inventory, name) for name in ("one", "two", "four")]
    made = DRIVER.plan_remove(make_input(inventory, *found, unreachable=("three",)), "three")
    assert titles(made) == ["take it out of dqlite and Kubernetes (remove-node)"]
    script = find(made, "remove-node").action.script  # type: ignore[union-attr]
    assert "remove-node three --force" in script
    assert f"remove-node {ADDRESSES['three']} --force" in script


def test_a_worker_takes_no_vote_along(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = DRIVER.plan_remove(make_input(inventory, *members(inventory)), "two")
    assert ADDRESSES["two"] not in find(made, "remove-node").action.script  # type: ignore[union-attr]


def test_the_quorum_is_guarded(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    found = [member(inventory, name) for name in ("one", "two", "four")]
    with pytest.raises(PlanRefusedError, match="voters"):
        DRIVER.plan_remove(make_input(inventory, *found, unreachable=("three",)), "two")


def test_the_only_controller_is_not_removed(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    with pytest.raises(PlanRefusedError, match="no other controller answers"):
        DRIVER.plan_remove(make_input(inventory, *members(inventory)), "one")


def test_reset_removes_the_snap_from_workers_first_and_never_calls_the_products_own_reset(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = DRIVER.plan_reset(make_input(inventory, *members(inventory)))
    assert [stage.title for stage in made.stages] == [
        "remove MicroK8s from the workers",
        "remove MicroK8s from the controllers",
    ]
    scripts = "".join(step.action.script for step in steps(made))  # type: ignore[union-attr]
    assert "snap remove --purge microk8s" in scripts
    assert "microk8s reset" not in scripts


def test_nothing_is_planned_for_a_host_without_traces(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    assert DRIVER.plan_reset(make_input(inventory, blank("one"), blank("two"))).is_empty
