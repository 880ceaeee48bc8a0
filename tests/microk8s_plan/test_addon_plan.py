"""What is planned for add-ons, from what MicroK8s tells of them and what was noted."""

from pathlib import Path
from typing import Any

from bootstrap.distros.microk8s.addon_plan import PROVEN
from bootstrap.model import Disruption, HostFacts, Inventory, Plan, Run, Step, Wait

from .world import HIGH, blank, change, find, load, member, members, plan, steps, titles

RANGE = "192.168.1.240-192.168.1.250"
METALLB = f"addons: [dns, {{name: metallb, args: {RANGE}}}]\n"


def noted(**words: str) -> dict[str, str]:
    """Add-ons of the core repository that were enabled with these words, and proved."""
    names = {f"core.{name.replace('_', '-')}": text for name, text in words.items()}
    return {**names, **{f"{name}{PROVEN}": text for name, text in names.items()}}


def running(inventory: Inventory, notes: dict[str, str] | None = None, **values: Any) -> list[HostFacts]:
    """Hosts of a cluster in which what is noted is enabled."""
    enabled = {key.replace(".", "/", 1): True for key in notes or {} if not key.endswith(PROVEN)}
    return [
        change(found, **values) if found.values.get("nodes") else found
        for found in members(inventory, addons={"core/dns": False, "core/metallb": False, **enabled}, notes=notes)
    ]


def addon_steps(made: Plan) -> list[Step]:
    return [step for stage in made.stages if "add-ons" in stage.title for step in stage.steps]


