"""Changes that a living cluster can't take, and states in which nothing may be touched: refused, with the way on."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from bootstrap.distros.k3s.layout import CONFIG
from bootstrap.distros.k3s.refusals import parse_node_args
from bootstrap.errors import PlanRefusedError
from bootstrap.model import FileFacts, Network, Reference, Role
from tests.plan.world import TOKEN, ModelUnit, World, built, change_host, change_native, make_host, make_inventory

CHANGED = {"config": {"kubelet-arg": ["max-pods=60"]}}


def refused(world: World) -> str:
    with pytest.raises(PlanRefusedError) as caught:
        world.plan()
    assert caught.value.next_step
    return str(caught.value)


# --- who founds ----------------------------------------------------------------------------------


def test_no_second_cluster_is_founded_beside_a_controller_that_can_not_be_reached() -> None:
    world = World(make_inventory(3))
    world.hosts["c2"].reachable = False
    text = refused(world)
    assert "no reachable controller has a datastore, and c2 can't be reached" in text
    assert "bring c2 back, or take it out of the inventory" in text


def test_without_any_controller_nothing_is_planned() -> None:
    world = World(make_inventory(1, 1))
    world.hosts["c1"].reachable = False
    assert "c1 can't be reached" in refused(world)


def test_two_datastores_of_their_own_are_two_clusters() -> None:
    one, two = (
        built(make_inventory(1)),
        built(replace(make_inventory(1), hosts=(make_host("c2", Role.CONTROLLER_WORKER, 12),))),
    )
    one.hosts["c2"], one.hosts["c2"].cluster = two.hosts["c2"], 2
    one.clusters[2] = replace(two.clusters[1], number=2)
    one.meet(make_inventory(2))
    assert "c1 has a datastore of its own beside c2: these are separate clusters" in refused(one)


def test_etcd_servers_that_show_no_node_in_common_are_two_clusters() -> None:
    asked = {"server": {"cluster-init": True}}
    inventory = change_native(make_inventory(3), asked)
    one = built(inventory)
    two = built(replace(inventory, hosts=(change_host(inventory, "c3").hosts[2],)))
    one.wipe("c3")
    one.hosts["c3"], one.clusters[2] = two.hosts["c3"], replace(two.clusters[1], number=2)
    one.hosts["c3"].cluster = 2
    assert "c3 serves another cluster, with the nodes c3" in refused(one)


# --- quorum --------------------------------------------------------------------------------------


def test_a_lost_quorum_is_refused_with_the_recipe() -> None:
    world = built(make_inventory(3))
    world.wipe("c1", "c3")
    text = refused(world)
    assert "etcd has lost its quorum: 1 of 3 members can be asked, 2 are needed" in text
    assert "on c2: systemctl stop k3s; k3s server --cluster-reset; systemctl start k3s" in text


def test_a_founder_that_is_still_starting_has_no_quorum_to_lose() -> None:
    """A run was killed just after it had started the first of three controllers."""
    world = World(make_inventory(3))
    plan = world.plan()
    titles = [step.title for stage in plan.stages for step in stage.steps]
    world.execute(plan, titles.index("start k3s") + 1)
    world.hosts["c1"].units["k3s"].active = "activating"
    assert [step.host for stage in world.plan().stages for step in stage.steps if step.title == "restart k3s"] == ["c1"]


def test_no_controller_is_restarted_while_another_is_down() -> None:
    world = built(make_inventory(3))
    world.hosts["c3"].reachable = False
    world.inventory = change_native(world.inventory, CHANGED, "c1", "c2")
    text = refused(world)
    assert "stopping c1 would leave 1 of 3 etcd voters, 2 are needed (c3 is down)" in text
    assert "stopping c2 would leave" in text
    assert "bring the controller that is down back first" in text


def test_of_five_one_may_be_missing() -> None:
    world = built(make_inventory(5))
    world.hosts["c3"].reachable = False
    world.inventory = change_native(world.inventory, CHANGED, "c1", "c2")
    world.execute(world.plan())
    assert world.plan().is_empty


def test_a_change_that_restarts_nothing_is_made_though_a_controller_is_down() -> None:
    world = built(make_inventory(3, 1))
    world.hosts["c3"].reachable = False
    world.inventory = change_host(world.inventory, "c1", labels={"disk": "ssd"})
    world.execute(world.plan())
    assert world.plan().is_empty


# --- changes that can't be -----------------------------------------------------------------------


def change_role(world: World) -> None:
    hosts = tuple(
        replace(host, role=Role.CONTROLLER_WORKER) if host.name == "w1" else host for host in world.inventory.hosts
    )
    world.inventory = replace(world.inventory, hosts=hosts)


def change_pods(world: World) -> None:
    world.inventory = replace(world.inventory, network=Network(pods=("10.99.0.0/16",)))


def change_backend(world: World) -> None:
    world.inventory = change_native(world.inventory, {"server": {"flannel-backend": "host-gw"}})


def encrypt(world: World) -> None:
    world.inventory = change_native(world.inventory, {"server": {"secrets-encryption": True}})


def change_token(world: World) -> None:
    world.inventory = replace(world.inventory, token=Reference("env", "K3S_TOKEN"))
    world.values["${env:K3S_TOKEN}"] = "quite-another-secret-value"


def move_datastore(world: World) -> None:
    world.inventory = change_native(world.inventory, {"server": {"datastore-endpoint": "postgres://db"}})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_role, "w1 is a worker and shall become controller+worker: `bootstrap remove w1` first, then apply"),
        (
            change_pods,
            "c1: cluster-cidr is fixed when the cluster is made: it is 10.42.0.0/16, the inventory says 10.99.0.0/16",
        ),
        (
            change_backend,
            "c1: flannel-backend is fixed when the cluster is made: it is vxlan, the inventory says host-gw",
        ),
        (encrypt, "c1: secrets-encryption is fixed when the cluster is made: it is false, the inventory says true"),
        (change_token, "c1: ${env:K3S_TOKEN} is not the cluster's token; `k3s token rotate` changes it"),
        (move_datastore, "the datastore is sqlite; k3s can't move it to datastore-endpoint"),
    ],
)
def test_a_change_that_the_cluster_can_not_take(change: Callable[[World], None], reason: str) -> None:
    world = built(make_inventory(1, 1))
    change(world)
    assert reason in refused(world)


def test_an_external_datastore_can_not_be_left() -> None:
    """Taken for a new cluster, the hosts would lose their certificates."""
    world = built(change_native(make_inventory(2), {"server": {"datastore-endpoint": "postgres://db"}}))
    world.inventory = change_native(world.inventory, {})
    assert "the datastore of c1, c2 is an external one" in refused(world)
    world.stop("c1", "c2")
    assert "the datastore of c1, c2 is an external one" in refused(world)


def test_all_changes_are_named_at_once() -> None:
    world = built(make_inventory(1, 1))
    change_pods(world)
    change_token(world)
    change_role(world)
    text = refused(world)
    assert "the cluster can't take these changes" in text
    assert text.count("\n        ") >= 2


def test_the_token_that_the_cluster_has_may_be_named() -> None:
    world = built(make_inventory(1, 1))
    change_token(world)
    world.values["${env:K3S_TOKEN}"] = TOKEN
    world.plan()


def test_no_refusal_shows_a_token() -> None:
    world = built(make_inventory(1))
    change_token(world)
    text = refused(world)
    assert TOKEN not in text
    assert "quite-another" not in text


def test_a_controller_shall_not_become_a_worker() -> None:
    world = built(make_inventory(3))
    hosts = tuple(replace(host, role=Role.WORKER) if host.name == "c3" else host for host in world.inventory.hosts)
    world.inventory = replace(world.inventory, hosts=hosts)
    assert "c3 is a controller and shall become worker" in refused(world)


def test_what_k3s_runs_with_counts_more_than_what_its_file_says() -> None:
    """The file was changed behind k3s' back: its Node's annotation tells what it was started with."""
    world = built(make_inventory(1))
    world.edit("c1", CONFIG, "cluster-cidr: 10.99.0.0/16\n")
    change_pods(world)
    assert "it is 10.42.0.0/16, the inventory says 10.99.0.0/16" in refused(world)


def test_without_the_api_the_file_on_the_host_tells() -> None:
    world = built(make_inventory(1))
    world.stop("c1")
    change_pods(world)
    assert "cluster-cidr is fixed" in refused(world)


def test_default_values_written_out_are_no_change() -> None:
    world = built(make_inventory(1))
    world.inventory = replace(world.inventory, network=Network(pods=("10.42.0.0/16",), services=("10.43.0.0/16",)))
    world.inventory = change_native(
        world.inventory, {"server": {"flannel-backend": "vxlan", "secrets-encryption": False}}
    )
    world.plan()


def test_an_installed_service_of_the_other_role_counts_even_when_it_is_stopped() -> None:
    world = World(make_inventory(1, 1))
    world.hosts["w1"].units["k3s"] = ModelUnit()
    assert "w1 is a controller and shall become worker" in refused(world)


# --- node-args -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["server"], {}),
        (["server", "--disable", "traefik", "--disable", "servicelb"], {"disable": ["traefik", "servicelb"]}),
        (["server", "--a", "1", "--a", "2", "--a", "3"], {"a": ["1", "2", "3"]}),
        (
            ["server", "--secrets-encryption", "--cluster-cidr", "10.42.0.0/16"],
            {"secrets-encryption": "true", "cluster-cidr": "10.42.0.0/16"},
        ),
        (["server", "--secrets-encryption", "true"], {"secrets-encryption": "true"}),
        (["server", "--flannel-backend=none", "--token", "********"], {"flannel-backend": "none", "token": "********"}),
        (["server", "--kubelet-arg", "v=2", "stray"], {"kubelet-arg": "v=2"}),
    ],
)
def test_node_args_read_as_keys_and_values(words: list[str], values: dict[str, object]) -> None:
    assert parse_node_args(json.dumps(words)) == values


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[]", "null", "7", '["server", 7, null]', '{"a": 1}'])
def test_node_args_of_any_form_do_no_harm(text: str) -> None:
    assert isinstance(parse_node_args(text), dict)


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: [", "just text"])
def test_a_broken_file_on_a_stopped_controller_does_no_harm(content: str) -> None:
    world = built(make_inventory(1))
    world.stop("c1")
    world.hosts["c1"].files[CONFIG] = FileFacts("0" * 64, "0600", "root:root", 1, content)
    assert not world.plan().is_empty
