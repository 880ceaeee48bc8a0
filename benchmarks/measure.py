"""Runs a process and measures it: wall time, CPU time, largest resident set. Knows nothing of what it runs."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One run. `cpu` is user + system of the process and of its descendants that were waited for; `memory` that of the largest."""

    wall: float  # seconds
    cpu: float  # seconds
    memory: float  # MB


@dataclass(frozen=True)
class Subject:
    """A command to measure. `accepts` looks at its exit code and output: a run that did something else does not count."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    accepts: Callable[[int, str], bool] = lambda code, _output: code == 0


def run_once(subject: Subject, log: Path) -> Sample:
    """Raises RuntimeError with the end of the output when the command did not do what it should."""
    environment = {**os.environ, **subject.environment}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # programs in use have their bytecode: nobody compiles at each start
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            subject.words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=subject.folder,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(errors="replace")
    if not subject.accepts(process.returncode, text):
        raise RuntimeError(f"{subject.name} ended with exit code {process.returncode}:\n{text[-2000:]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@dataclass
class Series:
    """All runs of one subject."""

    samples: list[Sample] = field(default_factory=list)

    def median(self, of: str) -> float:
        return statistics.median(self.values(of))

    def values(self, of: str) -> list[float]:
        return [getattr(sample, of) for sample in self.samples]


def interleave(
    subjects: Sequence[tuple[Subject, int]], log: Path, after_each: Callable[[], None] = lambda: None
) -> dict[str, Series]:
    """Run each subject as often as given, in turns: what slows the machine down slows all of them down.

    A first run of each is thrown away: it fills the page cache and writes bytecode.
    """
    series = {subject.name: Series() for subject, _ in subjects}
    for turn in range(max((runs for _, runs in subjects), default=0) + 1):
        for subject, runs in subjects:
            if turn <= runs:
                sample = run_once(subject, log)
                after_each()
                if turn:
                    series[subject.name].samples.append(sample)
    return series


def load() -> float:
    """Processes that wanted a core during the last minute."""
    return os.getloadavg()[0]
