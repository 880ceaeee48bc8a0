"""What an apply plans for hosts with MicroK8s, from what was seen of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.distros.microk8s.layout import ARGS, FRAGMENTS, unit
from bootstrap.errors import PlanRefusedError
from bootstrap.model import Disruption, Put, Record, Run, UnitFacts

from .world import (
    ADDRESSES,
    HEAD,
    HIGH,
    SMALL,
    blank,
    change,
    find,
    fresh,
    load,
    member,
    members,
    plan,
    steps,
    titles,
    with_snap,
)

LATER = HEAD.replace("1.36", "1.37")


# --- new hosts -----------------------------------------------------------------------------------


def test_a_new_cluster_is_founded_and_joined_by_one_controller_after_the_other_then_workers(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    made = plan(inventory, *(blank(host.name) for host in inventory.hosts))
    order = [stage.title for stage in made.stages]
    assert order == [
        "install the snap on new hosts",
        "found the cluster on one",
        "let controllers join",
        "join controllers, one at a time",
        "let workers join",
        "join workers",
        "after the last change",
    ]
    joining = made.stages[3]
    assert joining.hosts() == ("two", "three")
    assert joining.at_once == 1
    assert joining.critical


def test_a_join_is_proved_by_the_cluster_before_anything_else_is_done(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    made = plan(inventory, *(blank(host.name) for host in inventory.hosts))
    names = titles(made, "two")
    joined = names.index("join as a controller (microk8s join)")
    proof = names.index("wait until the cluster counts it in: node ready, listed by dqlite")
    assert names.index("note what is in force here") > proof > joined
    step = find(made, "wait until the cluster counts it in")
    assert step.on == "one"
    assert f"address: {ADDRESSES['two']}:19001" in step.action.script  # type: ignore[union-attr]


def test_kubelets_arguments_are_put_in_place_after_a_join_which_overwrites_them(tmp_path: Path) -> None:
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90'}}}\n")
    names = titles(plan(inventory, blank("one"), blank("two")), "two")
    assert names.index("see that its arguments stand in their files") > names.index("join as a worker (microk8s join)")


def test_a_join_brings_arguments_of_the_host_that_was_asked_which_are_taken_back(tmp_path: Path) -> None:
    hosts = SMALL.replace("role: controller+worker", "role: controller+worker, node_address: 192.168.1.11")
    inventory = load(tmp_path, hosts=hosts)
    made = plan(inventory, blank("one"), blank("two"))
    names = titles(made, "two")
    put, wait = names.index("see that its arguments stand in their files"), names.index("wait until its services run")
    assert put < wait, "a kubelet with another's address never comes up"
    (step,) = [each for each in steps(made, "two") if "arguments stand" in each.title]
    assert isinstance(step.action, Run)
    assert "~--node-ip\n" in str(step.action.stdin)


def test_a_join_token_reaches_no_plan_and_no_argument_of_ours(tmp_path: Path) -> None:
    made = plan(load(tmp_path), blank("one"), blank("two"))
    step = find(made, "join as a worker")
    assert isinstance(step.action, Run)
    assert step.action.stdin == "${saved:join_token}\n"
    assert "${saved" not in step.action.script


def test_the_record_is_begun_before_the_snap_is_installed(tmp_path: Path) -> None:
    made = plan(load(tmp_path), blank("one"), blank("two"))
    names = titles(made, "two")
    assert names.index("begin the record of this host") < names.index("install the snap from 1.36/stable")


def test_a_host_whose_install_was_cut_off_goes_on_from_there(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    names = titles(plan(inventory, member(inventory, "one", ("one",)), fresh("two")), "two")
    assert not [name for name in names if "install the snap" in name or "--purge" in name]
    assert "join as a worker (microk8s join)" in names


def test_a_join_that_did_not_end_well_is_undone_whole(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    others = [member(inventory, name, ("one", "four")) for name in ("one", "four")]
    half = fresh("two", traces=("program", "ha", "launched", "joining"))
    made = plan(inventory, *others, half, blank("three"))
    names = titles(made, "two")
    purge = names.index("remove what is left of an earlier membership (snap remove --purge)")
    assert (
        purge < names.index("install the snap from 1.36/stable") < names.index("join as a controller (microk8s join)")
    )


def test_a_join_of_which_only_the_record_is_missing_is_no_new_join(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    found = members(inventory)
    found[1] = replace(found[1], record=Record("home"))
    made = plan(inventory, *found)
    assert not [name for name in titles(made) if "join" in name or "--purge" in name]
    assert "note what is in force here" in titles(made, "two")


def test_what_dqlite_still_knows_of_a_new_host_is_forgotten_before_its_join(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    found = [member(inventory, name) for name in ("one", "two", "four")]
    made = plan(inventory, *found, blank("three"))
    names = titles(made, "three")
    assert names.index("make the cluster forget it (remove-node --force)") < names.index(
        "join as a controller (microk8s join)"
    )
    step = find(made, "make the cluster forget it")
    assert step.on == "one"
    assert ADDRESSES["three"] in step.action.script  # type: ignore[union-attr]


def test_a_lost_controller_is_replaced_before_one_that_works_is_touched(tmp_path: Path) -> None:
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90'}}}\n", hosts=HIGH)
    before = load(tmp_path, hosts=HIGH)
    found = [member(before, name) for name in ("one", "two", "four")]
    order = [stage.title for stage in plan(inventory, *found, blank("three")).stages]
    assert order.index("replace lost controllers, one at a time") < order.index("update controllers, one at a time")


def test_a_kept_authority_is_taken_before_anybody_joins(tmp_path: Path) -> None:
    text = "microk8s: {pki: {ca.crt: '${env:CA}', ca.key: '${env:KEY}'}}\n"
    made = plan(load(tmp_path, text), blank("one"), blank("two"))
    names = titles(made)
    assert names.index("take the authority in /var/lib/bootstrap/microk8s/pki (refresh-certs)") < names.index(
        "make a join token that lives an hour (add-node)"
    )


def test_ha_off_goes_to_etcd_when_the_cluster_is_made(tmp_path: Path) -> None:
    hosts = "hosts:\n  one: {address: 192.168.1.11, role: controller+worker}\n"
    made = plan(load(tmp_path, "microk8s: {ha: false}\n", hosts=hosts), blank("one"))
    assert "go from dqlite to etcd (disable ha-cluster)" in titles(made)


def test_a_pinned_revision_is_asked_of_the_store(tmp_path: Path) -> None:
    made = plan(load(tmp_path, "microk8s: {revision: 8612}\n"), blank("one"), blank("two"))
    step = find(made, "install the snap from 1.36/stable, revision 8612")
    assert "--revision=8612" in step.action.script  # type: ignore[union-attr]


def test_a_strict_track_is_installed_without_classic(tmp_path: Path) -> None:
    made = plan(load(tmp_path, head=HEAD.replace("1.36", "1.36-strict")), blank("one"), blank("two"))
    assert "--classic" not in find(made, "install the snap").action.script  # type: ignore[union-attr]


# --- members -------------------------------------------------------------------------------------


def test_a_cluster_that_is_as_wanted_needs_nothing(tmp_path: Path) -> None:
    inventory = load(
        tmp_path, "endpoint: 192.168.1.10:16443\nmicrok8s: {args: {kubelet: {--max-pods: '90'}}}\n", hosts=HIGH
    )
    assert plan(inventory, *members(inventory)).is_empty


def test_a_missing_hold_is_put_back_without_a_restart(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    found = members(inventory)
    found[0] = change(found[0], snapd=with_snap("v1.36.1", "1.36/stable", "classic"))
    made = plan(inventory, *found)
    assert titles(made) == ["hold refreshes of the snap"]
    assert steps(made)[0].disruption is Disruption.NONE


def test_changed_arguments_restart_the_one_service_that_reads_them(tmp_path: Path) -> None:
    found = members(load(tmp_path))
    inventory = load(tmp_path, "microk8s: {args: {containerd: {--log-level: warn}}}\n")
    made = plan(inventory, *found)
    changed = [step for step in steps(made, "two") if step.disruption is Disruption.RESTART]
    assert [step.title for step in changed] == ["change arguments and restart containerd"]
    assert isinstance(changed[0].action, Run)
    assert changed[0].action.stdin == "= containerd\n--log-level=warn\n"
    assert changed[0].reason == "containerd: --log-level"


def test_an_argument_that_was_edited_by_hand_is_put_back(tmp_path: Path) -> None:
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90'}}}\n")
    made = plan(inventory, member(inventory, "one"), member(inventory, "two", args={"kubelet": "--max-pods=40\n"}))
    assert "change arguments and restart kubelite" in titles(made, "two")
    assert titles(made, "one") == []


def test_an_argument_that_is_no_longer_wanted_goes_back_to_what_the_snap_ships(tmp_path: Path) -> None:
    found = members(load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90', --v: '4'}}}\n"))
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--v: '4'}}}\n")
    step = next(step for step in steps(plan(inventory, *found), "two") if "change arguments" in step.title)
    assert isinstance(step.action, Run)
    assert "~--max-pods\n" in str(step.action.stdin)
    assert "no --max-pods" in step.reason


def test_the_fragment_is_written_when_its_arguments_are_in_force_so_that_a_cut_hides_nothing(tmp_path: Path) -> None:
    found = members(load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90'}}}\n"))
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '80'}}}\n")
    names = titles(plan(inventory, *found), "two")
    assert names.index(f"write {FRAGMENTS}/kubelet") > names.index("change arguments and restart kubelite")


def test_a_restart_that_is_not_on_record_is_done(tmp_path: Path) -> None:
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90'}}}\n")
    found = members(inventory)
    known = {word: value for word, value in (found[1].record or Record()).applied.items() if word != "args:kubelite"}
    found[1] = replace(found[1], record=Record("home", applied=known))
    step = next(step for step in steps(plan(inventory, *found), "two") if "change arguments" in step.title)
    assert "not on record" in step.reason


def test_a_new_name_goes_into_the_certificate_of_each_controller(tmp_path: Path) -> None:
    found = members(load(tmp_path, hosts=HIGH))
    inventory = load(tmp_path, "endpoint: k8s.example.com:16443\n", hosts=HIGH)
    made = plan(inventory, *found)
    names = [step.host for step in steps(made) if "put names into" in step.title]
    assert names == ["one", "two", "three"]
    assert "refresh-certs --cert server.crt" in find(made, "put names into").action.script  # type: ignore[union-attr]
    assert "k8s.example.com" in find(made, "put names into").reason


def test_a_name_that_is_in_the_template_only_is_not_taken_for_one_of_the_certificate(tmp_path: Path) -> None:
    inventory = load(tmp_path, "endpoint: k8s.example.com:16443\n")
    found = members(inventory)
    known = {word: value for word, value in (found[0].record or Record()).applied.items() if word != "names"}
    found[0] = replace(found[0], record=Record("home", applied=known))
    assert "put names into the API's certificate (refresh-certs)" in titles(plan(inventory, *found), "one")


def test_a_registry_restarts_nothing(tmp_path: Path) -> None:
    found = members(load(tmp_path))
    inventory = load(tmp_path, 'microk8s: {registries: {docker.io: "server = \\"https://m.example.com\\""}}\n')
    made = plan(inventory, *found)
    assert {step.disruption for step in steps(made)} == {Disruption.NONE}
    assert f"write {ARGS}/certs.d/docker.io/hosts.toml" in titles(made, "two")


def test_a_registry_that_is_taken_out_is_removed(tmp_path: Path) -> None:
    found = members(load(tmp_path, 'microk8s: {registries: {docker.io: "server = \\"https://m.example.com\\""}}\n'))
    made = plan(load(tmp_path), *found)
    assert f"remove {ARGS}/certs.d/docker.io/hosts.toml" in titles(made, "two")


def test_keys_of_the_launch_configuration_are_handed_over_again(tmp_path: Path) -> None:
    found = members(load(tmp_path))
    made = plan(load(tmp_path, "microk8s: {fragment: {extraKubeliteEnv: {GODEBUG: x}}}\n"), *found)
    names = titles(made, "two")
    assert names.index("hand the launch configuration over again") > names.index("write /etc/microk8s.yaml")
    assert "wait until the launch configuration is applied" in names


def test_services_that_do_not_run_are_started(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    found = members(inventory)
    found[2] = replace(
        change(found[2], nodes=None, status={}),
        units={**found[2].units, unit("kubelite"): UnitFacts("loaded", "inactive", "dead", "disabled")},
    )
    assert titles(plan(inventory, *found), "three")[0] == "start MicroK8s"


# --- another version -----------------------------------------------------------------------------


def test_the_next_minor_comes_by_a_refresh_with_a_drain_controllers_first(tmp_path: Path) -> None:
    found = members(load(tmp_path, hosts=HIGH))
    made = plan(load(tmp_path, hosts=HIGH, head=LATER), *found)
    order = [stage.title for stage in made.stages]
    assert order.index("update controllers, one at a time") < order.index("update workers")
    assert next(stage for stage in made.stages if stage.title == "update workers").at_once == 1
    names = titles(made, "two")
    wanted = [
        "drain the node",
        "refresh the snap to 1.37/stable",
        "bring the list of add-ons up to date",
        "let the node take pods again",
        "note what is in force here",
    ]
    assert [name for name in names if name in wanted] == wanted


def test_another_channel_of_the_same_minor_is_changed_on_purpose(tmp_path: Path) -> None:
    found = members(load(tmp_path))
    made = plan(load(tmp_path, "microk8s: {channel: 1.36/candidate}\n"), *found)
    assert "refresh the snap to 1.36/candidate" in titles(made, "one")
    assert find(made, "refresh the snap").reason == "it follows 1.36/stable"


@pytest.mark.parametrize(
    ("version", "words"), [("1.38", "one minor at a time, so 1.37 comes first"), ("1.35", "can't go back to 1.35")]
)
def test_minors_are_neither_passed_over_nor_gone_back(tmp_path: Path, version: str, words: str) -> None:
    found = members(load(tmp_path))
    with pytest.raises(PlanRefusedError, match=words):
        plan(load(tmp_path, head=HEAD.replace("1.36", version)), *found)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("network: {pods: [10.244.0.0/16]}\n", "network.pods is fixed"),
        ("network: {services: [10.96.0.0/16]}\n", "network.services is fixed"),
        ("microk8s: {pki: {ca.crt: '${env:CA}', ca.key: '${env:KEY}'}}\n", "pki.ca.crt is fixed"),
    ],
)
def test_what_is_fixed_when_the_cluster_is_made_is_refused_later(tmp_path: Path, text: str, words: str) -> None:
    found = members(load(tmp_path))
    with pytest.raises(PlanRefusedError, match=words):
        plan(load(tmp_path, text), *found)


def test_a_lone_node_does_not_go_from_dqlite_to_etcd(tmp_path: Path) -> None:
    hosts = "hosts:\n  one: {address: 192.168.1.11, role: controller+worker}\n"
    found = members(load(tmp_path, hosts=hosts))
    with pytest.raises(PlanRefusedError, match="would lose everything on the way to etcd"):
        plan(load(tmp_path, "microk8s: {ha: false}\n", hosts=hosts), *found)


def test_the_strict_snap_does_not_become_a_classic_one(tmp_path: Path) -> None:
    found = members(load(tmp_path))
    with pytest.raises(PlanRefusedError, match="has the classic snap"):
        plan(load(tmp_path, head=HEAD.replace("1.36", "1.36-strict")), *found)


def test_a_worker_does_not_become_a_controller_by_itself(tmp_path: Path) -> None:
    found = members(load(tmp_path))
    hosts = "hosts:\n" + "".join(
        f"  {n}: {{address: {ADDRESSES[n]}, role: controller+worker}}\n" for n in ("one", "two", "three")
    )
    with pytest.raises(PlanRefusedError, match="two is a worker and shall become controller"):
        plan(load(tmp_path, hosts=hosts), *found, blank("three"))


def test_a_microk8s_of_somebody_elses_is_not_erased_to_make_it_a_worker(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    with pytest.raises(PlanRefusedError, match="two has a MicroK8s of its own"):
        plan(inventory, member(inventory, "one", ("one",)), fresh("two", begun=False))


def test_two_clusters_are_not_taken_for_one(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    strangers = [fresh(name, begun=False) for name in ("one", "two")]
    with pytest.raises(PlanRefusedError, match="their CAs differ"):
        plan(inventory, *strangers, blank("three"), blank("four"))


def test_nothing_is_founded_beside_a_microk8s_that_does_not_answer(tmp_path: Path) -> None:
    silent = fresh("two", begun=False, nodes=None, status={})
    inventory = load(tmp_path, hosts=HIGH)
    with pytest.raises(PlanRefusedError, match="no record of this program"):
        plan(inventory, blank("one"), silent, blank("three"), blank("four"))


def test_a_cluster_that_others_made_is_taken_over(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = plan(inventory, *(member(inventory, name, recorded=False) for name in ("one", "two")))
    assert not [step for step in steps(made) if step.disruption is not Disruption.NONE]
    assert set(titles(made)) == {"write the record of this run"}


def test_a_restart_that_would_cost_the_quorum_is_refused(tmp_path: Path) -> None:
    before = load(tmp_path, hosts=HIGH)
    found = [member(before, name) for name in ("one", "two", "four")]
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--max-pods: '90'}}}\n", hosts=HIGH)
    with pytest.raises(PlanRefusedError, match="can't be restarted now"):
        plan(inventory, *found, unreachable=("three",))


def test_a_controller_that_left_by_hand_joins_again(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    found = [member(inventory, name, ("one", "two", "four")) for name in ("one", "two", "four")]
    gone = replace(fresh("three"), record=Record("home", applied={"snap": "x"}))
    made = plan(inventory, *found, gone)
    assert "join as a controller (microk8s join)" in titles(made, "three")


def test_a_standby_has_no_vote_to_lose(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    roles = {ADDRESSES["one"]: "voter", ADDRESSES["two"]: "voter", ADDRESSES["three"]: "standby"}
    found = [
        change(each, status={**each.values["status"], "members": roles}) if "status" in each.values else each
        for each in members(inventory)
    ]
    from bootstrap.distros.microk8s.cluster import Cluster

    from .world import make_input

    assert set(Cluster(make_input(inventory, *found)).voters) == {"one", "two"}


# --- labels --------------------------------------------------------------------------------------


def test_labels_go_through_the_api_for_a_join_overwrites_what_kubelet_is_told(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    inventory = load(tmp_path, hosts=(tmp_path / "inventory.yaml").read_text().partition("hosts:")[1] + HIGH_LABELLED)
    made = plan(inventory, blank("one"), blank("two"))
    step = find(made, "set labels of the node")
    assert step.on == "one"
    assert "disk=ssd" in step.action.script  # type: ignore[union-attr]


HIGH_LABELLED = """
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, labels: {disk: ssd}}
"""


def test_a_plan_holds_no_argument_that_came_from_a_secret(tmp_path: Path) -> None:
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--cert: '${env:SECRET}'}}}\n")
    found = members(load(tmp_path))
    step = next(step for step in steps(plan(inventory, *found), "two") if "change arguments" in step.title)
    assert isinstance(step.action, Run)
    assert step.reason.endswith("--cert")
    puts = [each.action for each in steps(plan(inventory, *found), "two") if isinstance(each.action, Put)]
    assert all(action.mode == "0600" for action in puts if "${env:SECRET}" in action.content)
