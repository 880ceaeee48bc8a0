"""Executes a plan; the only module that changes a machine."""

import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.errors import (
    BootstrapError,
    ConnectionLostError,
    DeadlineError,
    StepError,
    TransportError,
    UnreachableError,
)
from bootstrap.model import (
    CommandResult,
    Fetch,
    LockedFile,
    Plan,
    Put,
    Run,
    Secret,
    Stage,
    Status,
    Step,
    StepResult,
    Wait,
    digest,
)
from bootstrap.operations import (
    LOST_LEASE,
    TIME_IS_UP,
    OperationState,
    attach_script,
    download_script,
    fence,
    read_state,
    start_script,
    wait_script,
)
from bootstrap.progress import HostLogs, Progress
from bootstrap.transport import Transport

# The outcome is unknown: the host is asked again. Each exec asks for a slice only, so a deadline missed is silence.
SILENT = (ConnectionLostError, DeadlineError)
UPLOADS_AT_ONCE = 4  # more gain nothing on a gigabit line
RECONNECT_FOR = 120.0  # seconds that a lost host gets to come back in the middle of a step
WAIT_SLICE = 10.0  # seconds of waiting in one exec


@dataclass
class Runner:
    """What the interpreter of plans needs; `fill` turns references into values, `obtain` a locked file into a path."""

    connect: Callable[[str], Transport]
    run_id: str
    fill: Callable[[str, dict[str, Secret]], str]
    obtain: Callable[[LockedFile], Path]
    download_on_hosts: bool
    progress: Progress
    logs: HostLogs
    stop: threading.Event = field(default_factory=threading.Event)
    saved: dict[str, Secret] = field(default_factory=dict)
    running: dict[str, Step] = field(default_factory=dict)
    _uploads: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(UPLOADS_AT_ONCE))

    def execute(self, plan: Plan) -> tuple[StepResult, ...]:
        """Every step's result, in the plan's order. A host that failed drops out; a critical stage that failed ends the run."""
        results: list[StepResult] = []
        out: set[str] = set()
        for number, stage in enumerate(plan.stages):
            if self.stop.is_set():
                results += [StepResult(step, Status.INTERRUPTED, "not started") for step in stage.steps]
                continue
            found = self._execute_stage(f"{number}", stage, out)
            results += found
            out |= {result.step.host for result in found if result.status is not Status.DONE}
            if stage.critical and any(result.status is not Status.DONE for result in found):
                rest = [step for later in plan.stages[number + 1 :] for step in later.steps]
                why = f"stage '{stage.title}' did not end well"
                return (*results, *(StepResult(step, Status.SKIPPED, why) for step in rest))
        return tuple(results)

    def _execute_stage(self, number: str, stage: Stage, out: set[str]) -> list[StepResult]:
        self.progress.stage_started(stage)
        hosts = stage.hosts()
        halted = threading.Event()
        found: dict[str, list[StepResult]] = {}

        def walk(host: str) -> None:
            found[host] = self._walk(number, stage, host, host in out or halted.is_set())
            if stage.critical and any(result.status is not Status.DONE for result in found[host]):
                halted.set()

        pool = ThreadPoolExecutor(max_workers=max(1, min(stage.at_once, len(hosts))))
        try:
            join_all([pool.submit(walk, host) for host in hosts])
        except BaseException:
            self.stop.set()  # Ctrl-C must not wait for what runs on hosts: it is named, and goes on there
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return [result for host in hosts for result in found.get(host, [])]

    def _walk(self, number: str, stage: Stage, host: str, dropped: bool) -> list[StepResult]:  # noqa: FBT001
        results: list[StepResult] = []
        for index, step in enumerate(stage.steps_of(host)):
            if dropped or any(result.status is not Status.DONE for result in results):
                results.append(StepResult(step, Status.SKIPPED, "an earlier step of this host did not end well"))
            elif self.stop.is_set():
                results.append(StepResult(step, Status.INTERRUPTED, "not started"))
            else:
                results.append(self._execute_step(f"{self.run_id}-{number}-{index}-{host}", step))
        return results

    def _execute_step(self, identity: str, step: Step) -> StepResult:
        started = time.monotonic()
        self.progress.step_started(step)
        self.running[identity] = step
        self.logs.write(step.host, f"== {step.title} ({step.place})\n   why: {step.reason}\n")
        try:
            detail, status = self._act(identity, step), Status.DONE
        except (ConnectionLostError, UnreachableError) as error:
            detail, status = str(error), Status.INTERRUPTED if self.stop.is_set() else Status.UNKNOWN
        except BootstrapError as error:
            detail, status = str(error), Status.INTERRUPTED if self.stop.is_set() else Status.FAILED
        except OSError as error:  # of this machine, such as a full disk: the other hosts go on
            detail, status = f"this machine: {error}", Status.FAILED
        finally:
            self.running.pop(identity, None)
        result = StepResult(step, status, detail, time.monotonic() - started)
        self.logs.write(step.host, f"   {status} after {result.seconds:.1f} s\n{detail}\n")
        self.progress.step_ended(result)
        return result

    # --- actions -----------------------------------------------------------------------------

    def _act(self, identity: str, step: Step) -> str:
        match step.action:
            case Put():
                return self._put(step, step.action)
            case Fetch():
                return self._fetch(step, step.action)
            case Run():
                return self._run(identity, step, step.action)
            case Wait():
                return self._wait(step, step.action)

    def _put(self, step: Step, action: Put) -> str:
        content = self.fill(action.content, self.saved).encode()
        self._again(step, lambda host: self._put_once(host, action, content))
        return ""

    def _put_once(self, host: Transport, action: Put, content: bytes) -> None:
        self._check_lease(host)
        host.put(content, action.path, mode=action.mode, owner=action.owner, sha256=digest(content))

    def _check_lease(self, host: Transport) -> None:
        if host.run(fence(self.run_id)).exit_code == LOST_LEASE:
            raise lost_lease(host.host)

    def _fetch(self, step: Step, action: Fetch) -> str:
        if self.download_on_hosts and action.file.url.startswith("https://"):
            problems: list[str] = []
            self._again(step, lambda host: problems.extend(self._download(host, action)))
            if not problems:
                return "downloaded by the host"
            self.logs.write(step.host, f"   not downloaded by the host: {problems[-1]}; uploading\n")
        path = self.obtain(action.file)
        with self._uploads:
            self._again(step, lambda host: self._upload(host, action, path))
        return "uploaded"

    def _download(self, host: Transport, action: Fetch) -> list[str]:
        """Why the host could not download it; empty when it could."""
        self._check_lease(host)
        script = download_script(action.file.url, action.path, action.mode, action.file.sha256, action.file.size)
        result = host.run(script, deadline=900.0)
        return [] if result.ok else [result.stderr.strip() or "no way to the internet, or neither curl nor wget"]

    def _upload(self, host: Transport, action: Fetch, path: Path) -> None:
        self._check_lease(host)
        with path.open("rb") as source:
            host.put(source, action.path, mode=action.mode, sha256=action.file.sha256)

    def _again(self, step: Step, act: Callable[[Transport], None]) -> None:
        """Do it, and once more over a new connection when the first one broke: for acts that may be done twice."""
        try:
            act(self.connect(step.place))
        except SILENT:
            act(self._reconnect(step))

    def _reconnect(self, step: Step) -> Transport:
        self.progress.say(step.host, "connection lost; asking the host again")
        end = time.monotonic() + RECONNECT_FOR
        while True:
            try:
                return self.connect(step.place)
            except UnreachableError:
                if time.monotonic() > end or self.stop.is_set():
                    raise
                self.stop.wait(2.0)

    def _run(self, identity: str, step: Step, action: Run) -> str:
        stdin = self.fill(action.stdin or "", self.saved).encode()
        script = start_script(
            self.run_id,
            identity,
            step.title,
            self.fill(action.script, self.saved),
            action.deadline,
            f"END-{secrets.token_hex(8)}",
            input_size=len(stdin),
        )
        end = time.monotonic() + action.deadline + 30.0
        host, feed = self.connect(step.place), stdin
        while True:
            try:
                result = host.run(script, stdin=feed, deadline=60.0)
            except SILENT:
                if time.monotonic() > end:
                    raise
                host = self._reconnect(step)  # the same script again: it attaches to what it started
                continue
            if result.exit_code == LOST_LEASE:
                raise lost_lease(step.place)
            if not result.ok:
                raise StepError(
                    f"could not be started (exit code {result.exit_code})", where=step.place, why=_tail(result.stderr)
                )
            state = self._read_state(step, result)
            if state.exit_code is not None:
                return self._end_run(step, action, state.exit_code, state.stdout, state.stderr)
            if state.gone:
                raise ConnectionLostError(
                    step.place,
                    "the host restarted while the step ran",
                    next_step="apply again: it starts from what is there",
                )
            if time.monotonic() > end:
                raise DeadlineError(step.place, f"did not end within {action.deadline:.0f} s")
            if self.stop.is_set():
                raise StepError("still runs on the host", where=step.place)
            script, feed = attach_script(identity), b""

    def _read_state(self, step: Step, result: CommandResult) -> OperationState:
        try:
            return read_state(result.stdout, result.stderr)
        except ValueError:
            seen = _tail(f"{result.stdout}\n{result.stderr}")
            raise StepError("the host's answer can't be read", where=step.place, why=seen) from None

    def _end_run(self, step: Step, action: Run, code: int, stdout: str, stderr: str) -> str:
        if code == 0 and action.save_as:
            self._save(step, action, stdout.strip().splitlines())
            return ""
        output = "\n".join(part for part in (stdout.strip(), stderr.strip()) if part)
        self.logs.write(step.host, f"{output}\n")
        if code == TIME_IS_UP:
            raise DeadlineError(step.place, f"did not end within {action.deadline:.0f} s", why=_tail(output))
        if code != 0:
            raise StepError(f"exit code {code}", where=step.place, why=_tail(output))
        return ""

    def _save(self, step: Step, action: Run, lines: list[str]) -> None:
        if len(lines) != len(action.save_as):
            what = f"printed {len(lines)} lines, and {len(action.save_as)} values were to be kept"
            raise StepError(what, where=step.place)
        self.saved |= {name: Secret(line.strip()) for name, line in zip(action.save_as, lines, strict=True)}

    def _wait(self, step: Step, action: Wait) -> str:
        end = time.monotonic() + action.deadline
        host = self.connect(step.place)
        while True:
            seconds = min(WAIT_SLICE, max(1.0, end - time.monotonic()))
            try:
                result = host.run(wait_script(action.script, seconds), deadline=seconds + 60.0)
            except SILENT:
                if time.monotonic() > end:
                    raise
                host = self._reconnect(step)
                continue
            seen = result.stdout.strip()
            if result.ok:
                return ""
            if result.exit_code not in (0, 1) or time.monotonic() >= end:
                raise self._explain(step, action, seen or _tail(result.stderr), in_time=time.monotonic() < end)
            if self.stop.is_set():
                raise StepError("stopped waiting", where=step.place, why=seen)
            self.progress.say(step.host, seen)

    def _explain(self, step: Step, action: Wait, seen: str, *, in_time: bool) -> StepError:
        """The host's own words for it, from the host that the step is about."""
        said = ""
        if action.explain:
            try:
                said = self.connect(step.host).run(action.explain, deadline=30.0).stdout.strip()
            except TransportError as error:
                said = str(error)
        what = seen if in_time else f"{seen} (after {action.deadline:.0f} s)"
        return StepError(what, where=step.host, why=said or "the host's log says nothing about it")


def join_all(futures: list[Future[None]]) -> None:
    """Wait in small turns, so that Ctrl-C reaches the main thread at once. Raises what a future raised."""
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, timeout=0.2)
        for future in ended:
            future.result()


def lost_lease(host: str) -> StepError:
    return StepError(
        "the lease of this host is lost: nothing was written",
        where=host,
        why="another run took it over, or the host restarted",
        next_step="apply again",
    )


def _tail(text: str, lines: int = 5) -> str:
    return "\n        ".join(text.strip().splitlines()[-lines:]) or "no output"
