"""The values that flow through the program: frozen, standard library only, no I/O."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# --- what the person wants -----------------------------------------------------------------------


class Role(StrEnum):
    """What runs on a host, on every distribution alike."""

    CONTROLLER = "controller"
    CONTROLLER_WORKER = "controller+worker"
    WORKER = "worker"

    @property
    def controls(self) -> bool:
        return self is not Role.WORKER

    @property
    def takes_work(self) -> bool:
        return self is not Role.CONTROLLER


@dataclass(frozen=True)
class Position:
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Reference:
    """`${env:NAME}`, `${file:PATH}`, `${secret:KEY}`, `${command:WORDS}`: a value that is not in the inventory.

    `text` is the reference as written; rendered files hold it in place of the value.
    """

    kind: str
    name: str

    @property
    def text(self) -> str:
        return f"${{{self.kind}:{self.name}}}"


@dataclass(frozen=True)
class Secret:
    """A value that prints masked wherever it is shown; `reveal` gives it to the wire only."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "******"

    __repr__ = __str__


@dataclass(frozen=True)
class Jump:
    """One hop on the way to a host, with its own user and keys."""

    address: str
    port: int = 22
    user: str | None = None
    identity_files: tuple[str, ...] = ()


class Escalation(StrEnum):
    """How commands become root."""

    AUTO = "auto"  # root if the user is root, else sudo, else doas
    NONE = "none"
    SUDO = "sudo"
    DOAS = "doas"


@dataclass(frozen=True)
class Connection:
    """Where ssh goes, which is neither the node's address nor the API endpoint.

    None leaves a setting to ~/.ssh/config; no identity file means agent, ssh_config or the usual keys.
    """

    address: str
    port: int | None = None
    user: str | None = None
    identity_files: tuple[str, ...] = ()
    jumps: tuple[Jump, ...] = ()
    escalation: Escalation = Escalation.AUTO
    connect_timeout: float = 10.0  # seconds


@dataclass(frozen=True)
class Taint:
    """`key=value:effect`."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True)
class PlacedFile:
    """A file that the person wants on a host: content may hold references."""

    path: str
    content: str
    mode: str = "0644"
    owner: str = "root:root"


@dataclass(frozen=True)
class Hook:
    """A script at a named point of the bring-up, such as `before-join`.

    Runs once on each host (once in all with `once`), again when its text changes or the host is new.
    """

    name: str
    point: str
    script: str
    once: bool = False
    hosts: tuple[str, ...] = ()  # empty: every host that passes the point


@dataclass(frozen=True)
class Host:
    """One machine of the cluster, all layers merged."""

    name: str
    connection: Connection
    role: Role = Role.WORKER
    node_addresses: tuple[str, ...] = ()  # given; empty: by interface, or observed
    node_interface: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    arch: str | None = None  # amd64, arm64, arm; None: observed
    os: str | None = None
    files: tuple[PlacedFile, ...] = ()
    native: Mapping[str, Any] = field(default_factory=dict)  # the distribution's own section, layers merged
    groups: tuple[str, ...] = ()
    origin: tuple[str | int, ...] = ()  # path of its entry in the document, such as ("hosts", "pi-{1..3}")


@dataclass(frozen=True)
class OtherHost:
    """A machine that is no cluster host (balancer, NFS): for addresses and checks only."""

    name: str
    address: str


@dataclass(frozen=True)
class Endpoint:
    """Where the Kubernetes API answers for everybody: a virtual IP or a name."""

    host: str
    port: int = 6443


@dataclass(frozen=True)
class Network:
    """Pod and service ranges, one or two families; empty: the distribution's default."""

    pods: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    domain: str = ""


@dataclass(frozen=True)
class Addon:
    name: str
    args: Any = None


@dataclass(frozen=True)
class Inventory:
    """One cluster as its file says, checked, with every layer merged into the hosts."""

    file: str
    cluster: str
    distro: str
    version: str
    hosts: tuple[Host, ...]
    endpoint: Endpoint | None = None
    network: Network = Network()
    sans: tuple[str, ...] = ()
    token: Reference | None = None
    native: Mapping[str, Any] = field(default_factory=dict)  # cluster-level native section as written
    others: tuple[OtherHost, ...] = ()
    hooks: tuple[Hook, ...] = ()
    addons: tuple[Addon, ...] = ()
    mirror: str | None = None
    secrets: str | None = None  # file that ${secret:KEY} reads
    document: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)  # as written
    positions: Mapping[tuple[str | int, ...], Position] = field(default_factory=dict, compare=False, repr=False)

    def host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    @property
    def controllers(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.role.controls)

    @property
    def workers(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if not host.role.controls)


