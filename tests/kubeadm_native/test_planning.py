"""Who founds, who joins, what is undone, and what is refused: facts in, plan out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.kubeadm.layout import BINARIES, CONTAINERD_CONFIG, JOIN, PKI, ROUTES, RUNTIME_FILES
from bootstrap.distros.kubeadm.payloads import PKI_FILES
from bootstrap.distros.kubeadm.probes import API_MANIFEST, CA, KUBELET_CONF, UNFINISHED, parse_members
from bootstrap.driver import PlanInput
from bootstrap.errors import PlanRefusedError
from bootstrap.model import Fetch, FileFacts, Inventory, Lock, LockedFile, Plan, Put, Record, Run, UnitFacts, digest
from bootstrap.render import render
from tests.kubeadm_native.inventories import load, seen

DRIVER = find_driver("kubeadm")
VERSION = "v1.36.3"
PACKAGES = "kubeadm: {runtime: packages, cni: none}\n"
HIGH = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, role: controller+worker}
  three: {address: 192.168.1.13, role: controller+worker}
"""
ENDPOINT = "endpoint: 192.168.1.5\n"
ADDRESSES = {"one": "192.168.1.11", "two": "192.168.1.12", "three": "192.168.1.13"}
CONTROLLER_TRACES = (KUBELET_CONF, API_MANIFEST, CA, "/var/lib/etcd/member")
RUNNING = {"kubelet": UnitFacts("loaded", "active", "running", "enabled")}


def lock(inventory: Inventory) -> Lock:
    files = DRIVER.upstream_files(inventory, ("amd64",))
    return Lock(tuple(LockedFile(f.name, f.version or inventory.version, f.arch, f.url, 7, "ab" * 32) for f in files))


def plan(inventory: Inventory, *facts: Any, unreachable: tuple[str, ...] = ()) -> Plan:
    found = {each.host: each for each in facts}
    locked = lock(inventory)
    artifacts = render(inventory, DRIVER.templates(inventory, found, locked))
    return DRIVER.plan_apply(PlanInput(inventory, artifacts, found, locked, {}, unreachable=unreachable))


def blank(name: str, **values: Any) -> Any:
    return seen(name, ADDRESSES[name], values={"traces": (), "ca": "", "containerd": "1.7.24", **values})


def node(name: str) -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": VERSION}}
    return {"metadata": {"name": name, "uid": name}, "status": status}


def member(name: str, *nodes: str, **values: Any) -> Any:
    """A controller of a running cluster, on record."""
    lines = "\n".join(
        f"{n}1, started, {n}, https://{ADDRESSES[n]}:2380, https://{ADDRESSES[n]}:2379, false" for n in nodes
    )
    known = {
        "traces": CONTROLLER_TRACES,
        "ca": "authority",
        "nodes": {each: node(each) for each in nodes},
        "config_maps": {"kubeadm-config": {}},
        "members": parse_members(lines),
    }
    record = Record("home", applied={"install": "x"})
    return replace(blank(name, **{**known, **values}), units=RUNNING, record=record)


def titles(made: Plan, host: str) -> list[str]:
    return [step.title for stage in made.stages for step in stage.steps if step.host == host]


def test_a_new_cluster_is_founded_by_the_first_controller_and_joined_by_the_others(tmp_path: Path) -> None:
    made = plan(load(tmp_path, PACKAGES), blank("one"), blank("two"), blank("three"))
    order = [stage.title for stage in made.stages]
    assert order[:4] == ["prepare new hosts", "found the cluster on one", "let hosts join", "join workers"]
    assert "found the cluster (kubeadm init)" in titles(made, "one")
    assert "join as a worker (kubeadm join)" in titles(made, "two")
    assert "join as a worker (kubeadm join)" in titles(made, "three")


def test_what_a_joiner_needs_is_saved_and_stands_in_no_file_of_the_plan(tmp_path: Path) -> None:
    made = plan(load(tmp_path, PACKAGES), blank("one"), blank("two"), blank("three"))
    steps = [step for stage in made.stages for step in stage.steps]
    (mint,) = [step.action for step in steps if isinstance(step.action, Run) and step.action.save_as]
    assert mint.save_as == ("join_token", "ca_hash", "certificate_key")
    files = [step.action for step in steps if isinstance(step.action, Put) and step.action.path == JOIN]
    assert len(files) == 2
    assert all("${saved:join_token}" in file.content and file.mode == "0600" for file in files)


def test_controllers_join_one_at_a_time_before_workers(tmp_path: Path) -> None:
    made = plan(load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH), *map(blank, ("one", "two", "three")))
    (stage,) = [stage for stage in made.stages if stage.title.startswith("join controllers")]
    assert (stage.at_once, stage.critical, stage.hosts()) == (1, True, ("two", "three"))


def test_no_cluster_is_founded_while_a_controller_is_away(tmp_path: Path) -> None:
    inventory = load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH)
    with pytest.raises(PlanRefusedError, match="two can't be reached"):
        plan(inventory, blank("one"), blank("three"), unreachable=("two",))


