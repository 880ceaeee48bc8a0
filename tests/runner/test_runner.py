"""The interpreter of plans: what becomes of each step when hosts fail, connections break, and people lose patience."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import runner as runner_module
from bootstrap.errors import ConnectionLostError, LockError, UnreachableError
from bootstrap.model import CommandResult, Fetch, LockedFile, Put, Run, Stage, Status, Step, StepResult, Wait, digest
from bootstrap.operations import LOST_LEASE
from bootstrap.runner import Runner
from tests.fakes import OK, Machine, Notes, RuleTransport, make_plan
from tests.runner.conftest import RUN, hold_lease

Make = Callable[..., Runner]


def step(host: str, script: str, **fields: object) -> Step:
    return Step(host, f"run {script[:20]}", "a test", Run(script, **fields))  # type: ignore[arg-type]


def states(results: tuple[StepResult, ...]) -> list[tuple[str, str]]:
    return [(result.step.host, str(result.status)) for result in results]


def lines(machine: Machine, name: str = "count") -> list[str]:
    path = machine.root / name
    return path.read_text().splitlines() if path.exists() else []


def counting(machine: Machine, more: str = "") -> str:
    return f"echo run >> {machine.root}/count\n{more}"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return hold_lease(Machine("h1", tmp_path / "h1"))


@pytest.fixture
def second(tmp_path: Path) -> Machine:
    return hold_lease(Machine("h2", tmp_path / "h2"))


# --- steps ---------------------------------------------------------------------------------------


def test_a_step_that_ends_well_is_done(machine: Machine, make_runner: Make) -> None:
    runner = make_runner(machine)
    (result,) = runner.execute(make_plan(Stage("s", (step("h1", counting(machine)),))))
    assert (result.status, result.detail, lines(machine)) == (Status.DONE, "", ["run"])
    assert runner.running == {}


def test_a_failed_step_shows_the_hosts_own_last_words(machine: Machine, make_runner: Make) -> None:
    (result,) = make_runner(machine).execute(
        make_plan(Stage("s", (step("h1", "echo one; echo 'disk full' >&2; exit 7"),)))
    )
    assert result.status is Status.FAILED
    assert result.detail.startswith("h1: exit code 7")
    assert "disk full" in result.detail


def test_a_step_that_takes_too_long_is_told_as_such(machine: Machine, make_runner: Make) -> None:
    (result,) = make_runner(machine).execute(
        make_plan(Stage("s", (step("h1", "echo so far; sleep 30", deadline=1.0),)))
    )
    assert result.status is Status.FAILED
    assert "did not end within 1 s" in result.detail
    assert "so far" in result.detail


def test_a_secret_that_a_step_saved_is_filled_in_later_and_is_in_no_detail_or_log(
    machine: Machine, make_runner: Make, tmp_path: Path
) -> None:
    (machine.root / "made").write_text("s3cret-value\n")
    saves = step("h1", f"cat {machine.root}/made", save_as=("token",))
    uses = step("h1", f"cat > {machine.root}/got", stdin="token=${saved:token}")
    results = make_runner(machine).execute(make_plan(Stage("s", (saves, uses))))
    assert [result.status for result in results] == [Status.DONE, Status.DONE]
    assert (machine.root / "got").read_text() == "token=s3cret-value"
    assert "s3cret" not in "".join(result.detail for result in results)
    logs = "".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert "s3cret" not in logs
    assert not any("s3cret" in script for script in machine.scripts)


def test_a_file_is_put_only_under_the_lease(machine: Machine, make_runner: Make) -> None:
    put = Step("h1", "write", "a test", Put("/target/file", "text"))
    assert states(make_runner(machine).execute(make_plan(Stage("s", (put,))))) == [("h1", "done")]
    assert machine.place("/target/file").read_text() == "text"
    machine.place("/target/file").unlink()
    machine.place("/run/bootstrap/lease").write_text('{"run": "another"}')
    (result,) = make_runner(machine).execute(make_plan(Stage("s", (put,))))
    assert result.status is Status.FAILED
    assert "the lease of this host is lost: nothing was written" in result.detail
    assert not machine.place("/target/file").exists()


def test_no_script_runs_under_a_lost_lease(machine: Machine, make_runner: Make) -> None:
    machine.place("/run/bootstrap/lease").unlink()
    (result,) = make_runner(machine).execute(make_plan(Stage("s", (step("h1", counting(machine)),))))
    assert (result.status, lines(machine)) == (Status.FAILED, [])
    assert "apply again" in result.detail


# --- connections that break ----------------------------------------------------------------------


@pytest.mark.parametrize("losses", [["before"], ["after"], ["after", "after"], ["before", "after"], [None, "after"]])
def test_a_script_runs_once_whenever_the_connection_breaks(
    machine: Machine, make_runner: Make, losses: list[str | None]
) -> None:
    machine.losses[:] = losses
    runner = make_runner(machine)
    (result,) = runner.execute(make_plan(Stage("s", (step("h1", counting(machine, "sleep 0.2")),))))
    assert (result.status, lines(machine)) == (Status.DONE, ["run"])


def test_the_person_is_told_that_the_host_is_asked_again(machine: Machine, make_runner: Make) -> None:
    notes = Notes()
    machine.losses[:] = ["after"]
    make_runner(machine, progress=notes).execute(make_plan(Stage("s", (step("h1", "true"),))))
    assert "h1: connection lost; asking the host again" in notes.lines


def test_a_connection_that_never_holds_ends_as_unknown(make_runner: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be made each time and breaks each time: that must have an end."""
    clock = Clock()
    monkeypatch.setattr(runner_module, "time", clock)
    broken = RuleTransport("h1", [("", ConnectionLostError("h1", "the connection broke"))])
    runner = make_runner(connect=lambda name: clock.tick(5.0, broken))
    results = runner.execute(
        make_plan(Stage("s", (step("h1", "true", deadline=60.0), Step("h1", "wait", "", Wait("true")))))
    )
    assert [result.status for result in results] == [Status.UNKNOWN, Status.SKIPPED]
    (result,) = make_runner(connect=lambda name: clock.tick(5.0, broken)).execute(
        make_plan(Stage("s", (Step("h1", "wait", "", Wait("true")),)))
    )
    assert result.status is Status.UNKNOWN


