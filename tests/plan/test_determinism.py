"""The same input makes the same plan, to the byte; and what a host gets does not hang on the order of the others."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.model import Hook, Plan, Taint
from bootstrap.report import format_plan, format_plan_markdown, plan_digest, plan_to_json
from tests.plan.world import OLD, World, built, change_host, change_native, make_inventory

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import sys
from tests.plan.test_determinism import rich_world
from bootstrap.report import format_plan, plan_to_json
plan = rich_world().plan()
sys.stdout.write(plan_to_json(plan) + format_plan(plan, color=False, width=100, host_count=5))
"""


def rich_world() -> World:
    """Everything at once: an upgrade, labels, taints, hooks, a wiped host, a stopped one."""
    world = built(make_inventory(3, 2, version=OLD))
    labels = {f"example.com/{letter}": letter for letter in "qwertyuiop"}
    taints = tuple(Taint(key, "", "NoSchedule") for key in "zyx")
    inventory = change_host(world.inventory, "w1", labels=labels, annotations=labels, taints=taints)
    inventory = change_native(inventory, {"config": {"kubelet-arg": ["a=1"]}}, "c2")
    world.inventory = replace(inventory, version=world.inventory.version, hooks=(Hook("h", "after-apply", "true"),))
    world.wipe("w2")
    world.stop("w1")
    return world


def of_each_host(plan: Plan) -> dict[str, list[tuple[str, str, str, str]]]:
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for stage in plan.stages:
        for step in stage.steps:
            found.setdefault(step.host, []).append((stage.title, step.title, step.reason, repr(step.action)))
    return found


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_the_plan_is_the_same_under_any_hash_seed(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    plan = rich_world().plan()
    assert done.stdout == plan_to_json(plan) + format_plan(plan, color=False, width=100, host_count=5)


def test_two_looks_make_one_digest() -> None:
    world = rich_world()
    assert plan_digest(world.plan()) == plan_digest(world.plan())
    assert format_plan_markdown(world.plan(), host_count=5) == format_plan_markdown(world.plan(), host_count=5)


def test_the_order_of_the_workers_changes_nothing_for_any_host() -> None:
    world = rich_world()
    before = of_each_host(world.plan())
    controllers, workers = world.inventory.controllers, world.inventory.workers
    world.inventory = replace(world.inventory, hosts=(*reversed(workers), *controllers))
    assert of_each_host(world.plan()) == before


def test_the_order_of_the_facts_changes_nothing() -> None:
    from bootstrap.distros.k3s.planning import plan_apply

    world = rich_world()
    plan_input = world.input()
    turned = replace(plan_input, facts=dict(reversed(plan_input.facts.items())))
    assert of_each_host(plan_apply(turned)).keys() == of_each_host(plan_apply(plan_input)).keys()


def test_the_order_of_labels_and_taints_changes_no_command() -> None:
    def commands(turned: bool) -> list[str]:
        world = built(make_inventory(1, 1))
        labels = [("b", "1"), ("a", "2"), ("node-role.kubernetes.io/x", "")]
        taints = [Taint("k", "", "NoSchedule"), Taint("j", "", "NoExecute")]
        chosen = dict(reversed(labels)) if turned else dict(labels)
        world.inventory = change_host(
            world.inventory, "w1", labels=chosen, taints=tuple(reversed(taints) if turned else taints)
        )
        steps = [step for stage in world.plan().stages for step in stage.steps]
        return [repr(step.action) for step in steps if step.title.startswith(("set", "write the record"))]

    assert commands(True) == commands(False)


def test_adding_a_host_changes_no_byte_of_the_others_files() -> None:
    small, large = World(make_inventory(3, 1)), World(make_inventory(3, 2))
    before, after = of_each_host(small.plan()), of_each_host(large.plan())
    assert {host: after[host] for host in before} == before
