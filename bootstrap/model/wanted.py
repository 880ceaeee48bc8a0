"""What the person wants: the inventory and all that it is made of. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What runs on a host, on every distribution alike."""

    CONTROLLER = "controller"
    CONTROLLER_WORKER = "controller+worker"
    WORKER = "worker"
    SINGLE = "single"  # a cluster of one node that nobody can join, where the distribution has such a thing

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
