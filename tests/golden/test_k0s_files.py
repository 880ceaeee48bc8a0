"""What each k0s host gets, file by file, for inventories of every shape; the real k0s and k0sctl take the documents."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bootstrap.distros import find_driver
from bootstrap.distros.k0s import layout
from bootstrap.inventory import load_inventory
from bootstrap.model import Artifact, Inventory
from bootstrap.render import CLUSTER, compare_tree, render, write_tree

EXAMPLE = Path(__file__).parents[2] / "examples/k0s/inventories/home.yaml"
CASES = sorted(path.parent for path in Path(__file__).parent.glob("k0s/*/inventory.yaml"))
assert CASES
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
PATHS = [*(case / "inventory.yaml" for case in CASES), EXAMPLE]
each_path = pytest.mark.parametrize("path", PATHS, ids=lambda path: "example" if path == EXAMPLE else path.parent.name)
VERSION = "v1.36.3+k0s.2"
DUMMIES = {"${secret:vrrp}": "home", "${secret:charts}": "x"}


def load(path: Path) -> tuple[Inventory, tuple[Artifact, ...]]:
    inventory = load_inventory(path, {})
    return inventory, render(inventory, find_driver("k0s").templates(inventory))


def load_case(case: Path) -> tuple[Inventory, tuple[Artifact, ...]]:
    return load(case / "inventory.yaml")


@each_case
def test_the_rendered_tree_is_as_committed(case: Path, updates_golden: bool) -> None:
    inventory, artifacts = load_case(case)
    folder = case / "rendered" / inventory.cluster
    if updates_golden:
        write_tree(artifacts, folder)
    assert compare_tree(artifacts, folder) == []


@each_case
def test_files_with_references_are_for_root_alone_but_for_what_is_public(case: Path) -> None:
    _, artifacts = load_case(case)
    hosts = [artifact for artifact in artifacts if artifact.host != CLUSTER]
    assert [
        a.path for a in hosts if a.has_references and a.mode != "0600" and not a.path.endswith((".crt", ".pub"))
    ] == []


@each_case
def test_a_controller_has_its_configuration_and_every_host_its_flags(case: Path) -> None:
    inventory, artifacts = load_case(case)
    found = {path: [a.host for a in artifacts if a.path == path] for path in (layout.CONFIG, layout.INSTALL_FLAGS)}
    assert found[layout.CONFIG] == [host.name for host in inventory.controllers]
    assert found[layout.INSTALL_FLAGS] == [host.name for host in inventory.hosts]


@each_case
def test_flags_are_sorted_and_spelled_with_their_values(case: Path) -> None:
    _, artifacts = load_case(case)
    for artifact in artifacts:
        if artifact.path == layout.INSTALL_FLAGS:
            flags = [line for line in artifact.content.splitlines() if not line.startswith("#")]
            assert all(re.match(r"--[a-z0-9-]+=.", flag) for flag in flags)
            assert flags == sorted(flags, key=lambda flag: flag.partition("=")[0])
            assert not {"--token-file", "--force"} & {flag.partition("=")[0] for flag in flags}


@each_case
def test_the_type_of_the_storage_is_always_written_out(case: Path) -> None:
    inventory, artifacts = load_case(case)
    configs = [yaml.safe_load(a.content) for a in artifacts if a.path == layout.CONFIG]
    configs.append(read_k0sctl(artifacts)["spec"]["k0s"]["config"])
    assert {config["spec"]["storage"]["type"] for config in configs} == {layout.storage_type(inventory)}


def read_k0sctl(artifacts: tuple[Artifact, ...]) -> dict[str, object] | object:
    """k0sctl.yaml as k0sctl reads it: after it has put its environment in."""
    text = next(artifact.content for artifact in artifacts if artifact.path == layout.K0SCTL)
    return yaml.safe_load(text.replace("$$", "\0").replace("\0", "$"))


@each_case
def test_k0sctl_yaml_holds_no_single_dollar_no_url_of_files_and_no_secret(case: Path) -> None:
    _, artifacts = load_case(case)
    text = next(artifact.content for artifact in artifacts if artifact.path == layout.K0SCTL)
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", text)
    values = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert "${" not in values.replace("$$", "$")
    assert not re.search(r"src: \S*://", values)


@each_case
def test_k0sctl_yaml_names_every_host_its_address_and_its_version(case: Path) -> None:
    inventory, artifacts = load_case(case)
    spec = read_k0sctl(artifacts)["spec"]
    assert spec["k0s"]["version"] == inventory.version
    assert [host["hostname"] for host in spec["hosts"]] == [host.name for host in inventory.hosts]
    remarks = next(artifact.content for artifact in artifacts if artifact.path == layout.K0SCTL)
    known = [host for host in spec["hosts"] if "privateAddress" in host or "privateInterface" in host]
    assert len(known) + remarks.count("# privateAddress: known when") == len(inventory.hosts)


@each_case
def test_what_k0sctl_would_write_on_a_controller_is_what_lies_there(case: Path) -> None:
    """As phase/configure_k0s.go of k0sctl puts it together; where a remark says otherwise it can't be."""
    inventory, artifacts = load_case(case)
    spec = read_k0sctl(artifacts)["spec"]
    text = next(artifact.content for artifact in artifacts if artifact.path == layout.K0SCTL)
    if "Not here, for it holds" in text or "of its own: k0sctl has one" in text:
        assert case.name in ("high-availability", "pair", "external-etcd")
        return
    controllers = [host for host in spec["hosts"] if host["role"] != "worker"]
    for host, wanted in zip(inventory.controllers, controllers, strict=True):
        ours = yaml.safe_load(next(a.content for a in artifacts if (a.host, a.path) == (host.name, layout.CONFIG)))
        assert ours == as_k0sctl_would(spec["k0s"]["config"], controllers, wanted)


