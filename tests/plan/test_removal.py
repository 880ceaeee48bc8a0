"""One host, or all of them, taken away again: in which order, and when that is refused."""

from dataclasses import replace

import pytest

from bootstrap.distros import find_driver
from bootstrap.errors import PlanRefusedError
from bootstrap.model import Disruption, Hook, PlacedFile, Plan, Run
from tests.plan.world import ModelUnit, World, built, change_host, change_native, make_inventory, titles

DELETE = "delete the node, its etcd membership and its password"
UNINSTALL = "uninstall k3s and remove its data"


def remove(world: World, name: str) -> Plan:
    return find_driver("k3s").plan_remove(world.input(), name)


def reset(world: World) -> Plan:
    return find_driver("k3s").plan_reset(world.input())


def refused(world: World, name: str) -> str:
    with pytest.raises(PlanRefusedError) as caught:
        remove(world, name)
    return str(caught.value)


def without(world: World, name: str) -> None:
    world.inventory = replace(world.inventory, hosts=tuple(host for host in world.inventory.hosts if host.name != name))


def test_a_worker_is_drained_stopped_deleted_and_uninstalled() -> None:
    world = built(make_inventory(1, 2))
    plan = remove(world, "w1")
    assert titles(plan) == [
        "w1: drain the node (on c1)",
        "w1: stop k3s-agent",
        f"w1: {DELETE} (on c1)",
        f"w1: {UNINSTALL}",
    ]
    assert {step.disruption for stage in plan.stages for step in stage.steps} == {Disruption.REMOVE}
    assert plan.stages[0].critical
    assert plan.notes == ("take w1 out of the inventory too, else the next apply joins it again",)
    world.execute(plan)
    assert "w1" not in world.clusters[1].nodes
    assert world.hosts["w1"].units == {}


def test_a_controller_is_stopped_before_its_node_goes() -> None:
    """A running server whose Node is deleted registers again within seconds (seen with k3s 1.36)."""
    world = built(make_inventory(3))
    plan = remove(world, "c1")
    found = titles(plan)
    assert found.index("c1: stop k3s") < found.index(f"c1: {DELETE} (on c2)")
    world.execute(plan)
    assert world.clusters[1].members == {"c2", "c3"}


def test_what_was_removed_joins_again_as_long_as_the_inventory_has_it() -> None:
    world = built(make_inventory(3, 1))
    world.execute(remove(world, "c3"))
    world.execute(world.plan())
    assert world.clusters[1].members == {"c1", "c2", "c3"}
    assert world.plan().is_empty


def test_a_removal_that_was_cut_off_can_be_done_again_from_any_point() -> None:
    count = len(titles(remove(built(make_inventory(3)), "c3")))
    for cut in range(count + 1):
        world = built(make_inventory(3))
        world.execute(remove(world, "c3"), cut)
        world.execute(remove(world, "c3"))
        assert (world.clusters[1].members, "c3" in world.clusters[1].nodes) == ({"c1", "c2"}, False), cut
        without(world, "c3")
        assert world.plan().is_empty, cut


def test_an_unreachable_host_leaves_by_the_api_alone() -> None:
    world = built(make_inventory(1, 1))
    world.stop("w1")
    world.hosts["w1"].reachable = False
    plan = remove(world, "w1")
    assert titles(plan) == [f"w1: {DELETE} (on c1)"], "nobody there confirms that a pod has ended"
    assert plan.unreachable == ("w1",)


def test_a_host_that_left_the_inventory_is_still_a_node_that_can_be_removed() -> None:
    world = built(make_inventory(1, 1))
    world.stop("w1")
    without(world, "w1")
    assert titles(remove(world, "w1")) == [f"w1: {DELETE} (on c1)"]


def test_a_controller_that_left_the_inventory_has_its_vote_counted_all_the_same() -> None:
    world = built(make_inventory(3))
    world.stop("c2")
    without(world, "c3")
    assert "without c3, 1 of 2 etcd voters would work and 2 are needed (c2 is down)" in refused(world, "c3")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nobody", "neither the inventory nor the cluster has a nobody"),
        ("c1", "no other controller answers, so c1 can't be taken out of the cluster"),
    ],
)
def test_what_can_not_be_removed_from_a_small_cluster(name: str, reason: str) -> None:
    assert reason in refused(built(make_inventory(1, 1)), name)


def test_a_working_voter_stays_while_another_is_down() -> None:
    world = built(make_inventory(3))
    world.stop("c3")
    assert "without c1, 1 of 2 etcd voters would work and 2 are needed (c3 is down)" in refused(world, "c1")
    assert titles(remove(world, "c3"))


def test_of_two_servers_on_an_external_datastore_one_may_go() -> None:
    world = built(change_native(make_inventory(2), {"server": {"datastore-endpoint": "postgres://db"}}))
    world.execute(remove(world, "c2"))
    assert set(world.clusters[1].nodes) == {"c1"}


def test_the_drain_has_an_end() -> None:
    (drain, *_) = remove(built(make_inventory(1, 1)), "w1").stages[0].steps
    assert isinstance(drain.action, Run)
    assert "timeout 300" in drain.action.script
    assert drain.action.deadline == 330.0


# --- reset ---------------------------------------------------------------------------------------


def test_a_reset_takes_the_workers_first() -> None:
    world = built(make_inventory(3, 2))
    plan = reset(world)
    assert [stage.title for stage in plan.stages] == ["remove k3s from the workers", "remove k3s from the controllers"]
    assert titles(plan)[:2] == ["w1: stop k3s", f"w1: {UNINSTALL}"]
    world.guarded = set()
    for stage in plan.stages:
        for step in stage.steps:
            world.do(step)
    assert reset(world).is_empty
    assert all(not host.units and not host.datastore for host in world.hosts.values())


def test_a_reset_of_hosts_that_hold_nothing_is_empty() -> None:
    assert reset(World(make_inventory(3, 1))).is_empty


def test_a_reset_goes_on_with_the_hosts_that_can_be_reached() -> None:
    world = built(make_inventory(1, 2))
    world.hosts["w1"].reachable = False
    assert {title.split(":")[0] for title in titles(reset(world))} == {"w2", "c1"}


def test_a_half_made_installation_is_removed_too() -> None:
    world = World(make_inventory(1))
    world.execute(world.plan(), 2)
    assert titles(reset(world)) == [f"c1: {UNINSTALL}"]
    world.hosts["c1"].units["k3s"] = ModelUnit()
    assert titles(reset(world)) == ["c1: stop k3s", f"c1: {UNINSTALL}"]


def test_the_uninstallation_names_every_file_that_we_placed() -> None:
    file = PlacedFile("/etc/sysctl.d/90-it's.conf", "a")
    world = built(change_host(make_inventory(1), "c1", files=(file,)))
    (step,) = [step for stage in reset(world).stages for step in stage.steps if step.title == UNINSTALL]
    assert isinstance(step.action, Run)
    assert """'/etc/sysctl.d/90-it'"'"'s.conf'""" in step.action.script
    assert "/var/lib/bootstrap" in step.action.script


def test_after_a_reset_the_cluster_is_founded_anew_and_hooks_run_again() -> None:
    world = World(replace(make_inventory(1, 1), hooks=(Hook("h", "after-apply", "true"),)))
    world.execute(world.plan())
    for stage in reset(world).stages:
        for step in stage.steps:
            world.do(step)
    for host in world.hosts.values():
        host.files.clear()
    assert titles(world.plan()) == titles(World(world.inventory).plan())