class Clock:
    """A time that passes by itself where it is asked to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def tick(self, seconds: float, value: RuleTransport) -> RuleTransport:
        self.now += seconds
        return value


def test_a_host_that_can_not_be_reached_is_unknown_and_the_others_go_on(
    machine: Machine, second: Machine, make_runner: Make
) -> None:
    machine.is_up = False
    plan = make_plan(Stage("s", (step("h1", "true"), step("h2", counting(second))), at_once=2))
    assert states(make_runner(machine, second).execute(plan)) == [("h1", "unknown"), ("h2", "done")]


def test_a_host_that_comes_back_is_waited_for(machine: Machine, make_runner: Make) -> None:
    machine.losses[:] = ["after"]
    answers = iter([True, False, True])

    def connect(name: str) -> object:
        machine.is_up = next(answers, True)
        return machine.connect()

    (result,) = make_runner(connect=connect).execute(make_plan(Stage("s", (step("h1", counting(machine)),))))
    assert (result.status, lines(machine)) == (Status.DONE, ["run"])


def test_a_restart_in_the_middle_runs_nothing_twice(machine: Machine, make_runner: Make) -> None:
    """Lease and operation are gone with /run: the step fails, and the next run looks what is there."""
    machine.losses[:] = ["after"]

    class Rebooting(Notes):
        def say(self, host: str, line: str) -> None:
            machine.reboot()

    (result,) = make_runner(machine, progress=Rebooting()).execute(
        make_plan(Stage("s", (step("h1", counting(machine)),)))
    )
    assert (result.status, lines(machine)) == (Status.FAILED, ["run"])
    assert "the host restarted" in result.detail


def test_a_restart_while_attached_is_unknown(make_runner: Make) -> None:
    host = RuleTransport(
        "h1", [("umask", CommandResult(0, "running\n", "")), ("echo gone", CommandResult(0, "gone\n", ""))]
    )
    (result,) = make_runner(connect=lambda name: host).execute(make_plan(Stage("s", (step("h1", "true"),))))
    assert result.status is Status.UNKNOWN
    assert "the host restarted while the step ran" in result.detail


def test_a_file_is_put_again_over_a_new_connection(machine: Machine, make_runner: Make) -> None:
    machine.losses[:] = [None, "before"]
    put = Step("h1", "write", "a test", Put("/target/file", "text"))
    assert states(make_runner(machine).execute(make_plan(Stage("s", (put,))))) == [("h1", "done")]
    assert machine.place("/target/file").read_text() == "text"


@pytest.mark.parametrize("answer", ["", "garbage\n", "ended many\n"])
def test_an_answer_that_nobody_understands_fails_the_step(make_runner: Make, answer: str) -> None:
    host = RuleTransport("h1", [("", CommandResult(0, answer, ""))])
    (result,) = make_runner(connect=lambda name: host).execute(make_plan(Stage("s", (step("h1", "true"),))))
    assert result.status is Status.FAILED
    assert "the host's answer can't be read" in result.detail


# --- who drops out -------------------------------------------------------------------------------


def test_a_host_that_failed_drops_out_and_the_others_do_not(
    machine: Machine, second: Machine, make_runner: Make
) -> None:
    first = Stage(
        "first", (step("h1", "false"), step("h1", counting(machine)), step("h2", counting(second))), at_once=2
    )
    later = Stage("later", (step("h1", counting(machine)), step("h2", counting(second))), at_once=2)
    results = make_runner(machine, second).execute(make_plan(first, later))
    assert states(results) == [("h1", "failed"), ("h1", "skipped"), ("h2", "done"), ("h1", "skipped"), ("h2", "done")]
    assert (lines(machine), lines(second)) == ([], ["run", "run"])
    assert results[1].detail == "an earlier step of this host did not end well"


def test_a_critical_stage_stops_the_run(machine: Machine, second: Machine, make_runner: Make) -> None:
    critical = Stage("found", (step("h1", "false"), step("h2", counting(second))), critical=True)
    later = Stage("join", (step("h2", counting(second)),))
    results = make_runner(machine, second).execute(make_plan(critical, later))
    assert states(results) == [("h1", "failed"), ("h2", "skipped"), ("h2", "skipped")]
    assert lines(second) == []
    assert results[-1].detail == "stage 'found' did not end well"


def test_a_host_that_dropped_out_stops_a_critical_stage(machine: Machine, second: Machine, make_runner: Make) -> None:
    """The founder was not prepared: then nobody may join."""
    plan = make_plan(
        Stage("prepare", (step("h1", "false"),)),
        Stage("found", (step("h1", "true"),), critical=True),
        Stage("join", (step("h2", "true"),)),
    )
    assert states(make_runner(machine, second).execute(plan)) == [
        ("h1", "failed"),
        ("h1", "skipped"),
        ("h2", "skipped"),
    ]


def test_a_step_for_one_host_is_done_on_another(machine: Machine, second: Machine, make_runner: Make) -> None:
    moved = Step("h1", "forget", "a test", Run(counting(second)), on="h2")
    assert states(make_runner(machine, second).execute(make_plan(Stage("s", (moved,))))) == [("h1", "done")]
    assert (lines(machine), lines(second)) == ([], ["run"])


def test_hosts_go_one_at_a_time_in_order_or_together(tmp_path: Path, make_runner: Make) -> None:
    machines = [hold_lease(Machine(f"h{number}", tmp_path / f"m{number}")) for number in range(4)]
    log = tmp_path / "log"
    script = f"echo begin >> {log}; sleep 0.3; echo end >> {log}"
    steps = tuple(step(machine.name, script) for machine in machines)
    make_runner(*machines).execute(make_plan(Stage("one", steps)))
    assert log.read_text().split() == ["begin", "end"] * 4
    log.unlink()
    make_runner(*machines, run_id=RUN).execute(make_plan(Stage("pad", ()), Stage("all", steps, at_once=4)))
    assert log.read_text().split()[:2] == ["begin", "begin"]


def test_results_come_in_the_order_of_the_plan(machine: Machine, second: Machine, make_runner: Make) -> None:
    steps = (step("h2", "sleep 0.3"), step("h1", "true"), step("h2", "true"))
    results = make_runner(machine, second).execute(make_plan(Stage("s", steps, at_once=2)))
    assert states(results) == [("h2", "done"), ("h2", "done"), ("h1", "done")]


def test_a_full_disk_of_this_machine_fails_the_step_and_not_the_run(
    machine: Machine, second: Machine, make_runner: Make
) -> None:
    def obtain(file: LockedFile) -> Path:
        raise OSError(28, "No space left on device")

    fetch = Step("h1", "bring", "a test", Fetch(FILE, "/target/k3s"))
    plan = make_plan(Stage("s", (fetch, step("h2", "true")), at_once=2))
    results = make_runner(machine, second, obtain=obtain).execute(plan)
    assert states(results) == [("h1", "failed"), ("h2", "done")]
    assert "this machine: [Errno 28] No space left on device" in results[0].detail


# --- waits ---------------------------------------------------------------------------------------


def wait_for(script: str, **fields: object) -> Step:
    return Step("h1", "wait", "a test", Wait(script, **fields))  # type: ignore[arg-type]


def test_a_wait_ends_when_the_condition_holds(machine: Machine, make_runner: Make) -> None:
    script = f"echo look >> {machine.root}/count; [ $(wc -l < {machine.root}/count) -ge 2 ]"
    assert states(make_runner(machine).execute(make_plan(Stage("s", (wait_for(script),))))) == [("h1", "done")]


def test_a_wait_that_can_not_end_well_gives_up_early_with_the_hosts_reason(machine: Machine, make_runner: Make) -> None:
    hopeless = wait_for(
        "echo 'it has restarted itself 9 times'; exit 2", deadline=500.0, explain="echo 'level=fatal: wrong token'"
    )
    (result,) = make_runner(machine).execute(make_plan(Stage("s", (hopeless,))))
    assert result.status is Status.FAILED
    assert result.detail == "h1: it has restarted itself 9 times\n  why:  level=fatal: wrong token"


def test_a_wait_that_takes_too_long_tells_what_it_saw_last(machine: Machine, make_runner: Make) -> None:
    late = wait_for("echo 'node w1 is not Ready'; exit 1", deadline=1.0, explain="true")
    (result,) = make_runner(machine).execute(make_plan(Stage("s", (late,))))
    assert result.detail == "h1: node w1 is not Ready (after 1 s)\n  why:  the host's log says nothing about it"


def test_the_reason_comes_from_the_host_that_the_step_is_about(
    machine: Machine, second: Machine, make_runner: Make
) -> None:
    asked = Step("h2", "wait", "a test", Wait("echo no; exit 2", explain="echo from $0; pwd >/dev/null"), on="h1")
    (result,) = make_runner(machine, second).execute(make_plan(Stage("s", (asked,))))
    assert result.detail.startswith("h2: no")
    assert second.scripts == ["echo from $0; pwd >/dev/null"]


def test_a_reason_that_can_not_be_asked_for_does_not_hide_the_failure(
    machine: Machine, second: Machine, make_runner: Make
) -> None:
    second.is_up = False
    asked = Step("h2", "wait", "a test", Wait("echo no; exit 2", explain="true"), on="h1")
    (result,) = make_runner(machine, second).execute(make_plan(Stage("s", (asked,))))
    assert result.status is Status.FAILED
    assert "h2: no answer" in result.detail


def test_what_is_seen_while_waiting_is_said(
    machine: Machine, make_runner: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "WAIT_SLICE", 1.0)
    notes = Notes()
    script = f"echo 'node is not Ready'; echo look >> {machine.root}/count; [ $(wc -l < {machine.root}/count) -ge 6 ]"
    make_runner(machine, progress=notes).execute(make_plan(Stage("s", (wait_for(script),))))
    assert "h1: node is not Ready" in notes.lines


def test_a_wait_goes_on_over_a_new_connection(machine: Machine, make_runner: Make) -> None:
    machine.losses[:] = ["after", "before"]
    assert states(make_runner(machine).execute(make_plan(Stage("s", (wait_for("true"),))))) == [("h1", "done")]


# --- files of the lock ---------------------------------------------------------------------------

FILE = LockedFile("k3s", "v1", "amd64", "https://example.com/k3s", 5, digest("hello"))


def fetching(*rules: tuple[str, CommandResult | Exception]) -> RuleTransport:
    return RuleTransport("h1", [*rules, ("the lease of this host is lost", OK)])


def fetch(make_runner: Make, host: RuleTransport, source: Path, **options: object) -> StepResult:
    plan = make_plan(Stage("s", (Step("h1", "bring", "a test", Fetch(FILE, "/usr/local/bin/k3s")),)))
    options = {"download_on_hosts": True, "obtain": lambda file: source, **options}
    (result,) = make_runner(connect=lambda name: host, **options).execute(plan)
    return result


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "k3s"
    path.write_text("hello")
    return path


def test_a_host_that_has_a_way_downloads_by_itself(make_runner: Make, source: Path) -> None:
    host = fetching(("curl", OK))
    result = fetch(make_runner, host, source)
    assert (result.detail, host.files) == ("downloaded by the host", {})


@pytest.mark.parametrize(
    "failure", [CommandResult(3, "", "curl: (6) no such host"), CommandResult(4, "", "the download has sha256 0")]
)
def test_what_a_host_can_not_download_is_uploaded(
    make_runner: Make, source: Path, failure: CommandResult, tmp_path: Path
) -> None:
    host = fetching(("curl", failure))
    result = fetch(make_runner, host, source)
    assert (result.detail, host.files) == ("uploaded", {"/usr/local/bin/k3s": b"hello"})
    assert f"not downloaded by the host: {failure.stderr}; uploading" in (tmp_path / "logs" / "h1.log").read_text()


def test_with_a_mirror_everything_is_uploaded(make_runner: Make, source: Path) -> None:
    host = fetching()
    assert fetch(make_runner, host, source, download_on_hosts=False).detail == "uploaded"


def test_a_file_that_nobody_has_fails_the_step(make_runner: Make) -> None:
    def obtain(file: LockedFile) -> Path:
        raise LockError("can't get k3s v1 (amd64)", next_step="check the network")

    result = fetch(make_runner, fetching(("curl", CommandResult(3, "", ""))), Path("none"), obtain=obtain)
    assert result.status is Status.FAILED
    assert "can't get k3s v1 (amd64)" in result.detail


def test_a_connection_lost_in_a_download_starts_it_again(make_runner: Make, source: Path) -> None:
    answers = iter([ConnectionLostError("h1", "the connection broke"), OK])

    def curl(script: str, stdin: bytes) -> CommandResult:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    host = RuleTransport("h1", [("curl", curl), ("the lease of this host is lost", OK)])
    assert fetch(make_runner, host, source).detail == "downloaded by the host"


def test_nothing_is_downloaded_or_uploaded_under_a_lost_lease(make_runner: Make, source: Path) -> None:
    host = RuleTransport("h1", [("", CommandResult(LOST_LEASE, "", ""))])
    for on_hosts in (True, False):
        result = fetch(make_runner, host, source, download_on_hosts=on_hosts)
        assert result.status is Status.FAILED
    assert host.files == {}
    assert not any("curl" in script for script in host.scripts)


# --- interruption --------------------------------------------------------------------------------


def test_after_a_stop_nothing_is_started(machine: Machine, make_runner: Make) -> None:
    runner = make_runner(machine)
    runner.stop.set()
    (result,) = runner.execute(make_plan(Stage("s", (step("h1", counting(machine)),))))
    assert (result.status, lines(machine)) == (Status.INTERRUPTED, [])


def test_a_stop_in_the_middle_of_a_stage_ends_it_after_the_step_that_runs(machine: Machine, make_runner: Make) -> None:
    class Impatient(Notes):
        def step_ended(self, result: StepResult) -> None:
            runner.stop.set()

    runner = make_runner(machine, progress=Impatient())
    results = runner.execute(
        make_plan(
            Stage("s", (step("h1", counting(machine)), step("h1", counting(machine)))),
            Stage("t", (step("h1", "true"),)),
        )
    )
    assert states(results) == [("h1", "done"), ("h1", "interrupted"), ("h1", "interrupted")]
    assert lines(machine) == ["run"]


def test_a_wait_is_left_at_once_and_named(machine: Machine, make_runner: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "WAIT_SLICE", 1.0)
    runner = make_runner(machine)
    threading.Timer(0.3, runner.stop.set).start()
    (result,) = runner.execute(make_plan(Stage("s", (wait_for("echo 'not yet'; exit 1", deadline=500.0),))))
    assert result.status is Status.INTERRUPTED
    assert "stopped waiting" in result.detail


def test_an_interrupt_reaches_the_person_while_a_step_still_runs(machine: Machine, make_runner: Make) -> None:
    runner = make_runner(machine)
    started = threading.Event()

    class Started(Notes):
        def step_started(self, step: Step) -> None:
            started.set()

    runner.progress = Started()
    caught = []

    def interrupt(futures: object) -> None:
        started.wait(10)
        time.sleep(0.2)
        caught.extend(step.title for step in runner.running.values())
        raise KeyboardInterrupt

    original, runner_module.join_all = runner_module.join_all, interrupt
    try:
        with pytest.raises(KeyboardInterrupt):
            runner.execute(make_plan(Stage("s", (step("h1", "sleep 2"), step("h1", counting(machine))))))
    finally:
        runner_module.join_all = original
    assert caught == ["run sleep 2"]
    assert runner.stop.is_set()
    while runner.running:
        time.sleep(0.05)
    assert lines(machine) == []


def test_a_bug_in_a_step_reaches_the_main_thread(machine: Machine, make_runner: Make) -> None:
    def fill(text: str, saved: object) -> str:
        raise ZeroDivisionError

    runner = make_runner(machine, fill=fill)
    with pytest.raises(ZeroDivisionError):
        runner.execute(make_plan(Stage("s", (step("h1", "true"),))))
    assert runner.stop.is_set()


def test_a_host_that_is_gone_while_the_person_leaves_is_not_waited_for(make_runner: Make) -> None:
    def connect(name: str) -> object:
        if not calls:
            calls.append(name)
            return RuleTransport("h1", [("", ConnectionLostError("h1", "the connection broke"))])
        runner.stop.set()
        raise UnreachableError("h1", "no answer")

    calls: list[str] = []
    runner = make_runner(connect=connect)
    (result,) = runner.execute(make_plan(Stage("s", (step("h1", "true"),))))
    assert result.status is Status.INTERRUPTED