def as_k0sctl_would(config: dict, controllers: list[dict], host: dict) -> dict:
    config = yaml.safe_load(yaml.safe_dump(config))
    api = config["spec"].setdefault("api", {})
    sans = list(api.get("sans") or ())
    for each in controllers:
        for address in (reached(each), each.get("privateAddress")):
            if address and address not in sans:
                sans.append(address)
    api["sans"] = sans
    private = host.get("privateAddress")
    if api.get("onlyBindToAddress") and not api.get("address"):
        api["address"] = private or reached(host)
    if config["spec"]["storage"]["type"] == "etcd" and private:
        config["spec"]["storage"].setdefault("etcd", {})["peerAddress"] = private
    return config


def reached(host: dict) -> str:
    return (host.get("ssh") or host["openSSH"])["address"]


@each_case
def test_what_yaml_we_write_says_whose_it_is(case: Path) -> None:
    _, artifacts = load_case(case)
    for artifact in artifacts:
        if artifact.path in (layout.CONFIG, layout.INSTALL_FLAGS, layout.K0SCTL):
            first = artifact.content.split("\n")[0]
            assert first.startswith("# ")
            assert "by bootstrap" in first


# --- the real programs -----------------------------------------------------------------------------


def find_k0s(version: str = VERSION) -> str:
    """From PATH when it is that version's, or in the folder that BOOTSTRAP_MIRROR names; empty when there is none."""
    mirror = os.environ.get("BOOTSTRAP_MIRROR", "")
    built = Path(mirror) / version / f"k0s-{version}-amd64"
    return str(built) if mirror and os.access(built, os.X_OK) else shutil.which("k0s") or ""


def find_k0sctl() -> str:
    return os.environ.get("BOOTSTRAP_K0SCTL") or shutil.which("k0sctl") or ""


def fill(text: str) -> str:
    for reference, dummy in DUMMIES.items():
        text = text.replace(reference, dummy)
    return text if Path("/sys/fs/cgroup/cgroup.controllers").exists() else allow_cgroup_v1(text)


def allow_cgroup_v1(text: str) -> str:
    """k0s holds worker profiles against the machine that it runs on, and this one has cgroup v1."""
    document = yaml.safe_load(text)
    for profile in document["spec"].get("workerProfiles", ()):
        profile.setdefault("values", {})["failCgroupV1"] = False
    return yaml.safe_dump(document)


@each_path
def test_the_real_k0s_takes_every_configuration(path: Path, tmp_path: Path) -> None:
    k0s = find_k0s()
    if not k0s:
        pytest.skip("there is no k0s here: neither on PATH nor in a mirror that BOOTSTRAP_MIRROR names")
    _, artifacts = load(path)
    configs = [artifact for artifact in artifacts if artifact.path == layout.CONFIG]
    assert configs
    for artifact in configs:
        file = tmp_path / "k0s.yaml"
        file.write_text(fill(artifact.content))
        assert "${" not in file.read_text()
        done = subprocess.run([k0s, "config", "validate", "--config", str(file)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), artifact.host


@each_path
def test_the_real_k0sctl_takes_every_k0sctl_yaml(path: Path, tmp_path: Path) -> None:
    """`k0sctl reset` without a terminal reads and validates the file, asks for --force, and sends nothing."""
    k0sctl = find_k0sctl()
    if not k0sctl:
        pytest.skip("there is no k0sctl here: neither on PATH nor named by BOOTSTRAP_K0SCTL")
    inventory, artifacts = load(path)
    folder = tmp_path / "rendered" / inventory.cluster
    write_tree(artifacts, folder)
    command = [k0sctl, "reset", "--config", str(folder / "k0sctl.yaml")]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    last = (done.stdout + done.stderr).strip().splitlines()[-1]
    assert last.rstrip('"').endswith("reset requires --force"), last
