"""What a run shows while it goes on, on a pipe and on a terminal, and what it leaves in the logs."""

import io
import os
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import samples

from bootstrap.model import Secret, Status, StepResult
from bootstrap.progress import HostLogs, LiveProgress, PlainProgress, Progress, log_folder, open_progress
from bootstrap.redact import MASK, Redactor

REDACTOR = Redactor([Secret("correct-horse")])
PLAN = samples.fresh(3)
PUT, FOUND, JOIN = PLAN.stages


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[str]:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", stream.getvalue())
    return [line for line in re.split("[\r\n]+", text) if line.strip()]


def walk(progress: Progress) -> None:
    """The first stage, the founder's first step failing, and the rest left out."""
    progress.stage_started(PUT)
    for step in PUT.steps:
        progress.step_started(step)
        progress.step_ended(StepResult(step, Status.DONE, "", 4.1))
    progress.stage_started(FOUND)
    start, wait = FOUND.steps
    progress.step_started(start)
    progress.say("pi-1", "token is correct-horse\r\x1b[31m\n")
    progress.step_ended(StepResult(start, Status.FAILED, "\nno token\nsecond line", 60.0))
    progress.step_ended(StepResult(wait, Status.SKIPPED))
    progress.close()


# --- plain ---------------------------------------------------------------------------------------


def test_plain_progress_is_one_line_for_each_event() -> None:
    stream = io.StringIO()
    walk(PlainProgress(stream, REDACTOR, PLAN))
    lines = stream.getvalue().splitlines()
    assert lines[:3] == [
        "== put files: pi-1, pi-2, pi-3",
        "[pi-1] 1/4 fetch k3s v1.36.3+k3s1 ...",
        "[pi-1] 1/4 fetch k3s v1.36.3+k3s1 ... done 4.1 s",
    ]
    assert lines[-5:] == [
        "== found the cluster: pi-1",
        "[pi-1] 3/4 start k3s ...",
        f"[pi-1] token is {MASK}\\x1b[31m",
        "[pi-1] 3/4 start k3s ... FAILED 1 min 00 s: no token",
        "[pi-1] wait until Node pi-1 is Ready ... SKIPPED",
    ]


def test_lines_of_many_threads_stay_whole() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, REDACTOR, PLAN)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: progress.say("pi-1", "x" * 200 + str(number)), range(400)))
    assert all(re.fullmatch(r"\[pi-1\] x{200}\d+", line) for line in stream.getvalue().splitlines())
    assert len(stream.getvalue().splitlines()) == 400


def test_a_reader_that_leaves_does_not_stop_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = io.TextIOWrapper(io.FileIO(writing, "w"), "utf-8", write_through=True)
    with pytest.raises(BrokenPipeError):
        stream.write("x")
    walk(PlainProgress(stream, REDACTOR, PLAN))


def test_a_stream_that_knows_ascii_only_gets_escapes() -> None:
    raw = io.BytesIO()
    progress = PlainProgress(io.TextIOWrapper(raw, "ascii"), REDACTOR, PLAN)
    progress.say("pi-1", "größe ✓")
    assert raw.getvalue() == b"[pi-1] gr\\xf6\\xdfe \\u2713\n"


# --- live ----------------------------------------------------------------------------------------


def test_a_stage_that_is_over_shrinks_to_a_line_that_stays() -> None:
    stream = Terminal()
    walk(LiveProgress(stream, REDACTOR, PLAN, clock=lambda: 0.0))
    lines = lines_of(stream)
    assert "✓ put files: 3 hosts, 0.0 s" in lines
    assert "  ✗ pi-1 3/4 start k3s: FAILED 1 min 00 s: no token" in lines
    assert "✗ found the cluster: 1 host, 0.0 s, not done on pi-1" in lines


def test_a_running_step_shows_its_host_its_number_its_age_and_what_the_host_said() -> None:
    now = [100.0]
    progress = LiveProgress(Terminal(), REDACTOR, PLAN, clock=lambda: now[0])
    progress.stage_started(JOIN)
    for step in (JOIN.steps[0], JOIN.steps[2]):
        progress.step_started(step)
    progress.say("pi-2", "waiting for correct-horse")
    now[0] += 3.0
    shown = progress._render().plain.splitlines()
    assert shown == [
        "> join: 0 of 2 hosts done",
        f"  pi-2    1/4  start k3s  3.0 s  waiting for {MASK}",
        "  pi-3    1/4  start k3s  3.0 s",
    ]
    now[0] += 60.0
    assert MASK not in progress._render().plain
    progress.close()