def test_a_control_plane_that_nobody_vouches_for_is_not_erased(tmp_path: Path) -> None:
    stranger = blank("one", traces=CONTROLLER_TRACES)
    with pytest.raises(PlanRefusedError, match="no record of this program"):
        plan(load(tmp_path, PACKAGES), stranger, blank("two"), blank("three"))


def test_an_init_that_did_not_end_is_undone_first(tmp_path: Path) -> None:
    broken = blank("one", traces=(*CONTROLLER_TRACES, UNFINISHED))
    made = plan(load(tmp_path, PACKAGES), broken, blank("two"), blank("three"))
    own = titles(made, "one")
    assert own[0] == "undo what is left of an earlier try"
    assert "found the cluster (kubeadm init)" in own


def test_a_wiped_controller_is_forgotten_before_it_joins_again(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    inventory = load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH)
    made = plan(inventory, blank("one"), member("two", *names), member("three", *names))
    own = titles(made, "one")
    assert own.index("take away its stale node and etcd member") < own.index("join as a controller (kubeadm join)")
    (forget,) = [step for stage in made.stages for step in stage.steps if step.title.startswith("take away")]
    assert forget.place == "two"
    assert not any("kubeadm init" in title for title in own)


def test_a_lost_quorum_is_told(tmp_path: Path) -> None:
    inventory = load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH)
    down = member("one", nodes=None, members=(), config_maps={})
    with pytest.raises(PlanRefusedError, match="1 of 3 members"):
        plan(inventory, down, unreachable=("two", "three"))


def test_controllers_of_two_clusters_are_refused(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    hosts = [member("one", *names), member("two", *names, ca="another"), member("three", *names)]
    with pytest.raises(PlanRefusedError, match="their CAs differ") as caught:
        plan(load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH), *hosts)
    assert "two" in caught.value.why


@pytest.mark.parametrize(
    ("runs", "reason"), [("v1.34.9", "one minor at a time"), ("v1.37.0", "can't go down to v1.36.3")]
)
def test_a_skipped_minor_and_a_way_back_are_refused(tmp_path: Path, runs: str, reason: str) -> None:
    maps = {"kubeadm-config": {"ClusterConfiguration": f"kubernetesVersion: {runs}\nclusterName: home\n"}}
    founder = member("one", "one", config_maps=maps)
    with pytest.raises(PlanRefusedError) as caught:
        plan(load(tmp_path, PACKAGES), founder, blank("two"), blank("three"))
    assert reason in caught.value.why


def test_a_range_is_fixed_when_the_cluster_is_made(tmp_path: Path) -> None:
    text = "networking: {podSubnet: 10.1.0.0/16, serviceSubnet: 10.96.0.0/12}\nclusterName: home\n"
    founder = member("one", "one", config_maps={"kubeadm-config": {"ClusterConfiguration": text}})
    with pytest.raises(PlanRefusedError) as caught:
        plan(load(tmp_path, PACKAGES), founder, blank("two"), blank("three"))
    assert "networking.podSubnet is fixed" in caught.value.why


def test_the_runtime_from_its_releases_comes_as_files_and_runc_as_a_program(tmp_path: Path) -> None:
    made = plan(load(tmp_path, "kubeadm: {cni: none}\n"), blank("one"), blank("two"), blank("three"))
    fetched = {
        step.action.path: step.action.mode
        for stage in made.stages
        for step in stage.steps
        if step.host == "two" and isinstance(step.action, Fetch)
    }
    assert set(RUNTIME_FILES.values()) <= set(fetched)
    assert fetched[RUNTIME_FILES["runc"]] == "0755"


def test_a_host_whose_swap_was_turned_off_gets_it_back(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    found = {name: blank(name, traces=(KUBELET_CONF,)) for name in ADDRESSES}
    artifacts = render(inventory, DRIVER.templates(inventory, found, lock(inventory)))
    made = DRIVER.plan_reset(PlanInput(inventory, artifacts, found, lock(inventory), {}))
    scripts = [step.action.script for stage in made.stages for step in stage.steps if isinstance(step.action, Run)]
    prepare = next(a.content for a in artifacts if a.path.endswith("kubeadm-prepare.sh"))
    assert ": >/var/lib/bootstrap/swap-was-on" in prepare
    assert any("swap-was-on ] || { systemctl unmask --quiet swap.target" in script for script in scripts)


def test_authorities_other_than_the_cluster_has_are_refused(tmp_path: Path) -> None:
    kept = "".join(f"    {name}: ${{env:KEPT}}\n" for name in PKI_FILES)
    inventory = load(tmp_path, f"{ENDPOINT}kubeadm:\n  runtime: packages\n  cni: none\n  pki:\n{kept}")
    files = {f"{PKI}/{name}": "${env:KEPT}\n" for name in PKI_FILES}  # no value is filled in here
    founder = member("one", "one")
    same = replace(founder, files=seen("one", files=files).files)
    assert plan(inventory, same, blank("two"), blank("three"))
    other = replace(founder, files=seen("one", files={**files, f"{PKI}/ca.crt": "of the cluster\n"}).files)
    with pytest.raises(PlanRefusedError) as caught:
        plan(inventory, other, blank("two"), blank("three"))
    assert "pki.ca.crt is fixed" in caught.value.why
    assert "one" in caught.value.why


def test_a_controller_that_was_removed_while_it_was_off_is_undone_and_joins_anew(tmp_path: Path) -> None:
    inventory = load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH)
    off = {"nodes": None, "config_maps": None, "members": ()}
    hosts = [member("one", "one", "two"), member("two", "one", "two"), member("three", **off)]
    found = titles(plan(inventory, *hosts), "three")
    assert "undo what is left of an earlier try" in found
    assert "join as a controller (kubeadm join)" in found
    foreign = member("three", **off, ca="of another cluster")
    with pytest.raises(PlanRefusedError, match="their CAs differ"):
        plan(inventory, *hosts[:2], foreign)


