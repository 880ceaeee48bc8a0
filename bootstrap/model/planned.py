"""The plan: stages of steps, each an action with a reason. Values only."""

from dataclasses import dataclass, field
from enum import StrEnum

from bootstrap.model.files import LockedFile
from bootstrap.model.observed import Finding


@dataclass(frozen=True)
class Put:
    """Write a file: temporary file, owner and mode before content, sha256, rename."""

    path: str
    content: str = field(repr=False)
    mode: str = "0644"
    owner: str = "root:root"


@dataclass(frozen=True)
class Fetch:
    """Bring a locked file onto the host: downloaded there, or uploaded; the hash decides."""

    file: LockedFile
    path: str
    mode: str = "0755"


@dataclass(frozen=True)
class Run:
    """Run a script as root, exactly once per boot even when the connection breaks.

    `stdin` may hold references; it never reaches argv, the environment or a log.
    `save_as` keeps the lines of standard output, in this order, as secrets that a later step may name by `${saved:NAME}`.
    """

    script: str
    stdin: str | None = field(default=None, repr=False)
    deadline: float = 120.0  # seconds
    save_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Poll a script until it exits 0; on the deadline `explain` prints the host's own reason.

    `script` prints what it sees; exit 0 = reached, 1 = not yet, 2 = can't be reached any more.
    """

    script: str
    deadline: float = 300.0  # seconds
    explain: str = ""


Action = Put | Fetch | Run | Wait


class Disruption(StrEnum):
    """The worst that a step does to what runs on the host, mildest first."""

    NONE = "none"
    RESTART = "restart"
    REINSTALL = "reinstall"
    LOSS = "loss"  # of data that lives in the cluster
    REMOVE = "remove"


@dataclass(frozen=True)
class Step:
    """One thing done for one host, the reason for it, and what the person sees of it.

    `on` names another host where it is done, such as a live controller that forgets a wiped one.
    """

    host: str
    title: str
    reason: str
    action: Action
    diff: str = ""  # unified, masked
    disruption: Disruption = Disruption.NONE
    on: str = ""

    @property
    def place(self) -> str:
        return self.on or self.host


@dataclass(frozen=True)
class Stage:
    """Steps that belong together; hosts go in the order given, at most `at_once` of them at a time.

    `critical`: a failure here stops the run after this stage; else only that host drops out.
    """

    title: str
    steps: tuple[Step, ...]
    at_once: int = 1
    critical: bool = False

    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.host for step in self.steps))

    def steps_of(self, host: str) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.host == host)


@dataclass(frozen=True)
class Plan:
    """What will be done, in order; the object that is shown is the object that is executed."""

    cluster: str
    operation: str  # apply, reset, remove
    stages: tuple[Stage, ...] = ()
    findings: tuple[Finding, ...] = ()
    unreachable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not any(stage.steps for stage in self.stages)

    def hosts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.host for stage in self.stages for step in stage.steps))

    def places(self) -> tuple[str, ...]:
        """Every host on which something is done."""
        return tuple(dict.fromkeys(step.place for stage in self.stages for step in stage.steps))
