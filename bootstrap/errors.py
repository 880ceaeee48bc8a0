"""One error class per origin, one exit code each. No I/O, no formatting for terminals."""

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns; documented in docs/exit-codes.md."""

    DONE = 0
    ERROR = 1
    DIFFERENCES = 2
    INVALID_INVENTORY = 3
    UNREACHABLE = 4
    VERIFICATION_FAILED = 5
    LOCKED = 6
    USAGE = 64
    INTERRUPTED = 130


class BootstrapError(Exception):
    """What happened, where, why, and what the person can do next."""

    exit_code = ExitCode.ERROR

    def __init__(self, what: str, *, where: str = "", why: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        lines = [f"{place}{self.what}"]
        if self.why:
            lines.append(f"  why:  {self.why}")
        if self.next_step:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)


class UsageError(BootstrapError):
    """The command line asks for something that can't be."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True)
class Problem:
    """One mistake in a file, with its place; `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source: str = ""

    @property
    def position(self) -> tuple[str, int, int]:
        return (self.file, self.line, self.column)


class InventoryError(BootstrapError):
    """All mistakes of an inventory at once, sorted by position."""

    exit_code = ExitCode.INVALID_INVENTORY

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.position, problem.message))
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the inventory")


class RenderError(BootstrapError):
    """A template can't be rendered."""


class LockError(BootstrapError):
    """artifacts.lock is missing, stale or can't be resolved."""


class SecretError(BootstrapError):
    """A referenced secret can't be read."""


class TransportError(BootstrapError):
    """Talking to one host failed; `host` names it."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, host: str, what: str, *, why: str = "", next_step: str = "") -> None:
        super().__init__(what, where=host, why=why, next_step=next_step)
        self.host = host


class UnreachableError(TransportError):
    """No SSH connection could be made: refused, silent, no route, no banner. Trying again may help."""


class HostKeyError(TransportError):
    """The host's key is not the pinned one, or none is pinned. Refused before authentication."""


class AuthenticationError(TransportError):
    """The host refused our keys."""


class EscalationError(TransportError):
    """Becoming root by sudo or doas was refused."""

    exit_code = ExitCode.ERROR


class ConnectionLostError(TransportError):
    """The connection broke while a command ran: its outcome is unknown, not failed."""


class DeadlineError(TransportError):
    """A command did not end within its deadline."""

    exit_code = ExitCode.ERROR


class PreflightError(BootstrapError):
    """Findings that stop before any write; `findings` holds one line each."""

    def __init__(self, findings: list[str]) -> None:
        count = len(findings)
        super().__init__(f"{count} finding{'s' if count != 1 else ''} must be settled before anything is changed")
        self.findings = findings


class PlanRefusedError(BootstrapError):
    """The wanted change can't be made on a living cluster, or the world changed since the plan."""


class StepError(BootstrapError):
    """A step of a plan failed on a host."""


class VerificationError(BootstrapError):
    """The cluster is not what the inventory says."""

    exit_code = ExitCode.VERIFICATION_FAILED


class LockedError(BootstrapError):
    """Another run holds the lease."""

    exit_code = ExitCode.LOCKED


class InterruptedRunError(BootstrapError):
    """The person pressed Ctrl-C."""

    exit_code = ExitCode.INTERRUPTED


class SandboxError(BootstrapError):
    """Throw-away hosts can't be made or reached on this machine."""


class ApiError(BootstrapError):
    """The Kubernetes API can't be asked, or answered something else than asked for."""

    exit_code = ExitCode.VERIFICATION_FAILED
