"""From what was seen to what will be done: one story after the other, each with the whole list of steps."""

from dataclasses import replace

import pytest

from bootstrap.distros.k3s.files import join_file
from bootstrap.distros.k3s.layout import BINARY, CONFIG, INSTALLER, JOIN, REGISTRIES, SCRIPT
from bootstrap.distros.k3s.planning import plan_apply
from bootstrap.driver import PlanInput
from bootstrap.errors import LockError, PlanRefusedError
from bootstrap.facts import RECORD_PATH
from bootstrap.model import Disruption, Endpoint, Lock, LockedFile, Plan, Put, Role, Taint
from tests.plan.world import (
    LOCK,
    NEW,
    OLD,
    World,
    built,
    change_host,
    change_native,
    make_host,
    make_input,
    make_inventory,
    titles,
)

PREPARED = (
    f"bring k3s {NEW} to {BINARY}",
    f"bring install.sh {NEW} to {INSTALLER}",
    f"write {CONFIG}",
    f"write {SCRIPT}",
    f"write {JOIN}",
)
CHANGED = {"config": {"kubelet-arg": ["max-pods=60"]}}
WAIT = "wait until the API and the node are ready"
NOTE = "note what k3s was started with"
RECORD = "write the record of this run"


def prepare(*hosts: str) -> list[str]:
    return [f"{host}: {title}" for host in hosts for title in (*PREPARED, f"install the {service(host)} service")]


def service(host: str) -> str:
    return "k3s" if host.startswith("c") else "k3s-agent"


def server(host: str, verb: str = "start") -> list[str]:
    return [f"{host}: {verb} k3s", f"{host}: {WAIT}", f"{host}: {NOTE}"]


def worker(host: str, asked: str = "c1", verb: str = "start") -> list[str]:
    first = [f"{host}: {verb} k3s-agent", f"{host}: wait until k3s-agent is up"]
    return [*first, f"{host}: wait until the node is ready (on {asked})", f"{host}: {NOTE}"]


def end(*hosts: str) -> list[str]:
    seen = [f"{host}: see that {service(host)} stays up" for host in hosts]
    return [*seen, *(f"{host}: {RECORD}" for host in hosts)]


def stage_titles(plan: Plan) -> list[str]:
    return [stage.title for stage in plan.stages]


def disruptions(plan: Plan) -> dict[str, Disruption]:
    worst = {}
    for stage in plan.stages:
        for step in stage.steps:
            if step.disruption is not Disruption.NONE:
                worst[step.host] = step.disruption
    return worst


def converges(world: World) -> None:
    world.execute(world.plan())
    assert world.plan().is_empty


# --- new clusters --------------------------------------------------------------------------------


def test_one_host_is_prepared_founds_and_is_looked_at_again() -> None:
    plan = World(make_inventory(1)).plan()
    assert titles(plan) == [*prepare("c1"), *server("c1"), *end("c1")]
    assert disruptions(plan) == {}


def test_three_controllers_and_two_workers() -> None:
    plan = World(make_inventory(3, 2)).plan()
    hosts = ("c1", "c2", "c3", "w1", "w2")
    assert titles(plan) == [
        *prepare(*hosts),
        *server("c1"),
        *server("c2"),
        *server("c3"),
        *worker("w1"),
        *worker("w2"),
        *end(*hosts),
    ]
    by_title = {stage.title: stage for stage in plan.stages}
    joins = by_title["join controllers, one at a time"]
    assert (joins.critical, joins.at_once) == (True, 1)
    assert by_title["found the cluster on c1"].critical
    assert not by_title["join workers"].critical


def joins(plan: Plan) -> dict[str, str]:
    steps = (step for stage in plan.stages for step in stage.steps)
    return {
        step.host: step.action.content for step in steps if isinstance(step.action, Put) and step.action.path == JOIN
    }


def test_one_host_founds_and_the_others_ask_it() -> None:
    asks = join_file(founds_etcd=False, server_url="https://192.168.1.11:6443")
    founds = join_file(founds_etcd=True, server_url="")
    assert joins(World(make_inventory(3, 1)).plan()) == {"c1": founds, "c2": asks, "c3": asks, "w1": asks}


