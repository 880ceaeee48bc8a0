"""Who founds, who joins, what is changed, undone and refused: facts in, plan out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap.distros.k0s.dynamic import keep_text, make_object
from bootstrap.distros.k0s.layout import CONFIG, TOKEN, unit_path
from bootstrap.errors import PlanRefusedError
from bootstrap.model import Disruption, HostFacts, Inventory, Plan, Put, Record, Run, UnitFacts
from tests.k0s_plan.world import (
    HIGH,
    blank,
    load,
    make_input,
    member,
    node,
    plan,
    steps,
    text_file,
    titles,
    unit_text,
)

ALONE = "hosts:\n  one: {address: 192.168.1.11, role: controller+worker, k0s: {noTaints: true}}\n"
DOWN = UnitFacts("loaded", "inactive", "dead", "enabled")


# --- found and join ------------------------------------------------------------------------------


def test_a_new_cluster_is_founded_by_the_first_controller_and_joined_by_the_others(tmp_path: Path) -> None:
    made = plan(load(tmp_path), blank("one"), blank("two"), blank("three"))
    order = [stage.title for stage in made.stages]
    assert order == ["prepare new hosts", "found the cluster on one", "join workers", "after the last change"]
    own = titles(made, "one")
    assert own.index(f"validate {CONFIG}") < own.index(f"write {CONFIG}") < own.index("start k0scontroller")
    assert "start k0sworker" in titles(made, "two")


def test_controllers_join_one_at_a_time_before_workers(tmp_path: Path) -> None:
    made = plan(load(tmp_path, hosts=HIGH), *map(blank, ("one", "two", "three", "four")))
    order = [stage.title for stage in made.stages]
    assert order.index("join controllers, one at a time") < order.index("join workers")
    (stage,) = [stage for stage in made.stages if stage.title.startswith("join controllers")]
    assert (stage.at_once, stage.critical, stage.hosts()) == (1, True, ("two", "three"))


def test_each_joiner_has_a_token_of_its_own_that_ends_with_the_join(tmp_path: Path) -> None:
    made = plan(load(tmp_path), blank("one"), blank("two"), blank("three"))
    minted = [step.action.save_as for step in steps(made) if isinstance(step.action, Run) and step.action.save_as]
    assert minted == [("join_token_two", "join_token_id_two"), ("join_token_three", "join_token_id_three")]
    (file,) = [step.action for step in steps(made, "two") if isinstance(step.action, Put) and step.action.path == TOKEN]
    assert (file.content, file.mode) == ("${saved:join_token_two}\n", "0600")
    own = titles(made, "two")
    assert (
        own.index("wait until the node is ready")
        < own.index(f"overwrite {TOKEN}")
        < own.index("invalidate the join token")
    )
    for step in steps(made, "two"):
        assert not isinstance(step.action, Run) or "${saved:join_token_two}" not in step.action.script


def test_the_founder_is_told_of_no_token_and_joiners_are(tmp_path: Path) -> None:
    made = plan(load(tmp_path), blank("one"), blank("two"), blank("three"))
    scripts = {
        step.host: step.action.script
        for step in steps(made)
        if isinstance(step.action, Run) and step.title.startswith("install the service")
    }
    assert "--token-file" not in scripts["one"]
    assert f"--token-file={TOKEN}" in scripts["two"]
    assert "--enable-worker=true" in scripts["one"]


def test_no_cluster_is_founded_while_a_controller_is_away(tmp_path: Path) -> None:
    with pytest.raises(PlanRefusedError, match="two can't be reached"):
        plan(load(tmp_path, hosts=HIGH), blank("one"), blank("three"), blank("four"), unreachable=("two",))


def test_a_founding_that_did_not_end_is_undone_first(tmp_path: Path) -> None:
    broken = blank("one", traces=("etcd", "authority", "unfinished"))
    made = plan(load(tmp_path), broken, blank("two"), blank("three"))
    own = titles(made, "one")
    assert own[0].startswith("undo what is left")
    assert "start k0scontroller" in own


def test_a_founding_whose_api_answers_did_end(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    up = member(inventory, "one", ("one",), recorded=False, traces=("etcd", "authority", "kubelet", "unfinished"))
    made = plan(inventory, up, blank("two"), blank("three"))
    assert not any(title.startswith("undo") for title in titles(made, "one"))
    assert "note that the join ended well, and leave no token behind" in titles(made, "one")
    assert not any(stage.title.startswith("found") for stage in made.stages)


def test_with_a_custom_network_nodes_are_waited_for_but_not_for_their_network(tmp_path: Path) -> None:
    inventory = load(tmp_path, "k0s: {config: {network: {provider: custom}}}\n")
    made = plan(inventory, blank("one"), blank("two"), blank("three"))
    assert "wait until the node is there" in titles(made, "two")


# --- nothing to do, adoption ---------------------------------------------------------------------


def test_a_cluster_that_is_as_wanted_needs_nothing(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = plan(inventory, *(member(inventory, name) for name in ("one", "two", "three")))
    assert made.is_empty, titles(made)


def test_controllers_without_work_have_no_node_and_need_none(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    made = plan(inventory, *(member(inventory, name) for name in ("one", "two", "three", "four")))
    assert not any(step.disruption is not Disruption.NONE for step in steps(made)), titles(made)


def adopted(inventory: Inventory, name: str, **options: Any) -> HostFacts:
    """As k0sctl has made it: the same document in its own spelling, and no record."""
    facts = member(inventory, name, recorded=False, **options)
    if CONFIG in facts.files:
        document = yaml.safe_load(facts.files[CONFIG].content or "")
        spelled = "# generated-by-k0sctl 2026-11-01T10:00:00Z\n" + yaml.safe_dump(document, sort_keys=True, indent=4)
        facts = replace(facts, files={**facts.files, CONFIG: text_file(spelled, "0600")})
    return facts


def test_a_cluster_that_k0sctl_has_made_is_taken_over_without_a_restart(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = plan(inventory, *(adopted(inventory, name) for name in ("one", "two", "three")))
    assert {step.disruption for step in steps(made)} == {Disruption.NONE}
    assert not any("restart" in title or "install" in title or CONFIG in title for title in titles(made)), titles(made)


def test_taking_over_names_what_differs_and_restarts_for_that_alone(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    other = adopted(inventory, "two", flags=["--data-dir=/var/lib/k0s", "--profile=other"])
    made = plan(inventory, adopted(inventory, "one"), other, adopted(inventory, "three"))
    (install,) = [step for step in steps(made) if step.title.startswith("install the service")]
    assert install.host == "two"
    assert "--profile=other is too much" in install.reason
    assert install.disruption is Disruption.REINSTALL
    own = titles(made, "two")
    assert own[0] == "note that k0s is to be restarted"
    assert own.index("restart k0sworker") > own.index(install.title)


# --- changes -------------------------------------------------------------------------------------


def test_a_changed_field_is_validated_and_restarts_controllers_alone(tmp_path: Path) -> None:
    before = load(tmp_path)
    facts = [member(before, name) for name in ("one", "two", "three")]
    made = plan(load(tmp_path, "k0s: {config: {telemetry: {enabled: true}}}\n"), *facts)
    own = titles(made, "one")
    assert own.index(f"validate {CONFIG}") < own.index(f"write {CONFIG}") < own.index("restart k0scontroller")
    (restart,) = [step for step in steps(made) if step.title.startswith("restart")]
    assert "spec.telemetry" in restart.reason


def test_a_changed_flag_makes_the_service_anew_on_its_host_alone(tmp_path: Path) -> None:
    before = load(tmp_path)
    facts = [member(before, name) for name in ("one", "two", "three")]
    hosts = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, k0s: {installFlags: [--debug=true]}}
  three: {address: 192.168.1.13}
"""
    made = plan(load(tmp_path, hosts=hosts), *facts)
    changed = {step.host for step in steps(made) if step.disruption is not Disruption.NONE}
    assert changed == {"two"}
    (install,) = [step for step in steps(made) if step.title.startswith("install the service")]
    assert "--debug=true is missing" in install.reason


