"""Operations on a host: they run once, whoever asks how often, and tell how they ended. Real shells, real files."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from bootstrap.facts import SYSTEM_SCRIPT, parse_system
from bootstrap.model import CommandResult
from bootstrap.operations import (
    LOST_LEASE,
    OperationState,
    attach_script,
    download_script,
    fence,
    read_state,
    start_script,
    sweep_script,
    wait_script,
)
from tests.fakes import Machine
from tests.runner.conftest import RUN


def start(
    machine: Machine, script: str, stdin: bytes = b"", *, identity: str = "op", deadline: float = 20.0, run: str = RUN
) -> CommandResult:
    text = start_script(run, identity, "do it", script, deadline, "END-1", input_size=len(stdin))
    return machine.connect().run(text, stdin=stdin)


def end(machine: Machine, result: CommandResult, identity: str = "op") -> OperationState:
    """The state once the operation has ended."""
    for _ in range(4):
        assert result.exit_code == 0, result
        state = read_state(result.stdout, result.stderr)
        if state.exit_code is not None or state.gone:
            return state
        result = machine.connect().run(attach_script(identity))
    raise AssertionError("it does not end")


def counted(machine: Machine, more: str = "") -> str:
    """A script that leaves a line each time that it runs."""
    return f"echo run >> {machine.root}/count\n{more}"


def count(machine: Machine) -> int:
    path = machine.root / "count"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_output_and_exit_code_come_back_apart(machine: Machine) -> None:
    state = end(machine, start(machine, "echo out; echo err >&2; exit 3"))
    assert state == OperationState(3, "out\n", "err\n")


def test_output_comes_back_byte_for_byte(machine: Machine) -> None:
    state = end(machine, start(machine, r"printf 'running\nended 7\n\n a  b\\n%s' '$HOME'"))
    assert (state.exit_code, state.stdout) == (0, "running\nended 7\n\n a  b\\n$HOME")


def test_standard_input_is_the_operations_own_and_is_gone_afterwards(machine: Machine) -> None:
    state = end(machine, start(machine, "cat", b"secret\0value"))
    assert state.stdout == "secret\0value"
    folder = machine.place("/run/bootstrap/operations/op")
    assert not (folder / "stdin").exists()


def test_input_that_was_cut_short_starts_nothing(machine: Machine) -> None:
    script = start_script(RUN, "op", "do it", counted(machine), 20.0, "END-1", input_size=10)
    result = machine.connect().run(script, stdin=b"half")
    assert result.exit_code == 1
    assert "did not arrive whole" in result.stderr
    assert count(machine) == 0
    assert end(machine, start(machine, counted(machine), b"the others")).exit_code == 0


def test_a_script_with_the_mark_of_another_stays_whole(machine: Machine) -> None:
    state = end(machine, start(machine, "cat <<'END-2'\nEND\n$(echo no) `echo no` \\ 'quoted'\nEND-2"))
    assert state.stdout == "END\n$(echo no) `echo no` \\ 'quoted'\n"


def test_asking_again_attaches(machine: Machine) -> None:
    first = start(machine, counted(machine, "exit 4"))
    again = start(machine, counted(machine, "exit 5"))
    assert (end(machine, first).exit_code, end(machine, again).exit_code) == (4, 4)
    assert count(machine) == 1


def test_many_starters_at_once_run_it_once(machine: Machine) -> None:
    """A lost connection leaves its shell behind, which may still be at work when the next one asks."""
    results: list[CommandResult] = []

    def ask() -> None:
        results.append(start(machine, counted(machine, "sleep 0.3; cat"), b"input"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [end(machine, result) for result in results] == [OperationState(0, "input", "")] * 6
    assert count(machine) == 1
    assert sorted(path.name for path in machine.place("/run/bootstrap/operations").iterdir()) == ["op"]


def test_two_operations_do_not_know_each_other(machine: Machine) -> None:
    one, two = start(machine, counted(machine), identity="one"), start(machine, counted(machine), identity="two")
    end(machine, one, "one"), end(machine, two, "two")
    assert count(machine) == 2


def test_it_outlives_the_shell_that_started_it(machine: Machine) -> None:
    script = start_script(RUN, "op", "do it", counted(machine, "sleep 1; echo late"), 20.0, "END-1")
    process = subprocess.Popen([*machine.shell, "-c", machine.translate(script)], stdin=subprocess.DEVNULL)
    while count(machine) == 0:
        time.sleep(0.02)
    process.kill()
    process.wait()
    state = end(machine, machine.connect().run(attach_script("op")))
    assert (state.exit_code, state.stdout, count(machine)) == (0, "late\n", 1)


def test_one_that_was_laid_and_not_started_is_started_by_the_next_to_ask(machine: Machine) -> None:
    end(machine, start(machine, counted(machine)))
    folder = machine.place("/run/bootstrap/operations/op")
    (folder / "started").rmdir()
    (folder / "exit-code").unlink()
    (folder / "stdin").write_bytes(b"")
    end(machine, machine.connect().run(attach_script("op")))
    assert count(machine) == 2


def test_the_deadline_holds_on_the_host(machine: Machine) -> None:
    state = end(machine, start(machine, "sleep 30", deadline=1.0))
    assert state.exit_code == 124


def test_an_end_by_a_signal_before_the_deadline_is_no_deadline(machine: Machine) -> None:
    assert end(machine, start(machine, "kill -TERM $$", deadline=60.0)).exit_code == 143


def test_what_is_forgotten_after_a_reboot_says_so(machine: Machine) -> None:
    end(machine, start(machine, "true"))
    machine.reboot()
    assert read_state(machine.connect().run(attach_script("op")).stdout, "").gone


def test_a_long_output_is_cut_and_does_not_block(machine: Machine) -> None:
    state = end(machine, start(machine, "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2"))
    assert state.exit_code == 0
    assert len(state.stdout) == 1 << 20


def test_a_leftover_of_a_killed_starter_is_in_nobodys_way(machine: Machine) -> None:
    folder = machine.place("/run/bootstrap/operations")
    (folder / "op.new-1").mkdir(parents=True)
    assert end(machine, start(machine, counted(machine))).exit_code == 0


@pytest.mark.parametrize("text", ["", "nonsense\n", "ended \n", "ended x\n", "banner\nended 0\n"])
def test_an_answer_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        read_state(text, "")


# --- the lease -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lease", [None, "", "{}", '{"run": "20260101-000000-abcdeg"}', '{"run": "another"}', "20260101-000000-abcdef"]
)
def test_without_the_lease_nothing_is_started(machine: Machine, lease: str | None) -> None:
    path = machine.place("/run/bootstrap/lease")
    path.unlink()
    if lease is not None:
        path.write_text(lease)
    result = start(machine, counted(machine))
    assert result.exit_code == LOST_LEASE
    assert "the lease of this host is lost" in result.stderr
    assert count(machine) == 0
    assert not machine.place("/run/bootstrap/operations").exists()


def test_a_run_id_is_no_pattern(machine: Machine) -> None:
    assert machine.connect().run(fence("2.*")).exit_code == LOST_LEASE
    assert machine.connect().run(fence(RUN)).exit_code == 0


# --- sweeping ------------------------------------------------------------------------------------


def test_ended_operations_are_swept_and_running_ones_stay(machine: Machine) -> None:
    end(machine, start(machine, "true", identity="ended"), "ended")
    slow = start_script(RUN, "slow", "do it", "sleep 2", 20.0, "END-1")
    process = subprocess.Popen(
        [*machine.shell, "-c", machine.translate(slow)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    folder = machine.place("/run/bootstrap/operations")
    while not (folder / "slow" / "started").exists():
        time.sleep(0.02)
    assert machine.connect().run(sweep_script()).exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["slow"]
    process.wait()
    assert machine.connect().run(sweep_script()).exit_code == 0
    assert not folder.exists()


def test_sweeping_where_nothing_is_is_well(machine: Machine) -> None:
    assert machine.connect().run(sweep_script()).exit_code == 0


def test_a_probe_names_what_still_runs(machine: Machine) -> None:
    folder = machine.place("/run/bootstrap/operations")
    for name, ended in (("one", False), ("two", True)):
        (folder / name).mkdir(parents=True)
        (folder / name / "title").write_text(f"do {name}\n")
        if ended:
            (folder / name / "exit-code").write_text("0\n")
    seen = parse_system(machine.connect().run(SYSTEM_SCRIPT).stdout)
    assert seen["running_operations"] == ("do one",)
    assert seen["lease"] is not None
    assert seen["lease"].run == RUN


# --- waiting -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "code", "seen"),
    [
        ("echo here; exit 0", 0, "here\n"),
        ("echo lost >&2; exit 2", 2, "lost\n"),
        ("echo 'not yet'; exit 1", 1, "not yet\n"),
        ("no-such-command-anywhere", 1, "no-such-command-anywhere"),
    ],
)
def test_a_wait_tells_reached_not_yet_and_never(machine: Machine, script: str, code: int, seen: str) -> None:
    result = machine.connect().run(wait_script(script, 1.0))
    assert result.exit_code == code
    assert seen in result.stdout


def test_a_wait_looks_again(machine: Machine) -> None:
    script = f'echo look >> {machine.root}/looks\n[ "$(wc -l < {machine.root}/looks)" -ge 3 ]'
    assert machine.connect().run(wait_script(script, 20.0)).exit_code == 0
    assert len((machine.root / "looks").read_text().splitlines()) == 3


# --- downloads -----------------------------------------------------------------------------------


def fake_curl(machine: Machine, folder: Path, script: str) -> None:
    """Hosts download by curl; here it is a script that gets curl's words."""
    folder.mkdir(exist_ok=True)
    (folder / "curl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "curl").chmod(0o755)
    machine.shell = ("env", f"PATH={folder}:{machine.applets or '/usr/bin:/bin'}:/usr/bin:/bin", *machine.shell)


SUM = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
TO_O = 'while [ "$1" != -o ]; do shift; done; printf hello > "$2"'


def test_a_download_is_checked_and_gets_its_mode(machine: Machine, tmp_path: Path) -> None:
    fake_curl(machine, tmp_path / "bin", TO_O)
    result = machine.connect().run(download_script("https://example.com/k3s", "/target/new/k3s", "0755", SUM, 5))
    assert result.exit_code == 0, result.stderr
    path = machine.place("/target/new/k3s")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("hello", 0o755)
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert [each.name for each in path.parent.iterdir()] == ["k3s"]


def test_a_wrong_sum_leaves_the_old_file(machine: Machine, tmp_path: Path) -> None:
    fake_curl(machine, tmp_path / "bin", TO_O)
    path = machine.place("/target/k3s")
    path.parent.mkdir(parents=True)
    path.write_text("old")
    result = machine.connect().run(download_script("https://example.com/k3s", "/target/k3s", "0755", "0" * 64, 5))
    assert result.exit_code == 4
    assert f"the download has sha256 {SUM}, the lock says {'0' * 64}" in result.stderr
    assert path.read_text() == "old"
    assert [each.name for each in path.parent.iterdir()] == ["k3s"]


def test_a_host_without_a_way_out_says_so(machine: Machine, tmp_path: Path) -> None:
    fake_curl(machine, tmp_path / "bin", "echo 'curl: (7) no route' >&2; exit 7")
    result = machine.connect().run(download_script("https://example.com/k3s", "/target/k3s", "0755", SUM, 5))
    assert result.exit_code == 3
    assert "no route" in result.stderr


def test_a_download_keeps_the_mode_of_a_folder_that_is_there(machine: Machine, tmp_path: Path) -> None:
    """/usr/local/bin belongs to the group staff on many Debian hosts, and is writable for it."""
    fake_curl(machine, tmp_path / "bin", TO_O)
    folder = machine.place("/target/k3s").parent
    folder.mkdir(parents=True)
    folder.chmod(0o775)
    assert (
        machine.connect().run(download_script("https://example.com/k3s", "/target/k3s", "0755", SUM, 5)).exit_code == 0
    )
    assert folder.stat().st_mode & 0o777 == 0o775