def test_one_controller_founds_without_etcd_unless_it_is_asked_for() -> None:
    assert joins(World(make_inventory(1)).plan())["c1"] == join_file(founds_etcd=False, server_url="")
    asked = change_native(make_inventory(1), {"server": {"cluster-init": True}})
    assert joins(World(asked).plan())["c1"] == join_file(founds_etcd=True, server_url="")


def test_the_endpoint_is_asked_only_once_the_cluster_is_there() -> None:
    """Nobody answers on a virtual IP before the first controller carries it."""
    inventory = replace(make_inventory(1, 1), endpoint=Endpoint("192.168.1.5"))
    assert "192.168.1.11" in joins(World(inventory).plan())["w1"]
    world = built(inventory)
    world.wipe("w1")
    assert joins(world.plan())["w1"] == join_file(founds_etcd=False, server_url="https://192.168.1.5:6443")


def test_with_an_external_datastore_every_controller_starts_alike_one_after_the_other() -> None:
    native = {"server": {"datastore-endpoint": "${secret:db}"}}
    inventory = change_native(make_inventory(2, 1), native)
    world = World(inventory)
    alike = join_file(founds_etcd=False, server_url="")
    asks = join_file(founds_etcd=False, server_url="https://192.168.1.11:6443")
    assert joins(world.plan()) == {"c1": alike, "c2": alike, "w1": asks}
    converges(world)
    assert {world.hosts[name].datastore for name in ("c1", "c2")} == {"external"}


def test_a_controller_without_ordinary_pods_registers_its_taint_itself() -> None:
    inventory = replace(
        make_inventory(0, 1), hosts=(make_host("c1", Role.CONTROLLER, 11), make_host("w1", Role.WORKER, 21))
    )
    world = built(inventory)
    assert world.plan().is_empty
    (cluster,) = world.clusters.values()
    assert cluster.nodes["c1"]["spec"]["taints"] == [
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    ]


# --- nothing to do -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 0), (1, 2), (3, 2), (5, 0)])
def test_a_cluster_that_is_as_it_shall_be_has_an_empty_plan(shape: tuple[int, int]) -> None:
    plan = built(make_inventory(*shape)).plan()
    assert plan.is_empty
    assert plan.stages == ()


# --- changes -------------------------------------------------------------------------------------


def test_a_new_label_touches_no_service() -> None:
    world = built(make_inventory(1, 2))
    world.inventory = change_host(world.inventory, "w1", labels={"disk": "ssd"})
    registration = "/etc/rancher/k3s/config.yaml.d/20-registration.yaml"
    assert titles(world.plan()) == [
        f"w1: write {registration}",
        "w1: set labels of the node (on c1)",
        f"w1: {RECORD}",
    ]
    assert disruptions(world.plan()) == {}
    converges(world)


def test_a_changed_key_restarts_that_host_alone() -> None:
    world = built(make_inventory(3, 2))
    world.inventory = change_native(world.inventory, CHANGED, "w2")
    plan = world.plan()
    assert titles(plan) == [f"w2: write {CONFIG}", *worker("w2", verb="restart"), *end("w2")]
    assert disruptions(plan) == {"w2": Disruption.RESTART}
    converges(world)


def test_controllers_are_restarted_one_at_a_time_the_one_that_is_asked_first() -> None:
    world = built(make_inventory(3))
    world.inventory = change_native(world.inventory, CHANGED)
    plan = world.plan()
    (stage,) = [stage for stage in plan.stages if stage.title == "update controllers, one at a time"]
    assert stage.hosts() == ("c1", "c2", "c3")
    assert (stage.critical, stage.at_once) == (True, 1)
    assert [step.title for step in stage.steps_of("c2")] == [f"write {CONFIG}", "restart k3s", WAIT, NOTE]


def test_a_restart_that_is_not_on_record_is_made_though_every_file_is_right() -> None:
    world = built(make_inventory(1, 1))
    world.edit("w1", RECORD_PATH, None)
    plan = world.plan()
    assert titles(plan) == ["w1: install the k3s-agent service", *worker("w1", verb="restart"), *end("w1")]
    reasons = {step.title: step.reason for stage in plan.stages for step in stage.steps}
    assert reasons["restart k3s-agent"] == "it is not on record that the running k3s has read these files"
    assert disruptions(plan) == {"w1": Disruption.RESTART}
    converges(world)


