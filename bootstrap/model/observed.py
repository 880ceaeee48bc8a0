"""What was observed: probes, and the facts of hosts. Values only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.model.wanted import Host


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
