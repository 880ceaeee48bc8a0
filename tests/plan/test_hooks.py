"""Hooks: at which step of the way each runs, on whom, and when again."""

from dataclasses import replace

import pytest

from bootstrap.model import Hook, Run
from tests.plan.world import World, built, make_inventory, titles

POINTS = (
    "after-connect",
    "before-apply",
    "before-prepare",
    "after-prepare",
    "before-founder",
    "after-founder",
    "before-join",
    "after-join",
    "after-apply",
)


def with_hooks(world: World, *hooks: Hook) -> World:
    world.inventory = replace(world.inventory, hooks=hooks)
    return world


def runs(world: World) -> dict[str, list[str]]:
    """Host -> hooks that the plan runs there, in order."""
    steps = [step for stage in world.plan().stages for step in stage.steps if step.title.startswith("run hook")]
    found: dict[str, list[str]] = {}
    for step in steps:
        found.setdefault(step.host, []).append(step.title.split()[2])
    return found


def test_each_point_has_its_place_on_the_founder() -> None:
    world = with_hooks(World(make_inventory(1)), *(Hook(point, point, "true") for point in POINTS))
    found = [title.removeprefix("c1: ").partition(" (")[0] for title in titles(world.plan())]
    kept = [title for title in found if title.startswith(("run hook", "bring k3s", "install the", "start"))]
    assert kept == [
        "run hook after-connect",
        "run hook before-apply",
        "run hook before-prepare",
        next(title for title in kept if title.startswith("bring")),
        "install the k3s service",
        "run hook after-prepare",
        "run hook before-founder",
        "start k3s",
        "run hook after-founder",
        "run hook after-apply",
    ]


def test_who_joins_passes_the_points_of_joining_and_not_those_of_the_founder() -> None:
    world = with_hooks(World(make_inventory(3, 1)), *(Hook(point, point, "true") for point in POINTS))
    every = ["after-connect", "before-apply", "before-prepare", "after-prepare"]
    joined = [*every, "before-join", "after-join", "after-apply"]
    founded = [*every, "before-founder", "after-founder", "after-apply"]
    assert runs(world) == {"c1": founded, "c2": joined, "c3": joined, "w1": joined}


def test_before_join_comes_before_the_service_starts_and_after_join_when_the_node_is_ready() -> None:
    world = with_hooks(World(make_inventory(1, 1)), Hook("a", "before-join", "true"), Hook("b", "after-join", "true"))
    found = [title for title in titles(world.plan()) if title.startswith("w1")]
    order = ["run hook a", "start k3s-agent", "wait until the node is ready", "run hook b"]
    places = [next(index for index, title in enumerate(found) if text in title) for text in order]
    assert places == sorted(places)


def test_a_cni_after_the_founder_comes_before_the_second_controller_joins() -> None:
    world = with_hooks(World(make_inventory(3)), Hook("cni", "after-founder", "true", once=True))
    found = titles(world.plan())
    assert found.index("c1: run hook cni (after-founder)") < found.index("c2: start k3s")


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("once", [False, True])
def test_a_hook_that_has_run_does_not_run_again(point: str, once: bool) -> None:
    world = with_hooks(World(make_inventory(3, 1)), Hook("h", point, "true", once=once))
    world.execute(world.plan())
    assert world.plan().is_empty


@pytest.mark.parametrize("point", POINTS)
def test_a_hook_whose_text_changed_runs_again_where_it_ran(point: str) -> None:
    world = with_hooks(World(make_inventory(3, 1)), Hook("h", point, "true"))
    first = runs(world)
    world.execute(world.plan())
    with_hooks(world, Hook("h", point, "true again"))
    assert runs(world) == first
    world.execute(world.plan())
    assert world.plan().is_empty


@pytest.mark.parametrize("point", POINTS)
def test_once_means_one_host_in_all(point: str) -> None:
    world = with_hooks(World(make_inventory(3, 2)), Hook("h", point, "true", once=True))
    assert sum(len(hooks) for hooks in runs(world).values()) == 1
    world.execute(world.plan())
    assert world.plan().is_empty


def test_a_founders_hook_runs_though_a_worker_stands_first_in_the_inventory() -> None:
    inventory = make_inventory(1, 1)
    inventory = replace(inventory, hosts=tuple(reversed(inventory.hosts)))
    world = with_hooks(World(inventory), Hook("cni", "after-founder", "true", once=True))
    assert runs(world) == {"c1": ["cni"]}


@pytest.mark.parametrize("point", ["after-founder", "after-join", "after-apply", "before-prepare"])
def test_a_once_hook_stays_done_when_a_host_is_wiped_that_did_not_run_it(point: str) -> None:
    world = with_hooks(World(make_inventory(3, 2)), Hook("h", point, "true", once=True))
    world.execute(world.plan())
    ran = [name for name, host in world.hosts.items() if host.hooks]
    other = next(name for name in ("w2", "c3") if name not in ran)
    world.wipe(other)
    assert runs(world) == {}


def test_a_founders_hook_does_not_run_again_when_another_controller_is_asked() -> None:
    world = with_hooks(World(make_inventory(3)), Hook("cni", "after-founder", "true", once=True))
    world.execute(world.plan())
    world.hosts["c1"].reachable = False
    assert runs(world) == {}
    world.hosts["c1"].reachable = True
    world.wipe("c1")
    assert runs(world) == {}


def test_hooks_of_every_point_run_again_on_a_host_that_is_new() -> None:
    world = with_hooks(
        World(make_inventory(1, 2)), Hook("gpu", "before-prepare", "true"), Hook("j", "after-join", "true")
    )
    world.execute(world.plan())
    world.wipe("w1")
    assert runs(world) == {"w1": ["gpu", "j"]}


def test_a_new_hook_runs_on_hosts_that_are_in_already() -> None:
    world = built(make_inventory(1, 2))
    with_hooks(world, Hook("gpu", "before-prepare", "true", hosts=("w2",)), Hook("net", "after-founder", "true"))
    assert runs(world) == {"w2": ["gpu"], "c1": ["net"]}


def test_the_reason_tells_first_runs_from_changed_texts() -> None:
    world = with_hooks(World(make_inventory(1)), Hook("h", "after-apply", "one"))

    def reason() -> str:
        return next(step.reason for stage in world.plan().stages for step in stage.steps if "hook" in step.title)

    assert reason() == "has not run on this host"
    world.execute(world.plan())
    with_hooks(world, Hook("h", "after-apply", "two"))
    assert reason() == "its text changed since it ran"


def test_a_hook_taken_out_of_the_inventory_leaves_the_record() -> None:
    world = with_hooks(World(make_inventory(1)), Hook("h", "after-apply", "one"))
    world.execute(world.plan())
    with_hooks(world)
    assert titles(world.plan()) == ["c1: write the record of this run"]


def test_a_hook_before_the_connection_is_no_step_on_a_host() -> None:
    world = with_hooks(World(make_inventory(1)), Hook("vpn", "before-connect", "true"))
    assert runs(world) == {}
    world.execute(world.plan())
    assert world.plan().is_empty


def test_a_hook_gets_ten_minutes() -> None:
    world = with_hooks(World(make_inventory(1)), Hook("h", "after-apply", "one"))
    (step,) = [step for stage in world.plan().stages for step in stage.steps if "hook" in step.title]
    assert step.action == Run("one", deadline=600.0)
