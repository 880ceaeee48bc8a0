"""Whatever interrupts a run, the next one converges: every boundary, every step."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.conftest import Repository, fresh

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.timeout(3600)]
SABOTEUR = str(Path(__file__).parent / "saboteur.py")
# One in so many boundaries is tried by default, another one each day: BOOTSTRAP_SWEEP=1 tries them all.
SWEEP = int(os.environ.get("BOOTSTRAP_SWEEP", "4"))


def sabotage(repository: Repository, kind: str, number: int, code: int | None) -> tuple[int, int]:
    """Boundaries and steps that were passed."""
    count = repository.root / "count"
    count.write_text("0 0")
    repository.environment["SABOTEUR_COUNT"] = str(count)
    repository.environment["PYTHONPATH"] = str(Path(__file__).parent.parent.parent)
    program = [sys.executable, SABOTEUR, kind, str(number), "--"]
    done = repository.run("apply", "--yes", code=code, program=program)
    print(f"{kind} {number}: exit code {done.code}\n{done.text}")
    boundaries, steps = count.read_text().split()
    return int(boundaries), int(steps)


def blank(repository: Repository) -> None:
    repository.hosts.wipe("h1", "h2")
    repository.pin()


def converge(repository: Repository, what: str) -> None:
    done = repository.apply(code=None)
    assert done.code == 0, f"{what}: the run after it did not converge\n{done.text}"
    assert repository.plan_is_empty(), f"{what}: the second plan is not empty"


def test_a_run_killed_at_any_boundary_converges_with_the_next_one(repository: Repository) -> None:
    fresh(repository, 1, 1)
    boundaries, _ = sabotage(repository, "count", 0, code=0)
    tried = range(1 + int(time.time() // 86400) % SWEEP, boundaries + 1, SWEEP)
    for number in tried:
        blank(repository)
        sabotage(repository, "kill", number, code=-signal.SIGKILL)
        converge(repository, f"killed at boundary {number} of {boundaries}")
    print(f"killed at {len(tried)} of {boundaries} boundaries: all converged")


@pytest.mark.parametrize("kind", ["fail", "undone"])
def test_any_step_made_to_fail_is_named_and_made_good_by_the_next_run(repository: Repository, kind: str) -> None:
    fresh(repository, 1, 1)
    _, steps = sabotage(repository, "count", 0, code=0)
    tried = range(1 + int(time.time() // 86400) % SWEEP, steps + 1, SWEEP)
    for number in tried:
        blank(repository)
        done = sabotage(repository, kind, number, code=None)
        assert done[1] >= number
        converge(repository, f"step {number} of {steps} made to fail ({kind})")


def test_ctrl_c_leaves_within_seconds_names_what_runs_and_gives_the_lease_back(repository: Repository) -> None:
    fresh(repository, 1, 0)
    text = repository.inventory.read_text()
    hook = "hooks: [{name: slow, at: before-prepare, run: 'sleep 40; echo once >> /root/ran'}]\n"
    repository.inventory.write_text(text + hook)
    environment = {
        **os.environ,
        "HOME": str(repository.root / "home"),
        "XDG_STATE_HOME": str(repository.root / "state"),
    }
    environment.pop("BOOTSTRAP_KNOWN_HOSTS", None)
    command = [sys.executable, "-m", "bootstrap", "apply", "--yes"]
    process = subprocess.Popen(
        command, cwd=repository.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        while "slow" not in repository.hosts.ssh("h1", "cat /run/bootstrap/operations/*/title 2>/dev/null; true"):
            assert time.monotonic() < deadline, "the hook never started"
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "run hook slow" in stderr
    assert repository.hosts.ssh("h1", "ls /run/bootstrap/lease 2>/dev/null; true") == ""
    waiting = repository.run("plan", code=None)
    assert "run hook slow" in waiting.text, "a plan does not tell of the operation that still runs"
    time.sleep(45)
    converge(repository, "interrupted in a hook")


def test_a_step_whose_connection_is_cut_runs_exactly_once(repository: Repository) -> None:
    fresh(repository, 1, 0)
    repository.inventory.write_text(
        repository.inventory.read_text()
        + "hooks: [{name: counted, at: before-prepare, run: 'echo once >> /root/ran; sleep 8'}]\n"
    )
    cut = (
        "for i in $(seq 200); do grep -qs counted /run/bootstrap/operations/*/title && break; sleep 0.2; done; sleep 1;"
        "pkill -KILL -f 'sshd-session: ops' || pkill -KILL -f 'sshd: ops'; true"
    )
    repository.hosts.ssh("h1", f"nohup setsid sh -c {cut!r} >/dev/null 2>&1 &")
    repository.apply()
    assert repository.hosts.ssh("h1", "cat /root/ran").split() == ["once"]
