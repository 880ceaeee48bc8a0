"""Whatever cuts off the making of a kubeadm cluster, the next run undoes the half of it and converges."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.cluster.conftest import Repository
from tests.cluster.test_interruption import converge, sabotage
from tests.cluster.test_kubeadm import home

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(7200)]
EVERYBODY = ("h1", "h2")
__all__ = ["home"]  # the fixture


def blank(home: Repository) -> None:
    home.hosts.wipe(*EVERYBODY)
    home.pin()
    home.run("lock")


def interrupt(home: Repository, host: str, title: str, interruption: Callable[[subprocess.Popen[str]], None]) -> None:
    """Start an apply, and interrupt it while `host` is at work at the step."""
    environment = {**os.environ, **home.environment, "HOME": str(home.root / "home")}
    environment["XDG_STATE_HOME"] = str(home.root / "state")
    environment.pop("BOOTSTRAP_KNOWN_HOSTS", None)
    command = [sys.executable, "-m", "bootstrap", "apply", "--yes"]
    output = (home.root / "output").open("w+")
    process = subprocess.Popen(command, cwd=home.root, env=environment, stdout=output, stderr=output, text=True)
    watch = (
        f"for i in $(seq 50); do grep -qs '{title}' /run/bootstrap/operations/*/title && exit; sleep 0.1; done; exit 1"
    )
    try:
        while True:
            assert process.poll() is None, f"it ended before `{title}` on {host}\n{(home.root / 'output').read_text()}"
            if _succeeds(home, host, watch):
                break
        time.sleep(2)
        interruption(process)
    finally:
        process.kill()
        process.wait()


def settle(home: Repository, *hosts: str) -> None:
    """What a killed run had started goes on, and is refused a second run beside it."""
    running = (
        "for each in /run/bootstrap/operations/*/; do [ ! -e $each/title ] || [ -e $each/exit-code ] || exit 1; done"
    )
    for host in hosts:
        home.hosts.ssh(host, f"until ({running}); do sleep 0.2; done", timeout=600)


def _succeeds(home: Repository, host: str, script: str) -> bool:
    return home.hosts.ssh(host, f"({script}) && echo yes || true").strip() == "yes"


def test_a_run_killed_in_init_then_before_join_then_in_join_converges(home: Repository) -> None:
    blank(home)
    for host, title in (("h1", "kubeadm init"), ("h1", "join token"), ("h2", "kubeadm join")):
        interrupt(home, host, title, lambda process: process.send_signal(signal.SIGKILL))
        settle(home, host)
    converge(home, "killed three times")
    assert set(home.nodes()) == set(EVERYBODY)


def test_a_host_that_loses_power_in_init_or_join_is_undone_and_taken_again(home: Repository) -> None:
    blank(home)
    for host, title in (("h1", "kubeadm init"), ("h2", "kubeadm join")):
        interrupt(home, host, title, lambda _, host=host: home.hosts.sandbox.cut(host))
        home.hosts.sandbox.start(host)
    converge(home, "two hosts lost power")
    assert set(home.nodes()) == set(EVERYBODY)


@pytest.mark.skipif(os.environ.get("BOOTSTRAP_SWEEP") != "1", reason="hours: BOOTSTRAP_SWEEP=1 tries every boundary")
def test_a_run_killed_at_every_boundary_converges_with_the_next_one(home: Repository) -> None:
    blank(home)
    boundaries, _ = sabotage(home, "count", 0, code=0)
    for number in range(1, boundaries + 1):
        blank(home)
        sabotage(home, "kill", number, code=-signal.SIGKILL)
        settle(home, *EVERYBODY)
        converge(home, f"killed at boundary {number} of {boundaries}")
