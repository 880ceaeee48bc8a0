"""Progress where no cursor can move: pipes, files, CI."""

import threading
from typing import TextIO

from bootstrap.model import Plan, Stage, Status, Step, StepResult
from bootstrap.progress.words import LastingStream, StepCount, describe_end, to_one_line
from bootstrap.redact import Redactor
from bootstrap.report.folding import name_step
from bootstrap.report.text import list_hosts


class PlainProgress:
    """One line for each event: `[pi-2] 3/7 start k3s ... done 4.1 s`."""

    def __init__(self, stream: TextIO, redactor: Redactor, plan: Plan) -> None:
        self._stream, self._redactor = LastingStream(stream), redactor
        self._lock = threading.Lock()
        self._count = StepCount(plan)

    def stage_started(self, stage: Stage) -> None:
        with self._lock:
            self._write(f"== {stage.title}: {list_hosts(stage.hosts())}")

    def step_started(self, step: Step) -> None:
        with self._lock:
            self._write(f"[{step.host}] {self._count.begin(step.host)} {name_step(step)} ...")

    def step_ended(self, result: StepResult) -> None:
        host, title = result.step.host, name_step(result.step)
        with self._lock:
            number = "" if result.status is Status.SKIPPED else f"{self._count.show(host)} "
            self._write(f"[{host}] {number}{title} ... {describe_end(result)}")

    def say(self, host: str, line: str) -> None:
        with self._lock:
            self._write(f"[{host}] {line}")

    def close(self) -> None:
        with self._lock:
            self._stream.flush()

    def _write(self, line: str) -> None:
        self._stream.write(to_one_line(self._redactor.mask(line)) + "\n")
        self._stream.flush()
