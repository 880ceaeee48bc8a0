"""What came of it: results of commands and steps, checks, the report. Values only."""

from dataclasses import dataclass
from enum import StrEnum

from bootstrap.model.planned import Plan, Step


@dataclass(frozen=True)
class CommandResult:
    """How a command ended; `stdout` and `stderr` as text (UTF-8, undecodable bytes replaced)."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


class Status(StrEnum):
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"  # the connection broke and the host could not be asked again
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class StepResult:
    step: Step
    status: Status
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """One thing verified. `ok` is never true by default."""

    name: str
    ok: bool
    detail: str
    subject: str = ""


@dataclass(frozen=True)
class Report:
    """The end of an apply: results, checks, and the plan that was still left."""

    results: tuple[StepResult, ...] = ()
    checks: tuple[Check, ...] = ()
    remaining: Plan | None = None
    log_folder: str = ""

    @property
    def ok(self) -> bool:
        done = all(result.status is Status.DONE for result in self.results)
        checked = bool(self.checks) and all(check.ok for check in self.checks)
        return done and checked and (self.remaining is None or self.remaining.is_empty)
