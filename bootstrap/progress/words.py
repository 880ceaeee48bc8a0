"""The words that both kinds of progress share, and a stream that outlives its reader."""

from typing import TextIO

from bootstrap.model import Plan, Status, StepResult
from bootstrap.redact import escape_controls
from bootstrap.report.folding import plan_by_host
from bootstrap.report.text import format_seconds


class StepCount:
    """Which of a host's steps is on: `3/7`."""

    def __init__(self, plan: Plan) -> None:
        self._total = {host: len(steps) for host, steps in plan_by_host(plan).items()}
        self._begun: dict[str, int] = {}

    def begin(self, host: str) -> str:
        self._begun[host] = self._begun.get(host, 0) + 1
        return self.show(host)

    def show(self, host: str) -> str:
        begun = self._begun.get(host, 0)
        return f"{begun}/{max(self._total.get(host, 0), begun)}"


def describe_end(result: StepResult) -> str:
    """`done 4.1 s`, `FAILED 60.0 s: why` with the first line of the detail only."""
    if result.status is Status.DONE:
        return f"done {format_seconds(result.seconds)}"
    seconds = f" {format_seconds(result.seconds)}" if result.seconds else ""
    reason = next((f": {line.strip()}" for line in result.detail.splitlines() if line.strip()), "")
    return f"{result.status.upper()}{seconds}{reason}"


def to_one_line(text: str) -> str:
    """Whatever a host printed, as one line that can't steer the terminal."""
    return escape_controls(text.strip("\r\n").replace("\r", "").replace("\n", " | ")).expandtabs(4)


class LastingStream:
    """A text stream whose reader may leave (a closed pipe, a lost terminal) without stopping the run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
        except (OSError, ValueError):  # ValueError: closed
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except ValueError:
            return False
