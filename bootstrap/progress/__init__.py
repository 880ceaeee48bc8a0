"""What a run shows while it goes on, and a log for each host. Writes to standard error and the log folder only."""

import os
from typing import Protocol, TextIO

from bootstrap.model import Plan, Stage, Step, StepResult
from bootstrap.progress.live import LiveProgress
from bootstrap.progress.logs import HostLogs, log_folder
from bootstrap.progress.plain import PlainProgress
from bootstrap.redact import Redactor


class Progress(Protocol):
    """Is told what the runner does; every method may be called from any thread, and none raises."""

    def stage_started(self, stage: Stage) -> None: ...

    def step_started(self, step: Step) -> None: ...

    def step_ended(self, result: StepResult) -> None: ...

    def say(self, host: str, line: str) -> None:
        """One line that a host printed, or that a person should read about it."""
        ...

    def close(self) -> None:
        """Leaves the terminal as it was. May be called twice."""
        ...


def open_progress(stream: TextIO, redactor: Redactor, plan: Plan) -> Progress:
    """Live lines on a terminal that can move its cursor, plain lines elsewhere."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return LiveProgress(stream, redactor, plan)
    return PlainProgress(stream, redactor, plan)


__all__ = ["HostLogs", "LiveProgress", "PlainProgress", "Progress", "log_folder", "open_progress"]