def test_a_label_goes_through_the_api_and_restarts_nothing(tmp_path: Path) -> None:
    before = load(tmp_path)
    facts = [member(before, name) for name in ("one", "two", "three")]
    hosts = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, labels: {disk: ssd}, taints: ["a=b:NoSchedule"]}
  three: {address: 192.168.1.13}
"""
    made = plan(load(tmp_path, hosts=hosts), *facts)
    (step,) = [step for step in steps(made) if step.title.startswith("set ")]
    assert (step.host, step.on) == ("two", "one")
    assert {step.disruption for step in steps(made)} == {Disruption.NONE}


def test_a_restart_that_was_cut_off_is_made_good(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    facts = [member(inventory, name) for name in ("one", "two", "three")]
    facts[0] = replace(facts[0], record=Record("home", applied={"k0s": "of old"}))
    made = plan(inventory, *facts)
    (restart,) = [step for step in steps(made) if step.title == "restart k0scontroller"]
    assert "not on record" in restart.reason


def test_a_process_with_other_flags_than_its_service_is_restarted(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    facts = [member(inventory, name) for name in ("one", "two", "three")]
    seen = {**facts[1].values["status"], "Args": ["/usr/local/bin/k0s", "worker", "--debug=true"]}
    facts[1] = replace(facts[1], values={**facts[1].values, "status": seen})
    made = plan(inventory, *facts)
    (restart,) = [step for step in steps(made) if step.title.startswith("restart")]
    assert restart.host == "two"
    assert "it runs with other flags" in restart.reason


def test_another_program_goes_to_controllers_before_workers(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    old = "v1.36.2+k0s.0"
    facts = [member(inventory, name, version=old) for name in ("one", "two", "three")]
    facts = [
        replace(
            each, files={k: replace(f, sha256="cd" * 32) if k.endswith("bin/k0s") else f for k, f in each.files.items()}
        )
        for each in facts
    ]
    made = plan(inventory, *facts)
    order = [stage.title for stage in made.stages]
    assert order.index("update controllers, one at a time") < order.index("update workers")
    assert [step.host for step in steps(made) if step.title.startswith("restart")] == ["one", "two", "three"]
    assert not any("drain" in title for title in titles(made))


def test_another_minor_empties_the_node_first(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    facts = [member(inventory, name, version="v1.35.7+k0s.0") for name in ("one", "two", "three")]
    made = plan(inventory, *facts)
    own = titles(made, "two")
    assert own.index("drain the node") < own.index("restart k0sworker") < own.index("let the node take pods again")


def test_a_stopped_controller_is_started_before_others_are_touched(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    facts = {name: member(inventory, name) for name in ("one", "two", "three", "four")}
    facts["two"] = replace(
        facts["two"],
        units={"k0scontroller": DOWN},
        values={**facts["two"].values, "nodes": None, "members": None, "status": {}},
    )
    made = plan(inventory, *facts.values())
    assert made.stages[0].title == "start controllers that are down"
    assert made.stages[0].hosts() == ("two",)


def test_a_manifest_that_the_inventory_has_no_more_is_taken_away(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    facts = [member(inventory, name) for name in ("one", "two", "three")]
    path = "/var/lib/k0s/manifests/own/a.yaml"
    record = facts[0].record
    assert record is not None
    facts[0] = replace(facts[0], record=replace(record, applied={**record.applied, f"manifest:{path}": "x"}))
    made = plan(inventory, *facts)
    assert f"remove {path}" in titles(made, "one")
    assert {step.disruption for step in steps(made)} == {Disruption.NONE}


# --- replacing and undoing -----------------------------------------------------------------------


def test_a_wiped_controller_leaves_etcd_before_it_joins_again(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    living = [member(inventory, name) for name in ("two", "three", "four")]
    made = plan(inventory, blank("one"), *living)
    own = titles(made, "one")
    assert own.index("take its stale member out of etcd") < own.index("make a join token for a controller")
    (leave,) = [step for step in steps(made) if step.title.startswith("take its stale")]
    assert leave.on == "two"
    assert isinstance(leave.action, Run)
    assert "--peer-address=192.168.1.11" in leave.action.script
    assert not any(stage.title.startswith("found") for stage in made.stages)


def test_a_controller_whose_member_was_taken_out_elsewhere_is_undone_and_joins_again(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    others = ("two", "three", "four")
    living = [member(inventory, name, others) for name in others]
    left = member(inventory, "one", nodes=None, members=None)
    made = plan(inventory, left, *living)
    own = titles(made, "one")
    assert own[0].startswith("undo what is left")
    assert "make a join token for a controller" in own


def test_workers_of_a_control_plane_that_is_gone_are_reset_and_the_plan_says_why(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    made = plan(inventory, blank("one"), member(inventory, "two"), member(inventory, "three"))
    for name in ("two", "three"):
        first = steps(made, name)[0]
        assert "k0s reset" in first.title
        assert "CA of a control plane that is gone" in first.reason
        assert first.disruption is Disruption.REMOVE
    order = [stage.title for stage in made.stages]
    assert order.index("prepare new hosts") < order.index("found the cluster on one") < order.index("join workers")


def test_workers_stay_when_the_kept_ca_is_laid_down_again(tmp_path: Path) -> None:
    keys = ("ca.crt", "ca.key", "sa.key", "sa.pub", "etcd/ca.crt", "etcd/ca.key")
    for key in keys:
        (tmp_path / key.replace("/", "-")).write_text("authority")
    pki = "".join(f"    {key}: ${{file:{key.replace('/', '-')}}}\n" for key in keys)
    inventory = load(tmp_path, f"k0s:\n  pki:\n{pki}")
    workers = [member(inventory, name, ca="${file:ca.crt}") for name in ("two", "three")]
    made = plan(inventory, blank("one"), *workers)
    assert not any("reset" in title for title in titles(made))
    own = titles(made, "one")
    assert own.index("write /var/lib/k0s/pki/ca.key") < own.index("start k0scontroller")


def test_a_worker_of_another_cluster_that_nobody_vouches_for_is_not_erased(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    stranger = member(inventory, "two", recorded=False, ca="of others")
    with pytest.raises(PlanRefusedError, match="two belongs to another k0s cluster"):
        plan(inventory, member(inventory, "one"), stranger, member(inventory, "three"))


def test_a_worker_whose_node_was_deleted_registers_it_by_a_restart(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    founder = member(inventory, "one", nodes={"one": node("one"), "three": node("three")})
    made = plan(inventory, founder, member(inventory, "two"), member(inventory, "three"))
    (restart,) = [step for step in steps(made) if step.title.startswith("restart")]
    assert (restart.host, "its Node is gone" in restart.reason) == ("two", True)


# --- what is refused -----------------------------------------------------------------------------


def test_with_one_controller_down_no_other_is_restarted(tmp_path: Path) -> None:
    before = load(tmp_path, hosts=HIGH)
    facts = [member(before, name) for name in ("one", "two", "four")]
    changed = load(tmp_path, "k0s: {config: {telemetry: {enabled: true}}}\n", hosts=HIGH)
    with pytest.raises(PlanRefusedError) as caught:
        plan(changed, *facts, unreachable=("three",))
    assert "three is down" in caught.value.why


def test_a_lost_quorum_is_told(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    alone = member(inventory, "one", nodes=None, members=None)
    with pytest.raises(PlanRefusedError, match="1 of 3 members"):
        plan(inventory, alone, unreachable=("two", "three", "four"))


@pytest.mark.parametrize(
    ("native", "field"),
    [
        ("k0s: {config: {network: {provider: calico}}}", "network.provider"),
        ("network: {pods: 10.1.0.0/16}", "network.podCIDR"),
        ("network: {services: 10.2.0.0/16}", "network.serviceCIDR"),
        ("network: {domain: home.arpa}", "network.clusterDomain"),
        ("k0s: {config: {api: {port: 7443}}}", "api.port"),
    ],
)
def test_what_is_fixed_when_the_cluster_is_made_is_refused_with_the_reason(
    tmp_path: Path, native: str, field: str
) -> None:
    before = load(tmp_path)
    facts = [member(before, name) for name in ("one", "two", "three")]
    with pytest.raises(PlanRefusedError) as caught:
        plan(load(tmp_path, f"{native}\n"), *facts)
    assert f"{field} is fixed when the cluster is made" in caught.value.why


def test_another_storage_is_refused(tmp_path: Path) -> None:
    before = load(tmp_path, hosts=ALONE)
    with pytest.raises(PlanRefusedError) as caught:
        plan(
            load(
                tmp_path,
                "k0s: {config: {storage: {type: kine}}}\n",
                hosts=ALONE,
            ),
            member(before, "one"),
        )
    assert "storage.type is fixed" in caught.value.why


def test_another_role_is_refused(tmp_path: Path) -> None:
    before = load(tmp_path)
    facts = [member(before, name) for name in ("one", "two", "three")]
    hosts = """\