def test_a_run_cut_off_between_file_and_restart_makes_the_restart_good() -> None:
    world = built(make_inventory(1, 1))
    world.inventory = change_native(world.inventory, CHANGED, "w1")
    world.execute(world.plan(), 1)
    assert titles(world.plan()) == [*worker("w1", verb="restart"), *end("w1")]


def test_a_file_that_was_edited_by_hand_is_put_right_and_its_restart_can_not_be_lost() -> None:
    """The record matches the wanted file: without the first step it would hide that k3s may have read the other one."""
    world = built(make_inventory(1, 1))
    world.edit("w1", CONFIG, "token: 'another'\n")
    note = "w1: note that k3s is to be restarted"
    seen = "w1: see that k3s-agent stays up"
    assert titles(world.plan()) == [note, f"w1: write {CONFIG}", *worker("w1", verb="restart"), seen]
    world.execute(world.plan(), 2)
    assert "w1: restart k3s-agent" in titles(world.plan())


def test_another_version_brings_the_binary_and_reinstalls_one_controller_after_the_other() -> None:
    world = built(make_inventory(3, 1, version=OLD))
    world.inventory = replace(world.inventory, version=NEW)
    plan = world.plan()
    changed = [f"bring k3s {NEW} to {BINARY}", f"bring install.sh {NEW} to {INSTALLER}", f"write {SCRIPT}"]
    expected = []
    for name in ("c1", "c2", "c3"):
        expected += [f"{name}: {title}" for title in (*changed, "install the k3s service")] + server(name, "restart")
    expected += [f"w1: {title}" for title in (*changed, "install the k3s-agent service")] + worker("w1", verb="restart")
    assert titles(plan) == [*expected, *end("c1", "c2", "c3", "w1")]
    converges(world)


def test_a_binary_that_was_replaced_by_hand_comes_back() -> None:
    world = built(make_inventory(1))
    file = world.hosts["c1"].files[BINARY]
    world.hosts["c1"].files[BINARY] = replace(file, sha256="0" * 64)
    plan = world.plan()
    assert f"c1: bring k3s {NEW} to {BINARY}" in titles(plan)
    assert disruptions(plan) == {"c1": Disruption.RESTART}
    converges(world)


def test_an_installer_that_was_cut_off_runs_again() -> None:
    """Its unit may be there, and not be enabled."""
    world = World(make_inventory(1))
    world.execute(world.plan(), len(prepare("c1")))
    plan = world.plan()
    assert titles(plan)[0] == "c1: install the k3s service"
    assert disruptions(plan) == {}


def test_registries_that_the_inventory_has_no_more_are_taken_off_the_host() -> None:
    native = {"registries": {"mirrors": {"docker.io": {"endpoint": ["https://mirror.example.com"]}}}}
    world = built(change_native(make_inventory(1), native))
    world.inventory = change_native(world.inventory, {})
    plan = world.plan()
    assert titles(plan) == [f"c1: remove {REGISTRIES}", *server("c1", "restart"), *end("c1")]
    (removal,) = [step for stage in plan.stages for step in stage.steps if "remove" in step.title]
    assert "-  docker.io:" in removal.diff
    converges(world)
    assert REGISTRIES not in world.hosts["c1"].files


def test_a_wrong_mode_is_put_right_and_named() -> None:
    world = built(make_inventory(1))
    world.hosts["c1"].files[CONFIG] = replace(world.hosts["c1"].files[CONFIG], mode="0644")
    (step,) = [step for stage in world.plan().stages for step in stage.steps if step.title == f"write {CONFIG}"]
    assert step.reason == "mode and owner are 0644 root:root, wanted 0600 root:root"
    assert step.diff == ""


# --- hosts that are new, wiped or stopped --------------------------------------------------------


def test_a_further_worker_touches_no_other_host() -> None:
    world = built(make_inventory(3, 1))
    world.meet(make_inventory(3, 2))
    assert titles(world.plan()) == [*prepare("w2"), *worker("w2"), *end("w2")]


def test_a_wiped_worker_has_its_stale_node_deleted_before_it_joins() -> None:
    world = built(make_inventory(1, 2))
    world.wipe("w1")
    stale = "w1: delete its stale node and node password (on c1)"
    assert titles(world.plan()) == [*prepare("w1"), stale, *worker("w1"), *end("w1")]
    converges(world)


