"""What is sent to hosts is shell that a shell reads, and every call of k0s in it has an end."""

import re
import subprocess
from pathlib import Path

import pytest

from bootstrap.distros.k0s import scripts
from bootstrap.distros.k0s.layout import BINARY
from bootstrap.model import Plan, Run, Wait
from tests.k0s_plan.world import DRIVER, HIGH, blank, load, make_input, member, plan, steps

NAMES = ("one", "two", "three", "four")


def list_scripts(made: Plan) -> list[str]:
    found = []
    for step in steps(made):
        if isinstance(step.action, Run):
            found.append(step.action.script)
        if isinstance(step.action, Wait):
            found += [step.action.script, step.action.explain]
    return found


def all_scripts(tmp_path: Path) -> list[str]:
    inventory = load(tmp_path, hosts=HIGH)
    running = [member(inventory, name) for name in NAMES]
    dead = make_input(inventory, *running)
    made = [
        plan(inventory, *map(blank, NAMES)),
        plan(inventory, blank("one"), *running[1:]),
        DRIVER.plan_remove(dead, "one"),
        DRIVER.plan_reset(dead),
    ]
    probes = [probe.script for host in inventory.hosts for probe in DRIVER.probes(inventory, host)]
    return list(dict.fromkeys([*(text for each in made for text in list_scripts(each)), *probes]))


def test_every_script_is_read_by_a_plain_shell(tmp_path: Path) -> None:
    for text in all_scripts(tmp_path):
        ran = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
        assert ran.returncode == 0, f"{ran.stderr}\n{text}"


def test_no_call_of_k0s_can_wait_for_ever(tmp_path: Path) -> None:
    """With etcd's quorum lost its commands have no end of their own."""
    for text in all_scripts(tmp_path):
        for line in text.splitlines():
            for match in re.finditer(rf"{BINARY} (?!\]|\|)[a-z]", line):
                before = line[: match.start()]
                assert re.search(r"timeout [0-9]+ $", before), line


def test_the_words_with_which_k0s_is_installed_keep_blanks_and_quotes(tmp_path: Path) -> None:
    host = load(tmp_path).host("two")
    script = scripts.install(host, ["--kubelet-extra-args=--v=4 --node-ip=10.0.0.1", "--labels=it's=x"], begins=True)
    assert "'--kubelet-extra-args=--v=4 --node-ip=10.0.0.1'" in script
    ran = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
    assert ran.returncode == 0


@pytest.mark.parametrize("begins", [True, False])
def test_only_a_host_that_is_yet_to_join_is_marked_as_unfinished(tmp_path: Path, begins: bool) -> None:
    script = scripts.install(load(tmp_path).host("two"), [], begins=begins)
    assert (": > /var/lib/bootstrap/unfinished" in script) is begins
