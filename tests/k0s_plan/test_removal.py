"""Taking hosts out, and everything away: in which order, from where, and when not."""

from pathlib import Path

import pytest

from bootstrap.driver import PlanInput
from bootstrap.errors import PlanRefusedError
from bootstrap.model import Disruption, Inventory, Plan, Run
from tests.k0s_plan.world import DRIVER, HIGH, blank, load, make_input, member, steps, titles

EVERYONE = ("one", "two", "three", "four")


def high(tmp_path: Path, *, without: tuple[str, ...] = ()) -> tuple[Inventory, PlanInput]:
    inventory = load(tmp_path, hosts=HIGH)
    seen = [member(inventory, name) for name in EVERYONE if name not in without]
    return inventory, make_input(inventory, *seen, unreachable=without)


def remove(plan_input: PlanInput, name: str) -> Plan:
    return DRIVER.plan_remove(plan_input, name)


def test_a_controller_leaves_etcd_from_a_live_one_before_it_is_stopped(tmp_path: Path) -> None:
    _, plan_input = high(tmp_path)
    made = remove(plan_input, "one")
    order = ["take its member out of etcd", "stop k0s", "delete its node and what controllers know of it"]
    assert titles(made)[:3] == order
    leave = steps(made)[0]
    assert leave.on == "two"
    assert isinstance(leave.action, Run)
    assert "etcd leave --peer-address=192.168.1.11" in leave.action.script
    assert {step.disruption for step in steps(made)} == {Disruption.REMOVE}


def test_a_worker_is_drained_stopped_forgotten_and_cleared(tmp_path: Path) -> None:
    _, plan_input = high(tmp_path)
    assert titles(remove(plan_input, "four")) == [
        "drain the node",
        "stop k0s",
        "delete its node and what controllers know of it",
        "remove k0s (k0s reset), its data, and what it leaves",
    ]


def test_a_dead_controller_leaves_by_its_address_and_nothing_is_done_on_it(tmp_path: Path) -> None:
    _, plan_input = high(tmp_path, without=("three",))
    made = remove(plan_input, "three")
    assert titles(made) == ["take its member out of etcd", "delete its node and what controllers know of it"]
    assert {step.place for step in steps(made)} == {"one"}


def test_objects_of_a_host_are_deleted_under_both_of_its_names(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    members = {"one": "192.168.1.11", "machine-2": "192.168.1.12", "three": "192.168.1.13"}
    seen = [member(inventory, name, **({"members": members} if name != "four" else {})) for name in EVERYONE]
    made = remove(make_input(inventory, *seen), "two")
    (forget,) = [step for step in steps(made) if step.title.startswith("delete its node")]
    assert isinstance(forget.action, Run)
    assert "delete controlnodes.autopilot.k0sproject.io two machine-2" in forget.action.script


def test_with_another_controller_down_none_is_removed(tmp_path: Path) -> None:
    _, plan_input = high(tmp_path, without=("three",))
    with pytest.raises(PlanRefusedError, match="three is down"):
        remove(plan_input, "two")


def test_the_only_controller_is_not_removed(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    seen = [member(inventory, name) for name in ("one", "two", "three")]
    with pytest.raises(PlanRefusedError, match="no other controller answers"):
        remove(make_input(inventory, *seen), "one")


def test_reset_takes_workers_before_controllers_and_blank_hosts_not_at_all(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = DRIVER.plan_reset(make_input(inventory, member(inventory, "one"), member(inventory, "two"), blank("three")))
    assert [(stage.title, stage.hosts()) for stage in made.stages] == [
        ("remove k0s from the workers", ("two",)),
        ("remove k0s from the controllers", ("one",)),
    ]


def test_reset_takes_the_folders_that_the_inventory_names(tmp_path: Path) -> None:
    inventory = load(tmp_path, "k0s: {dataDir: /srv/k0s, kubeletRootDir: /srv/kubelet}\n")
    made = DRIVER.plan_reset(make_input(inventory, member(inventory, "one")))
    script = next(s.action.script for s in steps(made) if isinstance(s.action, Run) and s.title.startswith("remove"))
    assert "k0s reset --data-dir=/srv/k0s --kubelet-root-dir=/srv/kubelet" in script
