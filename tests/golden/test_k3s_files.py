"""What each host gets, file by file, for inventories of every shape."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bootstrap.distros import find_driver
from bootstrap.distros.k3s.keys import keys
from bootstrap.inventory import load_inventory
from bootstrap.model import Artifact, Inventory
from bootstrap.render import compare_tree, render, write_tree

CASES = sorted(path.parent for path in Path(__file__).parent.glob("k3s/*/inventory.yaml"))
assert CASES
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def load(case: Path) -> tuple[Inventory, tuple[Artifact, ...]]:
    inventory = load_inventory(case / "inventory.yaml", {})
    return inventory, render(inventory, find_driver("k3s").templates(inventory))


@each_case
def test_the_rendered_tree_is_as_committed(case: Path, updates_golden: bool) -> None:
    inventory, artifacts = load(case)
    if updates_golden:
        write_tree(artifacts, case / "rendered" / inventory.cluster)
    assert compare_tree(artifacts, case / "rendered" / inventory.cluster) == []


@each_case
def test_every_key_is_one_that_the_host_s_k3s_knows(case: Path) -> None:
    inventory, artifacts = load(case)
    for artifact in artifacts:
        if "/etc/rancher/k3s/config.yaml" in artifact.path:
            written = yaml.safe_load(artifact.content) or {}
            controls = inventory.host(artifact.host).role.controls
            unknown = [name for name in written if not (keys()[name].server if controls else keys()[name].agent)]
            assert unknown == [], f"{artifact.host}: {artifact.path}"


@each_case
def test_no_key_stands_in_two_files_of_a_host(case: Path) -> None:
    _, artifacts = load(case)
    places: dict[tuple[str, str], str] = {}
    for artifact in artifacts:
        if "/etc/rancher/k3s/config.yaml" in artifact.path:
            for name in yaml.safe_load(artifact.content) or {}:
                assert places.setdefault((artifact.host, name), artifact.path) == artifact.path


@each_case
def test_files_with_references_are_for_root_alone(case: Path) -> None:
    _, artifacts = load(case)
    assert [a.path for a in artifacts if a.has_references and not a.path.startswith("/usr/") and a.mode != "0600"] == []


@each_case
def test_every_host_gets_one_configuration_with_a_token_by_reference(case: Path) -> None:
    inventory, artifacts = load(case)
    for host in inventory.hosts:
        (config,) = (a for a in artifacts if (a.host, a.path) == (host.name, "/etc/rancher/k3s/config.yaml"))
        assert re.search(r"^token: '\$\{\w+:[^}]+\}'$", config.content, re.MULTILINE)


@each_case
def test_exactly_one_host_of_a_new_cluster_founds_it(case: Path) -> None:
    inventory, artifacts = load(case)
    joins = {a.host: yaml.safe_load(a.content) or {} for a in artifacts if a.path.endswith("/10-join.yaml")}
    assert set(joins) == {host.name for host in inventory.hosts}
    founders = [host for host, join in joins.items() if "server" not in join]
    controllers = [host.name for host in inventory.controllers]
    assert founders == (controllers if case.name == "external-datastore" else controllers[:1])
    assert all("cluster-init" not in join for host, join in joins.items() if host != controllers[0])


@each_case
def test_shells_accept_the_install_script(case: Path) -> None:
    _, artifacts = load(case)
    for artifact in artifacts:
        if artifact.path.endswith(".sh"):
            done = subprocess.run(["sh", "-n"], input=artifact.content, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), artifact.host


def test_an_update_removes_what_no_artifact_stands_for(tmp_path: Path) -> None:
    case = tmp_path / "case"
    shutil.copytree(CASES[0], case)
    inventory, artifacts = load(case)
    tree = case / "rendered" / inventory.cluster
    stale = tree / "gone" / "etc" / "stale.yaml"
    os.makedirs(stale.parent)
    stale.write_text("x")
    assert compare_tree(artifacts, tree) == ["gone/etc/stale.yaml belongs to nothing any more"]
    write_tree(artifacts, tree)
    assert compare_tree(artifacts, tree) == []
    assert not (tree / "gone").exists()