def test_a_wiped_first_controller_joins_those_that_hold_the_datastore() -> None:
    world = built(make_inventory(3, 1))
    world.wipe("c1")
    plan = world.plan()
    stale = "c1: delete its stale node and node password (on c2)"
    assert titles(plan) == [*prepare("c1"), stale, *server("c1"), *end("c1")]
    assert joins(plan) == {"c1": join_file(founds_etcd=False, server_url="https://192.168.1.12:6443")}
    assert "replace lost controllers, one at a time" in stage_titles(plan)
    converges(world)
    assert len(world.clusters) == 1


def test_a_lost_controller_is_replaced_before_another_is_restarted() -> None:
    """Else the restart would cost the quorum: it would have to be refused, and nothing could ever change."""
    world = built(make_inventory(3))
    world.wipe("c3")
    world.inventory = change_native(world.inventory, CHANGED)
    stages = stage_titles(world.plan())
    assert stages.index("replace lost controllers, one at a time") < stages.index("update controllers, one at a time")
    converges(world)


def test_while_nobody_can_count_votes_a_wiped_controller_is_taken_for_a_lost_one() -> None:
    world = built(make_inventory(3))
    world.stop("c1")
    world.wipe("c3")
    world.inventory = change_native(world.inventory, CHANGED)
    stages = stage_titles(world.plan())
    assert stages.index("start controllers that are down") < stages.index("replace lost controllers, one at a time")
    assert stages.index("replace lost controllers, one at a time") < stages.index("update controllers, one at a time")
    converges(world)


def test_wiped_hosts_found_anew() -> None:
    world = built(make_inventory(3, 1))
    world.wipe("c1", "c2", "c3", "w1")
    assert titles(world.plan()) == titles(World(make_inventory(3, 1)).plan())
    converges(world)


def test_a_worker_that_is_left_of_a_lost_cluster_forgets_it() -> None:
    world = built(make_inventory(1, 1))
    world.wipe("c1")
    plan = world.plan()
    assert "w1: forget the earlier cluster" in titles(plan)
    assert disruptions(plan) == {"w1": Disruption.RESTART}
    converges(world)
    assert list(world.clusters[2].nodes) == ["c1", "w1"]


def test_a_controller_that_left_etcd_forgets_its_datastore_before_it_joins_again() -> None:
    """k3s leaves db/etcd/tombstone, and a start would bring the old member back."""
    world = built(make_inventory(3))
    world.stop("c3")
    (cluster,) = world.clusters.values()
    world._delete_node(cluster, "c3")
    assert world.hosts["c3"].datastore == "removed"
    found = titles(world.plan())
    assert found[0] == "c3: forget the earlier cluster"
    assert found.index("c3: forget the earlier cluster") < found.index("c3: start k3s")
    converges(world)


def test_a_stopped_worker_is_started() -> None:
    world = built(make_inventory(1, 1))
    world.stop("w1")
    plan = world.plan()
    assert titles(plan) == [*worker("w1"), "w1: see that k3s-agent stays up"]
    assert plan.stages[0].steps[0].reason == "k3s-agent is inactive"
    converges(world)


def test_stopped_controllers_are_started_together_before_one_is_waited_for() -> None:
    """One alone would wait for the others for ever."""
    world = built(make_inventory(3))
    world.stop("c1", "c2", "c3")
    plan = world.plan()
    assert titles(plan)[:3] == ["c1: start k3s", "c2: start k3s", "c3: start k3s"]
    assert (plan.stages[0].critical, plan.stages[0].at_once >= 3) == (False, True)
    converges(world)


def test_controllers_that_are_down_get_their_changed_files_before_they_are_started() -> None:
    world = built(make_inventory(3))
    world.stop("c1", "c2", "c3")
    world.inventory = change_native(world.inventory, CHANGED)
    assert titles(world.plan())[:2] == [f"c1: write {CONFIG}", "c1: start k3s"]
    converges(world)


def test_a_k3s_that_tries_in_vain_is_restarted_for_a_start_would_change_nothing() -> None:
    world = built(make_inventory(1, 1))
    world.wipe("w1")
    world.execute(world.plan(), len(prepare("w1")) + 1)
    world.hosts["w1"].units["k3s-agent"].active = "activating"
    assert "w1: restart k3s-agent" in titles(world.plan())