def test_more_hosts_than_lines_are_counted() -> None:
    plan = samples.fresh(200)
    progress = LiveProgress(Terminal(), REDACTOR, plan, clock=lambda: 0.0)
    progress.stage_started(plan.stages[0])
    for host in plan.hosts():
        progress.step_started(plan.stages[0].steps_of(host)[0])
    shown = progress._render().plain.splitlines()
    height = progress._console.height
    progress.close()
    assert len(shown) < height
    assert shown[-1] == f"  ... and {200 - (len(shown) - 2)} more hosts"


def test_the_secret_is_never_on_the_terminal_and_the_cursor_comes_back() -> None:
    stream = Terminal()
    progress = LiveProgress(stream, REDACTOR, PLAN)
    walk(progress)
    progress.close()
    assert "correct-horse" not in stream.getvalue()
    assert "\x1b[31m\n" not in stream.getvalue()
    assert stream.getvalue().rfind("\x1b[?25h") > stream.getvalue().rfind("\x1b[?25l")


@pytest.mark.timeout(120)  # two locks taken in two orders would hang for ever
def test_many_threads_and_the_refresh_do_not_lock_each_other() -> None:
    stream = Terminal()
    plan = samples.fresh(40)
    progress = LiveProgress(stream, REDACTOR, plan)
    progress._live.auto_refresh = False
    over = threading.Event()

    def refresh() -> None:
        while not over.is_set():
            progress._live.refresh()

    def work(host: str) -> None:
        for step in plan.stages[0].steps_of(host):
            progress.step_started(step)
            for number in range(5):
                progress.say(host, f"{number}")
            progress.step_ended(StepResult(step, Status.FAILED, "no"))
            progress.say(host, "printed above")

    refresher = threading.Thread(target=refresh)
    refresher.start()
    progress.stage_started(plan.stages[0])
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, plan.hosts()))
    over.set()
    refresher.join(30)
    progress.close()
    assert not refresher.is_alive()
    assert stream.getvalue().count("printed above") == 80


def test_the_stream_decides_which_progress_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    live = open_progress(Terminal(), REDACTOR, PLAN)
    live.close()
    assert isinstance(live, LiveProgress)
    assert isinstance(open_progress(io.StringIO(), REDACTOR, PLAN), PlainProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_progress(Terminal(), REDACTOR, PLAN), PlainProgress)


# --- logs ----------------------------------------------------------------------------------------


def without_times(path: Path) -> list[str]:
    return [re.sub(r"^\d\d:\d\d:\d\d\.\d\d\d ", "", line) for line in path.read_text("utf-8").splitlines()]


def test_each_host_has_a_masked_log_that_only_its_owner_reads(tmp_path: Path) -> None:
    logs = HostLogs(tmp_path / "new" / "run", REDACTOR)
    logs.write("pi-1", "token correct-")
    logs.write("pi-1", "horse\nno newline")
    logs.write("pi-2", "ok\n")
    assert without_times(tmp_path / "new" / "run" / "pi-1.log") == [f"token {MASK}"]
    logs.close()
    assert without_times(tmp_path / "new" / "run" / "pi-1.log") == [f"token {MASK}", "no newline"]
    assert without_times(tmp_path / "new" / "run" / "pi-2.log") == ["ok"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert modes == {"run": 0o700, "pi-1.log": 0o600, "pi-2.log": 0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_logs_of_many_threads_lose_no_line(tmp_path: Path) -> None:
    logs = HostLogs(tmp_path, REDACTOR)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: logs.write("pi-1", f"{number}\n"), range(300)))
    assert sorted(map(int, without_times(tmp_path / "pi-1.log"))) == list(range(300))


def test_a_log_that_can_not_be_written_does_not_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    logs = HostLogs(tmp_path / "file" / "run", REDACTOR)
    logs.write("pi-1", "x\n")
    assert logs.trouble.startswith("no more logs: ")


def test_a_log_never_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "pi-1.log").symlink_to(tmp_path / "elsewhere")
    logs = HostLogs(tmp_path, REDACTOR)
    logs.write("pi-1", "x\n")
    assert logs.trouble
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("host", ["../x", "a/b", "", "."])
def test_a_host_name_that_is_a_path_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="can't name a log file"):
        HostLogs(tmp_path / "logs", REDACTOR).write(host, "x\n")


def test_logs_lie_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert log_folder("home", "7f3a") == tmp_path / "bootstrap" / "logs" / "home" / "7f3a"
