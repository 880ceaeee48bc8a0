"""Progress on a terminal: lines that change in place."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO, cast

from bootstrap.model import Plan, Stage, Status, Step, StepResult
from bootstrap.progress.words import LastingStream, StepCount, describe_end, to_one_line
from bootstrap.redact import Redactor
from bootstrap.report.folding import name_step
from bootstrap.report.text import count, format_seconds, list_hosts

if TYPE_CHECKING:
    from rich.text import Text

SPOKEN_FOR = 10.0  # seconds that a line said by a host stays beside its step


@dataclass
class HostLine:
    """A host's current step as it stands on the terminal."""

    number: str
    title: str
    began: float
    said: str = ""
    said_at: float = 0.0


@dataclass
class StageLine:
    """The stage that is on: the steps that each host has left, who failed, and since when."""

    title: str
    began: float
    left: dict[str, int]
    failed: list[str] = field(default_factory=list)

    @property
    def not_done(self) -> list[str]:
        return [host for host, left in self.left.items() if left or host in self.failed]


class LiveProgress:
    """A line for each host at work; a stage that is over shrinks to one line above them."""

    def __init__(
        self, stream: TextIO, redactor: Redactor, plan: Plan, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from rich.console import Console
        from rich.live import Live

        lasting = LastingStream(stream)
        self._redactor, self._clock = redactor, clock
        self._signs = ("✓", "✗") if lasting.encoding.lower().startswith("utf") else ("+", "x")
        self._lock = threading.Lock()
        self._count = StepCount(plan)
        self._hosts: dict[str, HostLine] = {}
        self._stage: StageLine | None = None
        self._console = Console(file=cast("TextIO", lasting), highlight=False, markup=False, emoji=False)
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def stage_started(self, stage: Stage) -> None:
        with self._lock:
            self._end_stage()
            left = {host: len(stage.steps_of(host)) for host in stage.hosts()}
            self._stage = StageLine(self._clean(stage.title), self._clock(), left)

    def step_started(self, step: Step) -> None:
        with self._lock:
            number = self._count.begin(step.host)
            self._hosts[step.host] = HostLine(number, self._clean(name_step(step)), self._clock())

    def step_ended(self, result: StepResult) -> None:
        host = result.step.host
        with self._lock:
            self._hosts.pop(host, None)
            if self._stage and self._stage.left.get(host):
                self._stage.left[host] -= 1
            if result.status is not Status.DONE:
                self._note_trouble(result)

    def say(self, host: str, line: str) -> None:
        said = self._clean(line)
        with self._lock:
            current = self._hosts.get(host)
            if current:
                current.said, current.said_at = said, self._clock()
            elif said:
                self._print(f"  {host}: {said}", "")

    def close(self) -> None:
        with self._lock:
            self._end_stage()
            self._hosts.clear()
        self._live.stop()

    def _note_trouble(self, result: StepResult) -> None:
        host = result.step.host
        if self._stage:
            self._stage.failed.append(host)
        if result.status is not Status.SKIPPED:
            text = (
                f"  {self._signs[1]} {host} {self._count.show(host)} {name_step(result.step)}: {describe_end(result)}"
            )
            self._print(self._clean(text), "red")

    def _end_stage(self) -> None:
        """The stage in one line that stays."""
        if self._stage is None:
            return
        stage, self._stage = self._stage, None
        text = f"{stage.title}: {count(len(stage.left), 'host')}, {format_seconds(self._clock() - stage.began)}"
        if stage.not_done:
            self._print(f"{self._signs[1]} {text}, not done on {list_hosts(stage.not_done)}", "red")
        else:
            self._print(f"{self._signs[0]} {text}", "green")

    def _print(self, line: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(line, style=style))

    def _clean(self, text: str) -> str:
        return to_one_line(self._redactor.mask(text))

    def _render(self) -> "Text":
        """The stage and as many hosts as the terminal has lines for.

        Takes no lock of ours: rich calls it with its own lock held, which our printing takes after ours.
        """
        from rich.text import Text

        stage, hosts, now = self._stage, self._hosts.copy(), self._clock()
        if stage is None:
            return Text("")
        room = max(self._console.height - 3, 1)
        shown = [host for host in stage.left if host in hosts][:room]
        width = max(map(len, shown), default=0)
        lines = [_describe_stage(stage), *(_describe_host(host, hosts[host], width, now) for host in shown)]
        if len(hosts) > len(shown):
            lines.append(f"  ... and {count(len(hosts) - len(shown), 'more host')}")
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")


def _describe_stage(stage: StageLine) -> str:
    over = len(stage.left) - len(stage.not_done)
    return f"> {stage.title}: {over} of {count(len(stage.left), 'host')} done"


def _describe_host(host: str, line: HostLine, width: int, now: float) -> str:
    said = f"  {line.said}" if line.said and now - line.said_at < SPOKEN_FOR else ""
    return f"  {host:<{width}}  {line.number:>5}  {line.title}  {format_seconds(now - line.began)}{said}"
