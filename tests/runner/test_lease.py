"""One writer at a time: leases taken, refreshed, lost, taken over, given back. Real shells, real files."""

import json
import os
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.errors import BootstrapError, ConnectionLostError, LockedError, UnreachableError
from bootstrap.facts import parse_lease
from bootstrap.lease import (
    IS_HELD,
    STALE,
    Holder,
    Leases,
    identify_holder,
    may_take_over,
    refresh_script,
    release_script,
    take_script,
)
from bootstrap.model import CommandResult
from bootstrap.operations import LOST_LEASE, fence
from tests.fakes import OK, Machine, RuleTransport

ELSEWHERE = Holder("run-1", "apply home", "ann@laptop (process 7)", "another-boot", 7, "1")
OTHER = replace(ELSEWHERE, run="run-2", owner="ben@desk (process 8)")


@pytest.fixture
def machine(tmp_path: Path, shell: tuple[tuple[str, ...], Path | None]) -> Machine:
    machine = Machine("h1", tmp_path / "h1", *shell)
    machine.place("/run/bootstrap").parent.mkdir(parents=True)
    return machine


def lease_of(machine: Machine) -> dict[str, object]:
    found = json.loads(machine.place("/run/bootstrap/lease").read_text())
    assert isinstance(found, dict)
    return found


def take(machine: Machine, holder: Holder, replaced: str | None = None) -> CommandResult:
    return machine.connect().run(take_script(replaced), stdin=holder.template().encode())


def age(machine: Machine, seconds: float) -> None:
    """As if the lease had last been refreshed so many seconds ago."""
    path = machine.place("/run/bootstrap/lease")
    path.write_text(json.dumps({**lease_of(machine), "uptime": float(lease_of(machine)["uptime"]) - seconds}))  # type: ignore[arg-type]


def leases(holder: Holder, *machines: Machine) -> Leases:
    by_name = {machine.name: machine for machine in machines}
    return Leases(holder, lambda name: by_name[name].connect())


# --- scripts -------------------------------------------------------------------------------------


def test_a_lease_is_taken_with_the_hosts_own_uptime(machine: Machine) -> None:
    assert take(machine, ELSEWHERE).exit_code == 0
    seen = parse_lease(
        machine.place("/run/bootstrap/lease").read_text(), float(Path("/proc/uptime").read_text().split()[0])
    )
    assert seen is not None
    assert (seen.run, seen.owner, seen.operation) == ("run-1", "ann@laptop (process 7)", "apply home")
    assert seen.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert 0 <= seen.age < STALE
    assert machine.connect().run(fence("run-1")).exit_code == 0


