"""What each kubeadm host gets, file by file, for inventories of every shape; the real kubeadm takes the documents."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from platformdirs import user_cache_path

from bootstrap.distros import find_driver
from bootstrap.distros.kubeadm import layout
from bootstrap.inventory import load_inventory
from bootstrap.model import Artifact, Inventory
from bootstrap.render import compare_tree, render, write_tree

EXAMPLE = Path(__file__).parents[2] / "examples/kubeadm/inventories/home.yaml"
CASES = sorted(path.parent for path in Path(__file__).parent.glob("kubeadm/*/inventory.yaml"))
assert CASES
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
DUMMIES = {
    "${saved:join_token}": "abcdef.0123456789abcdef",
    "${saved:ca_hash}": f"sha256:{'0' * 64}",
    "${saved:certificate_key}": "0" * 64,
    "${env:KUBEADM_TOKEN}": "abcdef.0123456789abcdef",
    "${secret:kubeadm.token}": "abcdef.0123456789abcdef",
}


def load(path: Path) -> tuple[Inventory, tuple[Artifact, ...]]:
    inventory = load_inventory(path, {})
    return inventory, render(inventory, find_driver("kubeadm").templates(inventory))


def load_case(case: Path) -> tuple[Inventory, tuple[Artifact, ...]]:
    return load(case / "inventory.yaml")


@each_case
def test_the_rendered_tree_is_as_committed(case: Path, updates_golden: bool) -> None:
    inventory, artifacts = load_case(case)
    if updates_golden:
        write_tree(artifacts, case / "rendered" / inventory.cluster)
    assert compare_tree(artifacts, case / "rendered" / inventory.cluster) == []


@each_case
def test_files_with_references_are_for_root_alone_but_for_certificates(case: Path) -> None:
    _, artifacts = load_case(case)
    assert [
        a.path
        for a in artifacts
        if a.has_references and not a.path.startswith("/usr/") and a.mode != "0600" and not a.path.endswith(".crt")
    ] == []


@each_case
def test_a_controller_has_its_configuration_and_every_host_but_the_founder_a_join(case: Path) -> None:
    inventory, artifacts = load_case(case)
    hosts = {path: [a.host for a in artifacts if a.path == path] for path in (layout.CONFIG, layout.JOIN)}
    assert hosts[layout.CONFIG] == [host.name for host in inventory.controllers]
    assert hosts[layout.JOIN] == [host.name for host in inventory.hosts if host != inventory.controllers[0]]


@each_case
def test_a_host_is_named_and_tainted_as_the_inventory_says(case: Path) -> None:
    inventory, artifacts = load_case(case)
    for artifact in artifacts:
        if artifact.path in (layout.CONFIG, layout.JOIN):
            first = next(yaml.safe_load_all(artifact.content))
            assert first["nodeRegistration"]["name"] == artifact.host
            role = inventory.host(artifact.host).role
            keys = {taint["key"] for taint in first["nodeRegistration"]["taints"]}
            assert ("node-role.kubernetes.io/control-plane" in keys) == (role.controls and not role.takes_work)
            assert first["kind"] == ("InitConfiguration" if artifact.path == layout.CONFIG else "JoinConfiguration")
            assert ("controlPlane" in first) == (artifact.path == layout.JOIN and role.controls)


@each_case
def test_what_yaml_we_write_says_whose_it_is(case: Path) -> None:
    _, artifacts = load_case(case)
    for artifact in artifacts:
        if artifact.path.endswith((".yaml", ".toml")) and artifact.path != layout.CRICTL_CONFIG:
            own = artifact.path.startswith(layout.PATCHES) and artifact.path != layout.KUBELET_PATCH
            told = artifact.content.startswith("# ") and (
                f"{artifact.host} " in artifact.content.split("\n")[0] or "certs.d" in artifact.path
            )
            assert told or own, artifact.path


@each_case
def test_shells_accept_the_scripts(case: Path) -> None:
    _, artifacts = load_case(case)
    scripts = [artifact for artifact in artifacts if artifact.path.endswith(".sh")]
    assert scripts
    for artifact in scripts:
        done = subprocess.run(["sh", "-n"], input=artifact.content, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), artifact.host


@each_case
def test_containerd_and_cni_can_read_their_files(case: Path) -> None:
    inventory, artifacts = load_case(case)
    for artifact in artifacts:
        if artifact.path.endswith(".toml"):
            tomllib.loads(artifact.content)
        if artifact.path == layout.CONTAINERD_CONFIG:
            config = tomllib.loads(artifact.content)
            old = str(inventory.native.get("versions", {}).get("containerd", "2")).startswith("1")
            assert config["version"] == (2 if old else 3)
            assert re.search(r"pause:3\.10\.\d", artifact.content)
        if artifact.path == layout.CONFLIST:
            assert json.loads(artifact.content)["plugins"][0]["type"] == "bridge"


def find_kubeadm() -> str:
    """The real program: from PATH, or where the builder of the tests' Kubernetes puts it; empty when there is none."""
    built = user_cache_path("bootstrap") / "kubernetes/v1.36.3/kubeadm"
    return shutil.which("kubeadm") or (str(built) if os.access(built, os.X_OK) else "")


def fill(text: str) -> str:
    for reference, dummy in DUMMIES.items():
        text = text.replace(reference, dummy)
    return text


ACCEPTED = [case / "inventory.yaml" for case in CASES if case.name != "dual-stack"]  # v1.37, of which it knows nothing


@pytest.mark.parametrize(
    "path", [*ACCEPTED, EXAMPLE], ids=lambda path: "example" if path == EXAMPLE else path.parent.name
)
def test_the_real_kubeadm_takes_every_document(path: Path, tmp_path: Path) -> None:
    kubeadm = find_kubeadm()
    if not kubeadm:
        pytest.skip("there is no kubeadm here, neither on PATH nor built by tests/kubernetes/build.py")
    _, artifacts = load(path)
    documents = [artifact for artifact in artifacts if artifact.path in (layout.CONFIG, layout.JOIN)]
    assert documents
    for artifact in documents:
        file = tmp_path / "kubeadm.yaml"
        file.write_text(fill(artifact.content))
        assert "${" not in file.read_text()
        done = subprocess.run([kubeadm, "config", "validate", "--config", str(file)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), f"{artifact.host} {artifact.path}"