hosts:
  one: {address: 192.168.1.11, role: controller}
  two: {address: 192.168.1.12, role: controller}
  three: {address: 192.168.1.13, role: controller+worker, k0s: {noTaints: true}}
"""
    with pytest.raises(PlanRefusedError) as caught:
        plan(load(tmp_path, hosts=hosts), *facts)
    assert "one is a controller+worker and shall become controller" in caught.value.why
    assert "three is a worker and shall become controller+worker" in caught.value.why


def test_another_data_folder_is_refused(tmp_path: Path) -> None:
    before = load(tmp_path)
    facts = [member(before, name) for name in ("one", "two", "three")]
    hosts = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, k0s: {dataDir: /srv/k0s}}
  three: {address: 192.168.1.13}
"""
    with pytest.raises(PlanRefusedError) as caught:
        plan(load(tmp_path, hosts=hosts), *facts)
    assert "two: dataDir is fixed" in caught.value.why


def test_controllers_of_two_clusters_are_refused(tmp_path: Path) -> None:
    inventory = load(tmp_path, hosts=HIGH)
    facts = [
        member(inventory, "one"),
        member(inventory, "two", ca="another"),
        member(inventory, "three"),
        member(inventory, "four"),
    ]
    with pytest.raises(PlanRefusedError) as caught:
        plan(inventory, *facts)
    assert "two serves another cluster than one" in caught.value.why


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ("v1.34.9+k0s.0", "one minor at a time"),
        ("v1.37.0+k0s.0", "can't go down"),
        ("v1.36.3+k0s.3", "can't go down"),
    ],
)
def test_a_skipped_minor_and_a_way_back_are_refused(tmp_path: Path, runs: str, reason: str) -> None:
    inventory = load(tmp_path)
    facts = [member(inventory, name, version=runs) for name in ("one", "two", "three")]
    with pytest.raises(PlanRefusedError) as caught:
        plan(inventory, *facts)
    assert reason in caught.value.why


