"""What each MicroK8s host gets, file by file, and what people get for the cluster, for inventories of every shape."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from bootstrap.distros import find_driver
from bootstrap.distros.microk8s import layout
from bootstrap.distros.microk8s.fields import ARGUMENT_KEYS
from bootstrap.inventory import load_inventory
from bootstrap.model import Artifact, Inventory
from bootstrap.render import compare_tree, render, write_tree

CASES = sorted(path.parent for path in Path(__file__).parent.glob("microk8s/*/inventory.yaml"))
assert CASES
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def load(case: Path) -> tuple[Inventory, tuple[Artifact, ...]]:
    inventory = load_inventory(case / "inventory.yaml", {})
    return inventory, render(inventory, find_driver("microk8s").templates(inventory))


def of_cluster(artifacts: tuple[Artifact, ...], path: str) -> str:
    (found,) = (a.content for a in artifacts if (a.host, a.path) == (layout.CLUSTER_HOST, path))
    return found


def commands(artifacts: tuple[Artifact, ...]) -> list[list[str]]:
    """The words of every command of addons.sh that changes something, without what bounds it."""
    lines = of_cluster(artifacts, layout.ADDONS_SCRIPT).split("\n")
    words = [shlex.split(line) for line in lines if line.startswith("timeout ")]
    return [each[2:-1] for each in words if "status" not in each]


@each_case
def test_the_rendered_tree_is_as_committed(case: Path, updates_golden: bool) -> None:
    inventory, artifacts = load(case)
    if updates_golden:
        write_tree(artifacts, case / "rendered" / inventory.cluster)
    assert compare_tree(artifacts, case / "rendered" / inventory.cluster) == []


@each_case
def test_files_with_references_are_for_root_alone(case: Path) -> None:
    _, artifacts = load(case)
    assert [a.path for a in artifacts if a.has_references and a.mode != "0600"] == []


@each_case
def test_every_launch_configuration_is_of_the_version_that_the_snap_reads_and_holds_text_alone(case: Path) -> None:
    inventory, artifacts = load(case)
    launches = {a.host: yaml.safe_load(a.content) for a in artifacts if a.path == layout.LAUNCH_CONFIG}
    assert set(launches) == {host.name for host in inventory.hosts}
    for document in launches.values():
        assert document.pop("version") == "0.1.0"
        assert not {"addons", "join", "persistentClusterToken"} & set(document)
        for value in document.values():
            texts = value.values() if isinstance(value, dict) else value
            assert all(text is None or isinstance(text, str) for text in texts)


@each_case
def test_the_fragments_say_what_the_launch_configuration_says(case: Path) -> None:
    _, artifacts = load(case)
    launches = {a.host: yaml.safe_load(a.content) for a in artifacts if a.path == layout.LAUNCH_CONFIG}
    for artifact in artifacts:
        folder, _, file = artifact.path.rpartition("/")
        if folder == layout.FRAGMENTS and file in ARGUMENT_KEYS:
            lines = [line for line in artifact.content.split("\n") if line and not line.startswith("#")]
            given = launches[artifact.host][ARGUMENT_KEYS[file]]
            assert lines == [f"!{name}" if value is None else f"{name}={value}" for name, value in given.items()]


@each_case
def test_every_command_is_bounded_by_its_whole_path_and_has_no_stdin(case: Path) -> None:
    _, artifacts = load(case)
    script = of_cluster(artifacts, layout.ADDONS_SCRIPT)
    assert script.startswith("#!/bin/sh\n")
    assert "\nset -eu\n" in script
    for line in script.split("\n"):
        if line and not line.startswith(("#", "set ")):
            assert line.startswith("timeout ")
            assert layout.MICROK8S in line
            assert line.endswith(" </dev/null")


@each_case
def test_one_add_on_stands_in_one_command_with_its_repository(case: Path) -> None:
    inventory, artifacts = load(case)
    enabled = [words[2] for words in commands(artifacts) if words[1] == "enable"]
    assert all(name.count("/") == 1 for name in enabled)
    assert len(enabled) == len(set(enabled)) >= len(inventory.addons)


@each_case
def test_shells_accept_the_script_and_run_every_command_in_order(case: Path, tmp_path: Path) -> None:
    """With a program in MicroK8s' place that writes down how it was called."""
    _, artifacts = load(case)
    log, program = tmp_path / "log", tmp_path / "microk8s"
    program.write_text(f'#!/bin/sh\nif read -r line; then exit 9; fi\nprintf "%s|" "$@" >> {log}\necho >> {log}\n')
    os.chmod(program, 0o755)
    script = of_cluster(artifacts, layout.ADDONS_SCRIPT).replace(layout.MICROK8S, str(program))
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    called = [line.split("|")[:-1] for line in log.read_text().splitlines()]
    assert called[0][0] == "status"
    assert called[1:] == [words[1:] for words in commands(artifacts)]


@each_case
def test_controllers_join_before_workers_and_the_first_founds(case: Path) -> None:
    inventory, artifacts = load(case)
    lines = [line.split() for line in of_cluster(artifacts, layout.JOIN_ORDER).split("\n") if line and line[0] != "#"]
    assert [words[1] for words in lines] == [host.name for host in (*inventory.controllers, *inventory.workers)]
    assert [words[0] for words in lines] == ["found"] + ["join"] * (len(inventory.hosts) - 1)
    assert [words[1] for words in lines if words[-1] == "--worker"] == [host.name for host in inventory.workers]


def test_what_the_snap_makes_is_written_below_its_folder_only_by_registries() -> None:
    for case in CASES:
        _, artifacts = load(case)
        below = [a.path for a in artifacts if a.path.startswith("/var/snap/")]
        assert all(path.startswith(f"{layout.REGISTRIES}/") for path in below)