def test_a_dead_host_is_removed_without_waiting_for_its_pods(tmp_path: Path) -> None:
    inventory = load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH)
    found = {name: member(name, "one", "two", "three") for name in ("one", "two")}
    artifacts = render(inventory, DRIVER.templates(inventory, found, lock(inventory)))
    away = PlanInput(inventory, artifacts, found, lock(inventory), {}, unreachable=("three",))
    steps = [step for stage in DRIVER.plan_remove(away, "three").stages for step in stage.steps]
    assert [step.title for step in steps] == ["delete its etcd membership and its node"]
    there = replace(away, facts={**found, "three": member("three", "one", "two", "three")}, unreachable=())
    steps = [step for stage in DRIVER.plan_remove(there, "three").stages for step in stage.steps]
    assert steps[0].title == "drain the node"


def test_joiners_wait_for_the_endpoint_that_they_will_ask(tmp_path: Path) -> None:
    title = "wait until the API answers at the endpoint"
    made = plan(load(tmp_path, ENDPOINT + PACKAGES, hosts=HIGH), *(blank(name) for name in ADDRESSES))
    assert titles(made, "one").index(title) < titles(made, "one").index("make a join token that lives two hours")
    assert title not in titles(plan(load(tmp_path, PACKAGES), *(blank(name) for name in ADDRESSES)), "one")


def test_patches_are_told_to_the_phases_by_the_configuration_alone(tmp_path: Path) -> None:
    """kubeadm refuses `--patches` beside `--config`."""
    patches = "kubeadm: {runtime: packages, cni: none, patches: {kube-apiserver+merge.yaml: 'spec: {}'}}\n"
    made = plan(load(tmp_path, patches), member("one", "one"), blank("two"), blank("three"))
    phases = [
        line
        for stage in made.stages
        for step in stage.steps
        if isinstance(step.action, Run)
        for line in step.action.script.splitlines()
        if "init phase control-plane" in line or "init phase etcd" in line
    ]
    assert len(phases) == 2
    assert not any("--patches" in line for line in phases)


def test_an_upgrade_ignores_what_init_and_join_were_told_to_ignore(tmp_path: Path) -> None:
    ignoring = "kubeadm: {runtime: packages, cni: none, node: {ignorePreflightErrors: [NumCPU, Mem]}}\n"
    nodes = {name: node(name) for name in ADDRESSES}
    for each in nodes.values():
        each["status"]["nodeInfo"]["kubeletVersion"] = "v1.36.1"
    known = {"traces": (KUBELET_CONF, CA), "ca": "authority"}
    worker = replace(blank("two", **known), units=RUNNING, record=Record("home", applied={"install": "x"}))
    made = plan(load(tmp_path, ignoring), member("one", "one", nodes=nodes), worker, blank("three"))
    scripts = [s.action.script for stage in made.stages for s in stage.steps if s.title.startswith("go to v1.36.3")]
    assert [script.split("upgrade ")[1].split()[0] for script in scripts] == ["apply", "node"]
    assert all("--ignore-preflight-errors=NumCPU,Mem" in script for script in scripts)


@pytest.mark.parametrize(("changed", "disruption"), [(ROUTES, "none"), (CONTAINERD_CONFIG, "restart")])
def test_a_plan_tells_of_a_restart_only_where_the_runtime_is_started_anew(
    tmp_path: Path, changed: str, disruption: str
) -> None:
    inventory = load(tmp_path, "kubeadm: {runtime: packages, cni: bridge}\n")
    others = (blank("two"), blank("three"))
    found = {each.host: each for each in (member("one", "one"), *others)}
    artifacts = render(inventory, DRIVER.templates(inventory, found, lock(inventory)))
    texts = {each.path: each for each in artifacts if each.host == "one" and each.path != changed}
    files = {p: FileFacts(digest(a.content), a.mode, a.owner, len(a.content), a.content) for p, a in texts.items()}
    programs = {path: FileFacts("ab" * 32, "0755", "root:root", 7) for path in BINARIES.values()}
    one = replace(member("one", "one"), files={**files, **programs})
    made = plan(inventory, one, *others)
    steps = [step for stage in made.stages for step in stage.steps if step.host == "one"]
    assert [step.action.path for step in steps if isinstance(step.action, Put)][:1] == [changed]
    (prepare,) = [step for step in steps if step.title.startswith("prepare the host")]
    assert prepare.disruption.value == disruption
