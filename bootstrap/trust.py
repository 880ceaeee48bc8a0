"""`bootstrap trust`: looks at the host key of a server without logging in, and pins it in the known_hosts file."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bootstrap.errors import BootstrapError, HostKeyError
from bootstrap.model import Connection, Jump
from bootstrap.transport import known_hosts, ssh_config
from bootstrap.transport.known_hosts import HostKey, add_line, describe, token_of
from bootstrap.transport.settings import SshSettings


@dataclass(frozen=True)
class ScannedKey:
    """The key that a server shows, and what the file pins for it now."""

    name: str
    tokens: tuple[str, ...]  # the names that its line carries, the inventory's name first
    key: HostKey
    pinned: tuple[HostKey, ...] = ()

    @property
    def fingerprint(self) -> str:
        return self.key.fingerprint

    @property
    def line(self) -> str:
        """The line of the known_hosts file."""
        return f"{','.join(self.tokens)} {self.key.text}"

    @property
    def is_pinned(self) -> bool:
        return self.key in self.pinned

    @property
    def is_changed(self) -> bool:
        """Whether another key is pinned: only `--replace` overwrites it."""
        return bool(self.pinned) and not self.is_pinned


def hops(host_name: str, connection: Connection, settings: SshSettings) -> tuple[tuple[str, Connection], ...]:
    """The servers on the way, each with the connection that leads to it, the host itself last.

    A jump goes by its address, `[address]:port` on another port than 22. Scanning one logs in to those before it, so pin them in this order.
    """
    jumps = ssh_config.jumps(connection, settings.config)
    names = [hop.names[0] for hop in ssh_config.resolve(host_name, connection, settings.config)]
    ways = [replace(connection, **_end_of(jump), jumps=jumps[:index]) for index, jump in enumerate(jumps)]
    return tuple(zip(names, (*ways, connection), strict=True))


def _end_of(jump: Jump) -> dict[str, Any]:
    return {
        "address": jump.address,
        "port": jump.port or None,
        "user": jump.user,
        "identity_files": jump.identity_files,
    }


def scan(host_name: str, connection: Connection, settings: SshSettings) -> ScannedKey:
    """Ask a server for its key, ed25519 first; no name, key or password of ours is offered to it.

    Raises UnreachableError; HostKeyError and AuthenticationError for a jump on the way.
    """
    from bootstrap.transport.session import read_host_key

    route = ssh_config.resolve(host_name, connection, settings.config)
    target = route[-1]
    key = read_host_key(route, settings, connection.connect_timeout)
    tokens = (host_name, token_of(connection.address, target.port), token_of(target.address, target.port))
    pinned = settings.known_hosts.pins(target.names).keys
    return ScannedKey(host_name, tuple(dict.fromkeys(tokens)), key, pinned)


def repin(text: str, scanned: ScannedKey, *, overwrite: bool = False) -> str:
    """The text of a known_hosts file with the scanned key pinned; pure. Raises HostKeyError without `overwrite`."""
    if scanned.is_changed and not overwrite:
        raise HostKeyError(
            scanned.name,
            "another host key is pinned",
            why=f"pinned {describe(scanned.pinned)}, offered {describe([scanned.key])}",
            next_step=f"if the machine was reinstalled: bootstrap trust --replace {scanned.name}",
        )
    return add_line(text, scanned.tokens, scanned.key)


def pin(path: Path, scanned: ScannedKey, *, overwrite: bool = False) -> None:
    """Write the key into the file, which is whole at every moment. Raises HostKeyError, BootstrapError."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        current = known_hosts.parse(text, str(path)).pins(scanned.tokens).keys
        _write(path, repin(text, replace(scanned, pinned=current), overwrite=overwrite))
    except OSError as error:
        raise BootstrapError("the pinned host keys can't be written", where=str(path), why=str(error)) from None


def _write(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