def test_each_is_enabled_after_what_it_needs_and_proved_before_the_next(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [cert-manager, dns]\n")
    made = plan(inventory, blank("one"), blank("two"))
    assert [step.title for step in addon_steps(made)] == [
        "enable dns",
        "wait until dns works",
        "enable cert-manager",
        "wait until cert-manager works",
        "note which add-ons were seen to work",
    ]
    assert all(isinstance(step.action, Wait) for step in addon_steps(made)[1:4:2])


def test_an_add_on_that_nobody_listed_says_who_needs_it(tmp_path: Path) -> None:
    made = plan(load(tmp_path, "addons: [cert-manager]\n"), blank("one"), blank("two"))
    assert find(made, "enable dns").reason == "it is not enabled; cert-manager needs it"


def test_every_command_has_an_end_a_closed_stdin_and_its_whole_path(tmp_path: Path) -> None:
    made = plan(load(tmp_path, METALLB), blank("one"), blank("two"))
    step = find(made, "enable metallb")
    assert isinstance(step.action, Run)
    line = next(line for line in step.action.script.splitlines() if "microk8s enable" in line)
    assert line == f"timeout 1800 /snap/bin/microk8s enable core/metallb {RANGE} </dev/null"


def test_what_it_is_enabled_with_is_noted_before_it_is_so_that_a_cut_hides_nothing(tmp_path: Path) -> None:
    made = plan(load(tmp_path, METALLB), blank("one"), blank("two"))
    action = find(made, "enable metallb").action
    assert isinstance(action, Run)
    assert action.script.index("patch configmap") < action.script.index("microk8s enable")


def test_enabled_and_proved_needs_nothing(tmp_path: Path) -> None:
    inventory = load(tmp_path, METALLB)
    pools = {"default-addresspool": (RANGE,)}
    assert plan(inventory, *running(inventory, noted(dns="", metallb=RANGE), pools=pools)).is_empty


def test_one_that_was_enabled_and_never_proved_is_looked_at_again(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [dns]\n")
    made = plan(inventory, *running(inventory, {"core.dns": ""}))
    assert titles(made) == ["wait until dns works", "note which add-ons were seen to work"]


def test_one_that_is_off_is_enabled_whatever_was_noted(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [dns]\n")
    found = members(inventory, addons={"core/dns": False}, notes=noted(dns=""))
    assert titles(plan(inventory, *found))[0] == "enable dns"


def test_one_that_others_enabled_is_taken_over_as_it_is(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [dns]\n")
    found = members(inventory, addons={"core/dns": True}, notes=None)
    made = plan(inventory, *found)
    assert titles(made) == ["take dns over", "wait until dns works", "note which add-ons were seen to work"]


def test_changed_arguments_are_an_exchange_that_is_shown_as_such(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [{name: dns, args: 1.1.1.1}]\n")
    made = plan(inventory, *running(inventory, noted(dns="9.9.9.9")))
    assert titles(made)[:3] == ["disable dns", "enable dns (1.1.1.1)", "wait until dns works"]
    assert "it was enabled with 9.9.9.9" in steps(made)[0].reason


def test_changed_arguments_of_one_with_data_say_what_is_lost(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [{name: hostpath-storage, args: --reclaim-policy Retain}]\n")
    made = plan(inventory, *running(inventory, noted(hostpath_storage="")))
    step = find(made, "disable hostpath-storage")
    assert step.disruption is Disruption.LOSS
    assert "this loses all volumes of its class" in step.reason
    assert "destroy-storage" in step.action.script  # type: ignore[union-attr]


def test_other_ranges_change_metallbs_pool_in_place(tmp_path: Path) -> None:
    inventory = load(tmp_path, METALLB)
    before = "192.168.1.200-192.168.1.210"
    pools = {"default-addresspool": (before,)}
    made = plan(inventory, *running(inventory, noted(dns="", metallb=before), pools=pools))
    assert titles(made)[0] == f"give metallb the ranges {RANGE}"
    assert not [title for title in titles(made) if title.startswith(("enable", "disable"))]


def test_a_pool_that_was_changed_by_hand_is_seen(tmp_path: Path) -> None:
    inventory = load(tmp_path, METALLB)
    pools = {"default-addresspool": ("10.0.0.1-10.0.0.9",)}
    made = plan(inventory, *running(inventory, noted(dns="", metallb=RANGE), pools=pools))
    assert find(made, "give metallb the ranges").reason.startswith("it has 10.0.0.1-10.0.0.9")


def test_one_that_is_taken_out_is_disabled_with_what_it_loses(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = plan(inventory, *running(inventory, noted(registry="--size 20Gi")))
    assert titles(made) == ["disable registry", "forget what registry was enabled with"]
    assert steps(made)[0].disruption is Disruption.LOSS
    assert "every image in it" in steps(made)[0].reason


def test_dependants_are_disabled_before_what_they_need(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = plan(inventory, *running(inventory, noted(dns="", cert_manager="", hostpath_storage="", registry="")))
    order = [title.removeprefix("disable ") for title in titles(made) if title.startswith("disable")]
    assert order.index("cert-manager") < order.index("dns")
    assert order.index("registry") < order.index("hostpath-storage")


def test_one_that_others_enabled_and_nobody_listed_is_left_alone(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    assert plan(inventory, *members(inventory, addons={"core/dns": True}, notes=None)).is_empty


def test_a_cluster_that_does_not_answer_is_not_taken_for_one_without_add_ons(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [dns]\n")
    found = [change(each, status={}) if "status" in each.values else each for each in members(inventory)]
    assert plan(inventory, *found).is_empty


def test_a_repository_of_ones_own_comes_first_and_once(tmp_path: Path) -> None:
    text = "addons: [mine/thing]\nmicrok8s: {repositories: {mine: {source: https://git.example.com/a.git}}}\n"
    inventory = load(tmp_path, text)
    made = plan(inventory, blank("one"), blank("two"))
    assert [step.title for step in addon_steps(made)][:2] == ["add the repository of add-ons mine", "enable thing"]
    known = {
        **noted(),
        "repository.mine": "https://git.example.com/a.git --force",
        "mine.thing": "",
        "mine.thing.proven": "",
    }
    assert plan(inventory, *members(inventory, addons={"mine/thing": True}, notes=known)).is_empty


def test_one_that_counts_for_its_node_is_enabled_on_each_controller(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [host-access]\n", hosts=HIGH)
    made = plan(inventory, *(blank(host.name) for host in inventory.hosts))
    hosts = [step.host for step in steps(made) if step.title == "enable host-access on this node"]
    assert hosts == ["one", "two", "three"]
    assert plan(inventory, *members(inventory)).is_empty
    gone = plan(load(tmp_path, hosts=HIGH), *members(inventory))
    assert "disable host-access on this node" in titles(gone, "two")


def test_one_that_lists_nodes_does_not_learn_of_new_ones_and_that_is_said(tmp_path: Path) -> None:
    inventory = load(tmp_path, "addons: [observability]\n")
    notes = noted(dns="", hostpath_storage="", observability="")
    enabled = {"core/dns": True, "core/hostpath-storage": True, "core/observability": True}
    one = member(inventory, "one", ("one",), addons=enabled, notes=notes)
    (note,) = plan(inventory, one, blank("two")).notes
    assert "observability watches the nodes that were there" in note