def test_it_is_for_root_alone(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    path = machine.place("/run/bootstrap/lease")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_held_lease_is_shown_and_stays(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    result = take(machine, OTHER)
    assert result.exit_code == IS_HELD
    uptime, _, text = result.stdout.partition("\n")
    assert (float(uptime) > 0, json.loads(text)["run"]) == (True, "run-1")
    assert lease_of(machine)["run"] == "run-1"


def test_nothing_lies_beside_it(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    take(machine, OTHER)
    take(machine, OTHER, machine.place("/run/bootstrap/lease").read_text())
    assert [path.name for path in machine.place("/run/bootstrap").iterdir()] == ["lease"]


def test_one_of_many_takers_at_once_gets_it(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    stale = machine.place("/run/bootstrap/lease").read_text()
    results: dict[str, int] = {}

    def try_it(name: str) -> None:
        results[name] = take(machine, replace(ELSEWHERE, run=name), stale).exit_code

    threads = [threading.Thread(target=try_it, args=(f"taker-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [name for name, code in results.items() if code == 0]
    assert lease_of(machine)["run"] in winners
    holding = [name for name in winners if machine.connect().run(fence(name)).exit_code == 0]
    assert len(holding) == 1
    assert [path.name for path in machine.place("/run/bootstrap").iterdir()] == ["lease"]


def test_only_the_lease_that_was_looked_at_is_replaced(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    assert take(machine, OTHER, '{"run": "run-0"}').exit_code == IS_HELD
    assert lease_of(machine)["run"] == "run-1"


@pytest.mark.parametrize("garbage", ["", "\n", "no json", "{}", "null", "[1]", '{"run": 7}', "'; rm -rf x; '"])
def test_garbage_is_replaced(machine: Machine, garbage: str) -> None:
    folder = machine.place("/run/bootstrap")
    folder.mkdir(parents=True)
    (folder / "lease").write_text(garbage)
    held = leases(ELSEWHERE, machine)
    held.take(["h1"])
    assert lease_of(machine)["run"] == "run-1"
    held.release()


def test_input_that_never_came_makes_no_lease(machine: Machine) -> None:
    result = machine.connect().run(take_script(None), stdin=b"")
    assert (result.exit_code, result.stderr) == (1, "the lease can't be written\n")
    assert list(machine.place("/run/bootstrap").iterdir()) == []


def test_a_refresh_writes_the_uptime_anew(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    age(machine, 40)
    before = float(lease_of(machine)["uptime"])  # type: ignore[arg-type]
    assert machine.connect().run(refresh_script(ELSEWHERE), stdin=ELSEWHERE.template().encode()).exit_code == 0
    assert float(lease_of(machine)["uptime"]) >= before + 40  # type: ignore[arg-type]


def test_a_refresh_without_its_input_keeps_the_lease(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    assert machine.connect().run(refresh_script(ELSEWHERE), stdin=b"").exit_code != 0
    assert lease_of(machine)["run"] == "run-1"


def test_a_refresh_never_takes_the_lease_of_another(machine: Machine) -> None:
    take(machine, OTHER)
    result = machine.connect().run(refresh_script(ELSEWHERE), stdin=ELSEWHERE.template().encode())
    assert result.exit_code == LOST_LEASE
    assert lease_of(machine)["run"] == "run-2"


def test_a_release_leaves_nothing(machine: Machine) -> None:
    take(machine, ELSEWHERE)
    (machine.place("/run/bootstrap") / "kube-cache").mkdir()
    assert machine.connect().run(release_script(ELSEWHERE)).exit_code == 0
    assert not machine.place("/run/bootstrap").exists()


def test_a_release_leaves_the_lease_of_another_alone(machine: Machine) -> None:
    take(machine, OTHER)
    assert machine.connect().run(release_script(ELSEWHERE)).exit_code == 0
    assert lease_of(machine)["run"] == "run-2"


# --- who may be replaced -------------------------------------------------------------------------


def held(**changes: object) -> dict[str, object]:
    return {"run": "r", "uptime": "100.0", "process": 7, "process_start": "1", "operator_boot": "another", **changes}


@pytest.mark.parametrize(
    ("found", "uptime", "free"),
    [
        (held(), 100.0, False),
        (held(), 100.0 + STALE, False),
        (held(), 100.1 + STALE, True),
        (held(), 99.0, True),  # the host restarted since, or the file is made up
        (held(uptime="soon"), 100.0, True),
        (held(process="x"), 100.0, True),
        ({}, 100.0, True),
        (held(process=None), 100.0, True),
        (held(uptime=[1]), 100.0, True),
    ],
)
def test_a_silent_or_broken_lease_may_be_taken_over(found: dict[str, object], uptime: float, free: bool) -> None:
    assert may_take_over(found, uptime) is free


def test_a_dead_process_of_this_machine_frees_its_lease_at_once() -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    mine = identify_holder("run-3", "apply home")
    fields = {**mine.__dict__, "uptime": "100.0"}
    assert not may_take_over(fields, 100.0)
    assert may_take_over({**fields, "process": dead.pid}, 100.0)
    assert may_take_over({**fields, "process_start": "1"}, 100.0)  # another process has the number now


def test_a_holder_names_the_person_and_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    mine = identify_holder("run-3", "apply home")
    assert mine.owner == f"ann@{os.uname().nodename} (process {os.getpid()})"
    assert json.loads(mine.template())["uptime"] == "@UPTIME@"


# --- several hosts -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[Machine, Machine]:
    machines = tuple(Machine(name, tmp_path / name) for name in ("a", "b"))
    for machine in machines:
        machine.root.mkdir()
    return machines[0], machines[1]


def test_all_are_taken_and_given_back(two: tuple[Machine, Machine]) -> None:
    mine = leases(ELSEWHERE, *two)
    mine.take(["b", "a"])
    assert [lease_of(machine)["run"] for machine in two] == ["run-1", "run-1"]
    mine.release()
    assert not any(machine.place("/run/bootstrap").exists() for machine in two)


def test_the_second_operator_is_told_who_holds_it_and_gets_none(two: tuple[Machine, Machine]) -> None:
    first, second = leases(ELSEWHERE, two[1]), leases(OTHER, *two)
    first.take(["b"])
    with pytest.raises(LockedError) as caught:
        second.take(["a", "b"])
    text = str(caught.value)
    assert "b: another run holds the lease: ann@laptop (process 7), apply home, run run-1" in text
    assert "it was refreshed" in text
    assert "a dead run's lease frees itself after 60 s" in text
    assert not two[0].place("/run/bootstrap").exists()
    assert lease_of(two[1])["run"] == "run-1"
    first.release()


def test_a_stale_one_is_taken_over_and_its_holder_can_not_write_any_more(two: tuple[Machine, Machine]) -> None:
    machine = two[0]
    take(machine, ELSEWHERE)
    age(machine, STALE + 5)
    second = leases(OTHER, machine)
    second.take(["a"])
    assert lease_of(machine)["run"] == "run-2"
    assert machine.connect().run(fence("run-1")).exit_code == LOST_LEASE
    second.release()


def test_they_are_refreshed_until_the_end(two: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootstrap.lease.REFRESH", 0.05)
    mine = leases(ELSEWHERE, two[0])
    mine.take(["a"])
    age(two[0], 40)
    before = lease_of(two[0])["uptime"]
    for _ in range(100):
        if lease_of(two[0])["uptime"] != before:
            break
        threading.Event().wait(0.05)
    assert lease_of(two[0])["uptime"] != before
    mine.release()
    count = len(two[0].scripts)
    threading.Event().wait(0.3)
    assert len(two[0].scripts) == count


def test_a_host_that_can_not_be_reached_gives_back_what_was_taken(two: tuple[Machine, Machine]) -> None:
    two[1].is_up = False
    with pytest.raises(UnreachableError):
        leases(ELSEWHERE, *two).take(["a", "b"])
    assert not two[0].place("/run/bootstrap").exists()


def test_a_host_that_is_gone_at_the_end_does_not_hold_up_the_others(two: tuple[Machine, Machine]) -> None:
    mine = leases(ELSEWHERE, *two)
    mine.take(["a", "b"])
    two[0].is_up = False
    mine.release()
    assert not two[1].place("/run/bootstrap").exists()


def test_a_host_that_can_not_keep_a_lease_says_why() -> None:
    broken = RuleTransport("a", [("", CommandResult(1, "", "mkdir: read-only file system"))])
    with pytest.raises(BootstrapError, match="the lease can't be taken") as caught:
        Leases(ELSEWHERE, lambda name: broken).take(["a"])
    assert caught.value.why == "mkdir: read-only file system"


def test_a_lease_that_changes_hands_all_the_time_is_given_up() -> None:
    stale = json.dumps(held(uptime="0"))
    restless = RuleTransport("a", [("", CommandResult(IS_HELD, f"1000.0\n{stale}\n", ""))])
    with pytest.raises(LockedError, match="changes hands faster"):
        Leases(ELSEWHERE, lambda name: restless).take(["a"])


def test_a_refresh_that_finds_the_lease_lost_is_the_last_for_that_host() -> None:
    host = RuleTransport("a", [("lease.new", CommandResult(LOST_LEASE, "", "")), ("", OK)])
    mine = Leases(ELSEWHERE, lambda name: host)
    mine.take(["a"])
    mine._refresh_one("a")
    assert mine._held == []
    mine.release()


def test_a_refresh_over_a_broken_connection_does_no_harm() -> None:
    host = RuleTransport("a", [("lease.new", ConnectionLostError("a", "the connection broke")), ("", OK)])
    mine = Leases(ELSEWHERE, lambda name: host)
    mine.take(["a"])
    mine._refresh_one("a")
    assert mine._held == ["a"]
    mine.release()