def test_units_are_read_as_k0s_writes_them(tmp_path: Path) -> None:
    inventory = load(tmp_path)
    facts = [member(inventory, name) for name in ("one", "two", "three")]
    host = inventory.host("two")
    words = [
        "worker",
        "--kubelet-extra-args=--hostname-override=two --node-ip=192.168.1.12",
        "--data-dir=/var/lib/k0s",
        f"--token-file={TOKEN}",
    ]
    facts[1] = replace(facts[1], files={**facts[1].files, unit_path(host): text_file(unit_text(words))})
    made = plan(inventory, *facts)
    assert {step.disruption for step in steps(made)} <= {Disruption.NONE}, [step.reason for step in steps(made)]


# --- dynamic configuration -----------------------------------------------------------------------

DYNAMIC = "k0s: {dynamicConfig: true, config: {telemetry: {enabled: %s}}}\n"


def dynamic(tmp_path: Path, before: str, after: str) -> Plan:
    """A plan for a running cluster whose file and object are those of `before`."""
    inventory = load(tmp_path, DYNAMIC % before)
    document = yaml.safe_load(
        next(a.content for a in make_input(inventory, blank("one")).artifacts if a.path == CONFIG)
    )
    facts = [member(inventory, name, cluster_config=make_object(document)) for name in ("one", "two", "three")]
    kept = text_file(keep_text(yaml.safe_dump(document)), "0600")
    facts[0] = replace(facts[0], files={**facts[0].files, CONFIG: kept})
    return plan(load(tmp_path, DYNAMIC % after), *facts)


def test_with_dynamic_configuration_a_controller_keeps_its_own_part_of_the_file(tmp_path: Path) -> None:
    made = plan(load(tmp_path, DYNAMIC % "true"), blank("one"), blank("two"), blank("three"))
    written = [s.action.content for s in steps(made, "one") if isinstance(s.action, Put) and s.action.path == CONFIG]
    whole, kept = (yaml.safe_load(text)["spec"] for text in written)
    assert whole["telemetry"] == {"enabled": True}
    assert set(kept) == {"api", "network", "storage"}
    assert kept["api"] == whole["api"]


def test_what_lives_in_the_cluster_is_changed_there_and_restarts_nothing(tmp_path: Path) -> None:
    made = dynamic(tmp_path, "false", "true")
    (step,) = [step for step in steps(made) if step.title == "change the configuration in the cluster"]
    assert (step.host, "telemetry.enabled" in step.reason) == ("one", True)
    assert isinstance(step.action, Run)
    assert "serviceCIDR" not in (step.action.stdin or "")
    assert {step.disruption for step in steps(made)} == {Disruption.NONE}


def test_a_dynamic_cluster_that_is_as_wanted_needs_nothing(tmp_path: Path) -> None:
    assert dynamic(tmp_path, "true", "true").is_empty