def test_labels_changed_while_the_cluster_was_down_are_set_in_the_same_run() -> None:
    world = built(change_host(make_inventory(1, 1), "w1", labels={"disk": "ssd", "zone": "a"}))
    world.stop("c1", "w1")
    world.inventory = change_host(world.inventory, "w1", labels={"zone": "b"})
    converges(world)
    labels = world.clusters[1].nodes["w1"]["metadata"]["labels"]
    assert labels["zone"] == "b"
    assert "disk" not in labels


# --- from one controller to three ----------------------------------------------------------------


def test_one_controller_becomes_three_by_way_of_etcd() -> None:
    world = built(make_inventory(1, 1))
    assert world.hosts["c1"].datastore == "sqlite"
    world.meet(make_inventory(3, 1))
    plan = world.plan()
    found = titles(plan)
    assert found.index("c1: restart k3s") < found.index("c2: start k3s") < found.index("c3: start k3s")
    assert joins(plan)["c1"] == join_file(founds_etcd=True, server_url="")
    assert not any(title.startswith("w1:") for title in found)
    converges(world)
    assert {world.hosts[name].datastore for name in ("c1", "c2", "c3")} == {"etcd"}


def test_a_move_to_etcd_that_was_cut_off_before_the_restart_goes_on() -> None:
    world = built(make_inventory(1))
    world.meet(make_inventory(3))
    plan = world.plan()
    world.execute(plan, titles(plan).index("c1: restart k3s"))
    assert "c1: restart k3s" in titles(world.plan())


def test_a_datastore_that_is_not_the_wanted_one_is_a_reason_though_every_file_is_right() -> None:
    world = built(make_inventory(1))
    world.meet(make_inventory(3))
    world.edit("c1", JOIN, join_file(founds_etcd=True, server_url=""))
    reasons = {step.title: step.reason for stage in world.plan().stages for step in stage.steps if step.host == "c1"}
    assert reasons["restart k3s"] == "its datastore is to become etcd"
    converges(world)


# --- what is missing -----------------------------------------------------------------------------


def test_a_lock_without_the_binary_says_what_to_run() -> None:
    inventory = make_inventory(1)
    world = World(inventory)
    with pytest.raises(LockError, match=f"artifacts.lock has no k3s {NEW.replace('+', '.')} for amd64"):
        plan_apply(make_input(inventory, world.facts(), lock=Lock()))


def test_images_of_the_lock_are_brought_before_the_start() -> None:
    images = LockedFile("k3s-airgap-images", NEW, "amd64", "https://example.com/images.tar.zst", 10, "1" * 64)
    plan_input: PlanInput = make_input(
        make_inventory(1), World(make_inventory(1)).facts(), lock=Lock((*LOCK.files, images))
    )
    path = "/var/lib/rancher/k3s/agent/images/k3s-airgap-images-amd64.tar.zst"
    found = titles(plan_apply(plan_input))
    assert found.index(f"c1: bring k3s-airgap-images {NEW} to {path}") < found.index("c1: start k3s")


def test_hosts_that_can_not_be_reached_are_left_out_and_the_others_go_on() -> None:
    world = built(make_inventory(3, 2))
    world.hosts["w1"].reachable = False
    world.inventory = change_native(world.inventory, CHANGED, "w1", "w2")
    assert {title.split(":")[0] for title in titles(world.plan())} == {"w2"}


def test_a_taint_that_is_taken_out_is_taken_off_and_one_that_others_set_stays() -> None:
    world = built(change_host(make_inventory(1, 1), "w1", taints=(Taint("dedicated", "db", "NoSchedule"),)))
    node = world.clusters[1].nodes["w1"]
    node["spec"]["taints"].append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
    world.inventory = change_host(world.inventory, "w1", taints=())
    converges(world)
    assert [taint["key"] for taint in world.clusters[1].nodes["w1"]["spec"]["taints"]] == [
        "node.kubernetes.io/unschedulable"
    ]


def test_a_refused_plan_makes_no_step() -> None:
    world = built(make_inventory(3))
    world.hosts["c2"].reachable = False
    world.wipe("c1", "c3")
    with pytest.raises(PlanRefusedError):
        world.plan()
