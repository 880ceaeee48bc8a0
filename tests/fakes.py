"""Hosts that are none: a transport that answers by rules, one that runs scripts in a folder, and connections that break."""

import io
import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bootstrap.errors import ConnectionLostError, DeadlineError, UnreachableError
from bootstrap.facts import RUN_FOLDER, STATE_FOLDER
from bootstrap.model import CommandResult, Plan, Stage, Step, StepResult, digest

OK = CommandResult(0, "", "")


@dataclass
class RuleTransport:
    """Answers each script by the first rule whose pattern is in it, and refuses a script that no rule knows."""

    host: str
    rules: Sequence[tuple[str, CommandResult | Exception | Callable[[str, bytes], CommandResult]]]
    scripts: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    inputs: list[bytes] = field(default_factory=list)

    def run(self, script: str, *, stdin: bytes = b"", deadline: float = 60.0) -> CommandResult:
        self.scripts.append(script)
        self.inputs.append(stdin)
        for pattern, answer in self.rules:
            if re.search(pattern, script):
                if isinstance(answer, Exception):
                    raise answer
                return answer if isinstance(answer, CommandResult) else answer(script, stdin)
        raise AssertionError(f"{self.host}: no rule for this script:\n{script}")

    def put(
        self, source: bytes | BinaryIO, path: str, *, mode: str = "0644", owner: str = "root:root", sha256: str
    ) -> None:
        content = source if isinstance(source, bytes) else source.read()
        assert digest(content) == sha256
        self.files[path] = content

    def close(self) -> None: ...


@dataclass
class Machine:
    """A host whose scripts really run, as this user, in a shell of choice; its places lie below `root`.

    `lose_after` holds, for the runs to come, whether the connection breaks before the script is there (`before`),
    or while its answer is on the way (`after`); None lets a run be.
    """

    name: str
    root: Path
    shell: tuple[str, ...] = ("sh",)
    applets: Path | None = None  # a folder of commands that come before the system's
    losses: list[str | None] = field(default_factory=list)
    is_up: bool = True
    scripts: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def place(self, path: str) -> Path:
        """Where a path of the host lies here."""
        return Path(self.translate(path))

    def translate(self, script: str) -> str:
        moved = {
            RUN_FOLDER: "run-bootstrap",
            STATE_FOLDER: "state",
            "/run/systemd/system": "no-systemd",
            "/target/": "target/",
        }
        for path, name in moved.items():
            script = script.replace(path, f"{self.root}/{name}")
        return script.replace("export PATH=", f"export PATH={self.applets}:" if self.applets else "export PATH=")

    def connect(self) -> "ShellTransport":
        if not self.is_up:
            raise UnreachableError(self.name, "no answer")
        return ShellTransport(self)

    def reboot(self) -> None:
        subprocess.run(["rm", "-rf", self.place(RUN_FOLDER)], check=True)


@dataclass
class ShellTransport:
    """One connection to a Machine."""

    machine: Machine

    @property
    def host(self) -> str:
        return self.machine.name

    def run(self, script: str, *, stdin: bytes = b"", deadline: float = 60.0) -> CommandResult:
        with self.machine.guard:
            loss = self.machine.losses.pop(0) if self.machine.losses else None
            self.machine.scripts.append(script)
        if loss == "before":
            raise ConnectionLostError(self.host, "the connection broke")
        words = [*self.machine.shell, "-c", self.machine.translate(script)]
        path = f"{self.machine.applets}:{os.environ['PATH']}" if self.machine.applets else os.environ["PATH"]
        try:
            done = subprocess.run(
                words, input=stdin, capture_output=True, timeout=deadline, check=False, env={**os.environ, "PATH": path}
            )
        except subprocess.TimeoutExpired:
            raise DeadlineError(self.host, "too late") from None
        if loss == "after":
            raise ConnectionLostError(self.host, "the connection broke")
        return CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())

    def put(
        self, source: bytes | BinaryIO, path: str, *, mode: str = "0644", owner: str = "root:root", sha256: str
    ) -> None:
        with self.machine.guard:
            loss = self.machine.losses.pop(0) if self.machine.losses else None
        if loss == "before":
            raise ConnectionLostError(self.host, "the connection broke")
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        target = self.machine.place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(stream.read())
        if loss == "after":
            raise ConnectionLostError(self.host, "the connection broke")

    def close(self) -> None: ...


class Notes:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.lines: list[str] = []
        self.ended: list[StepResult] = []

    def stage_started(self, stage: Stage) -> None:
        self.stages.append(stage.title)

    def step_started(self, step: Step) -> None:
        self.lines.append(f"{step.host}: {step.title}")

    def step_ended(self, result: StepResult) -> None:
        self.ended.append(result)

    def say(self, host: str, line: str) -> None:
        self.lines.append(f"{host}: {line}")

    def close(self) -> None: ...


def make_plan(*stages: Stage) -> Plan:
    return Plan("home", "apply", stages)
