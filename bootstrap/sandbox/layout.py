"""Names, addresses and paths of a sandbox: values and pure functions, no I/O."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bootstrap.errors import SandboxError

NETWORK = "10.77.0"
GATEWAY = f"{NETWORK}.1"
FIRST_ADDRESS = 11
MOST_HOSTS = 200
INITS = ("systemd", "openrc")
# Container runtimes refuse overlayfs as their store, so these folders of a host lie on plain tmpfs.
PLAIN_FOLDERS = ("/var/lib/containerd", "/var/lib/rancher", "/var/lib/k0s")
ROOT_FOLDER = Path("/run/bootstrap-sandbox")

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class HostSpec:
    """One host as it was asked for. `init` is what boots it: systemd or openrc."""

    name: str
    address: str
    init: str = "systemd"

    @property
    def mac(self) -> str:
        """Fixed: with a new one after a wipe, the neighbour caches of all other hosts would be wrong for minutes."""
        return "02:4d:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))

    @property
    def link(self) -> str:
        """Name of the host's port on the bridge; from the address, as a link name has at most 15 characters."""
        return f"port{self.address.rpartition('.')[2]}"


@dataclass(frozen=True)
class SandboxSpec:
    """What a sandbox consists of. `bases` maps each init in use to its base tree; `share` is mounted at /opt/share."""

    hosts: tuple[HostSpec, ...]
    bases: Mapping[str, str]
    share: str | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "SandboxSpec":
        read = json.loads(text)
        return cls(tuple(HostSpec(**host) for host in read["hosts"]), read["bases"], read["share"])


@dataclass(frozen=True)
class Folder:
    """The run folder of one sandbox; all paths are the same outside and inside."""

    path: Path

    @classmethod
    def of(cls, name: str) -> "Folder":
        return cls(ROOT_FOLDER / name)

    @property
    def control(self) -> Path:
        """Unix socket of the supervisor."""
        return self.path / "control"

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def cgroups(self) -> Path:
        """One cgroup folder of the sandbox per line: what has to be removed after it."""
        return self.path / "cgroups"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def key(self) -> Path:
        return self.path / "key"

    @property
    def known_hosts(self) -> Path:
        return self.path / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.path / "ssh_config"

    @property
    def hosts(self) -> Path:
        """Bound over /etc/hosts inside."""
        return self.path / "hosts"

    @property
    def resolv_conf(self) -> Path:
        """Bound over /etc/resolv.conf inside."""
        return self.path / "resolv.conf"

    @property
    def disks(self) -> Path:
        """A tmpfs seen only inside."""
        return self.path / "disks"


def check_label(kind: str, name: str) -> None:
    """Raise SandboxError unless `name` is a DNS label (RFC 1123)."""
    if not _LABEL.fullmatch(name):
        raise SandboxError(
            f"{name!r} cannot be the name of a {kind}",
            why="a name has 1 to 63 lower-case letters, digits and inner dashes",
        )


def host_specs(names: Sequence[str], init: Mapping[str, str]) -> tuple[HostSpec, ...]:
    """Hosts with addresses in the order of their names; SandboxError for a bad, doubled or unknown name."""
    for name in names:
        check_label("host", name)
    if not 1 <= len(names) <= MOST_HOSTS:
        raise SandboxError(f"a sandbox has 1 to {MOST_HOSTS} hosts, not {len(names)}")
    if len(set(names)) != len(names):
        raise SandboxError("two hosts have the same name", why=" ".join(names))
    if strange := [f"{name}={kind}" for name, kind in init.items() if name not in names or kind not in INITS]:
        raise SandboxError(f"no such host or init: {', '.join(strange)}", next_step=f"choose of: {', '.join(INITS)}")
    return tuple(
        HostSpec(name, f"{NETWORK}.{FIRST_ADDRESS + index}", init.get(name, "systemd"))
        for index, name in enumerate(names)
    )


def hosts_file(hosts: Sequence[HostSpec]) -> str:
    """The text of /etc/hosts, the same on all hosts and inside the sandbox."""
    return "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in hosts)


def ssh_config(folder: Folder) -> str:
    """The text of a client configuration that knows the sandbox's key and host keys and nothing of the user's."""
    return (
        "Host *\n"
        "  User root\n"
        f"  IdentityFile {folder.key}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder.known_hosts}\n"
        "  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n"
        "  UpdateHostKeys no\n"
        "  LogLevel ERROR\n"
    )
