"""The useful part of ~/.ssh/config, parsed once, and the way to a host made of it and the inventory. No network."""

import getpass
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bootstrap.errors import BootstrapError
from bootstrap.model import Connection, Jump
from bootstrap.transport.known_hosts import token_of

MAX_DEPTH = 16  # of Include, as in ssh_config(5)


@dataclass(frozen=True)
class Hop:
    """One SSH server to log in to, all settings decided.

    `host` is the host that we are on the way to; `names` are what the server's key may be pinned under, best first.
    No identity files: agent and the usual keys.
    """

    host: str
    address: str
    port: int
    user: str
    names: tuple[str, ...]
    identity_files: tuple[str, ...] = ()
    identities_only: bool = False

    @property
    def label(self) -> str:
        """What `bootstrap trust` calls it: the host's name, or the place of a jump."""
        return self.names[0]

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}" if ":" not in self.address else f"[{self.address}]:{self.port}"


@dataclass(frozen=True)
class SshConfig:
    """Answers for one name what the file says; `parsed` is paramiko's, None for no file."""

    parsed: Any = field(default=None, repr=False)
    file: str = ""

    def lookup(self, name: str) -> dict[str, Any]:
        """Keys in lower case; `identityfile` is a list, the rest are strings. Raises BootstrapError."""
        import paramiko

        try:
            return dict(self.parsed.lookup(name)) if self.parsed is not None else {}
        except paramiko.SSHException as error:
            raise self.error(name, str(error)) from None

    def port(self, name: str, text: str) -> int:
        """Raises BootstrapError when the text is no port."""
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise self.error(name, f"{text!r} is not a port")
        return int(text)

    def error(self, name: str, why: str, next_step: str = "") -> BootstrapError:
        where = f"{self.file}, Host {name}"
        return BootstrapError("the ssh configuration can't be used", where=where, why=why, next_step=next_step)


def load(path: Path) -> SshConfig:
    """Parse the file with its includes; a file that does not exist says nothing. Raises BootstrapError."""
    import paramiko

    if not path.is_file():
        return SshConfig()
    try:
        text = "\n".join(_lines(path, path.parent, 0))
        return SshConfig(paramiko.SSHConfig.from_text(text), str(path))
    except (OSError, UnicodeDecodeError, ValueError, paramiko.SSHException) as error:
        raise BootstrapError("the ssh configuration can't be read", where=str(path), why=str(error)) from None


def _lines(path: Path, folder: Path, depth: int) -> Iterator[str]:
    """The file's lines with Include replaced by what it names; paramiko knows no Include."""
    if depth > MAX_DEPTH:
        raise ValueError(f"Include goes deeper than {MAX_DEPTH} files")
    block = "Host *"
    for row in path.read_text(encoding="utf-8").splitlines():
        words = row.replace("=", " ", 1).split()
        keyword = words[0].lower() if words else ""
        if keyword in ("host", "match"):
            block = row
        if keyword != "include":
            yield row
            continue
        for pattern in words[1:]:
            named = folder / Path(pattern.strip('"')).expanduser()
            for included in sorted(Path("/").glob(str(named.absolute()).lstrip("/"))):
                yield from _lines(included, folder, depth + 1)
        yield block  # what follows belongs to the block that the Include stood in


def resolve(host_name: str, connection: Connection, config: SshConfig) -> tuple[Hop, ...]:
    """The servers to pass, the host itself last: the inventory's word first, then ~/.ssh/config, then ssh's defaults.

    Raises BootstrapError where the configuration asks for something that is not supported.
    """
    target = Jump(connection.address, connection.port or 0, connection.user, connection.identity_files)
    hops = [_hop(host_name, jump, config) for jump in jumps(connection, config)]
    last = _hop(host_name, target, config)
    return (*hops, replace(last, names=tuple(dict.fromkeys((host_name, *last.names)))))


def jumps(connection: Connection, config: SshConfig) -> tuple[Jump, ...]:
    """The jumps of the inventory, else of ProxyJump; port 0 where none is named, for then the configuration's counts.

    Raises BootstrapError for ProxyCommand and for what is no port.
    """
    if connection.jumps:
        return tuple(replace(jump, port=0) if jump.port == 22 else jump for jump in connection.jumps)
    return tuple(_proxy_jumps(connection, config))


def _hop(host_name: str, jump: Jump, config: SshConfig) -> Hop:
    found = config.lookup(jump.address)
    address = str(found.get("hostname", jump.address))
    port = jump.port or config.port(jump.address, str(found.get("port", 22)))
    files = jump.identity_files or tuple(name for name in found.get("identityfile", ()) if name != "none")
    return Hop(
        host=host_name,
        address=address,
        port=port,
        user=jump.user or str(found.get("user", "")) or getpass.getuser(),
        names=tuple(dict.fromkeys((token_of(address, port), token_of(jump.address, port)))),
        identity_files=files,
        identities_only=bool(jump.identity_files) or found.get("identitiesonly", "no") == "yes",
    )


def _proxy_jumps(connection: Connection, config: SshConfig) -> Iterator[Jump]:
    """`ProxyJump user@host:port,...`; first hop first."""
    found = config.lookup(connection.address)
    if found.get("proxycommand", "none") != "none":
        cure = "use ProxyJump there, or jumps: in the inventory"
        raise config.error(connection.address, "ProxyCommand is not supported", cure)
    for word in found.get("proxyjump", "none").split(","):
        if word.strip().lower() != "none":
            user, _, place = word.strip().removeprefix("ssh://").rpartition("@")
            address, port = _split_port(place)
            yield Jump(address, config.port(connection.address, port) if port else 0, user or None)


def _split_port(place: str) -> tuple[str, str]:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address; the port is empty where none is."""
    if place.startswith("["):
        address, _, rest = place[1:].partition("]")
        return address, rest.removeprefix(":")
    if place.count(":") == 1:
        address, _, port = place.partition(":")
        return address, port
    return place, ""