# --- what is rendered and locked -----------------------------------------------------------------


@dataclass(frozen=True)
class Artifact:
    """One rendered file for one host; content holds references in place of secrets."""

    host: str
    path: str
    content: str
    mode: str = "0644"
    owner: str = "root:root"

    @property
    def has_references(self) -> bool:
        return "${" in self.content


@dataclass(frozen=True)
class LockedFile:
    """One binary or image by identity: any source will do, for the hash decides."""

    name: str  # k3s, install.sh, k3s-airgap-images
    version: str
    arch: str  # amd64, arm64, arm, or any
    url: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Lock:
    """artifacts.lock, read."""

    files: tuple[LockedFile, ...] = ()

    def find(self, name: str, version: str, arch: str) -> LockedFile | None:
        wanted = (file for file in self.files if file.name == name and file.version == version)
        return next((file for file in wanted if file.arch in (arch, "any")), None)


# --- what was observed ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A look: a piece of POSIX sh, and a pure function that reads its standard output.

    The piece runs in a subshell, as root, and must write nothing on the host. An empty output means
    absent; `parse` gets the text as it came.
    """

    name: str
    script: str
    parse: Callable[[str], Any]


@dataclass(frozen=True)
class FileFacts:
    """A file on a host; `content` only for small managed files."""

    sha256: str
    mode: str
    owner: str
    size: int
    content: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class UnitFacts:
    """A service of the init system, systemd's words."""

    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    enabled: str = "disabled"
    restarts: int = 0

    @property
    def is_running(self) -> bool:
        return self.active in ("active", "reloading")


@dataclass(frozen=True)
class Lease:
    """Who may write on a host; age in seconds of the host's own uptime."""

    run: str
    owner: str
    operation: str
    age: float
    boot_id: str


@dataclass(frozen=True)
class Record:
    """What the last finished run left on a host (/var/lib/bootstrap/record.json)."""

    cluster: str = ""
    run: str = ""
    applied: Mapping[str, str] = field(default_factory=dict)  # what -> digest it was applied with
    labels: tuple[str, ...] = ()  # keys that we own on the Node
    annotations: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    hooks: Mapping[str, str] = field(default_factory=dict)  # hook name -> digest of its text


@dataclass(frozen=True)
class Interface:
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class HostFacts:
    """What one probe run saw on one host. `values` holds the driver's own probes by name."""

    host: str
    hostname: str = ""
    machine_id: str = ""
    boot_id: str = ""
    os: str = ""
    arch: str = ""
    init: str = ""  # systemd, openrc, other
    cgroup: int = 2
    memory_cgroup: bool = True
    memory_kb: int = 0
    swap_kb: int = 0
    free_kb: Mapping[str, int] = field(default_factory=dict)  # folder -> kB free
    clock_offset: float = 0.0  # seconds, host minus operator
    default_interface: str = ""
    interfaces: tuple[Interface, ...] = ()
    distributions: tuple[str, ...] = ()  # k3s, k0s, microk8s, kubeadm: whatever has traces here
    listening: frozenset[int] = frozenset()  # TCP ports
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    units: Mapping[str, UnitFacts] = field(default_factory=dict)
    record: Record | None = None
    lease: Lease | None = None
    running_operations: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def node_addresses(self, host: Host) -> tuple[str, ...]:
        """The node's own addresses: given, of the named interface, or of the default route's."""
        if host.node_addresses:
            return host.node_addresses
        wanted = host.node_interface or self.default_interface
        return next((interface.addresses for interface in self.interfaces if interface.name == wanted), ())


Facts = Mapping[str, HostFacts]  # by host name; an unreachable host is absent


@dataclass(frozen=True)
class Finding:
    """Something about a host that must be settled (`stops`), or known, before a write."""

    host: str
    message: str
    hint: str = ""
    stops: bool = True


# --- the plan ------------------------------------------------------------------------------------


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
    `save_as` keeps standard output as a secret that a later step may name by `${saved:NAME}`.
    """

    script: str
    stdin: str | None = field(default=None, repr=False)
    deadline: float = 120.0  # seconds
    save_as: str | None = None


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


# --- what came of it -----------------------------------------------------------------------------


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


def digest(content: str | bytes) -> str:
    """sha256 in hex; text as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
