"""One connection per host and run, opened when first needed and opened again when it broke. No knowledge of plans."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from bootstrap.errors import BootstrapError, ConnectionLostError, DeadlineError, UnreachableError
from bootstrap.model import CommandResult, Inventory
from bootstrap.transport import Transport

# A connection after one of these is not used again; a silent host counts as gone.
BROKEN = (ConnectionLostError, UnreachableError, DeadlineError)
Open = Callable[[str], Transport]


class WatchedTransport:
    """A transport that takes itself out of the pool when its connection broke."""

    def __init__(self, inner: Transport, drop: Callable[[Transport], None]) -> None:
        self.host = inner.host
        self._inner = inner
        self._drop = drop

    def run(self, script: str, *, stdin: bytes = b"", deadline: float = 60.0) -> CommandResult:
        try:
            return self._inner.run(script, stdin=stdin, deadline=deadline)
        except BROKEN:
            self._drop(self)
            raise

    def put(
        self, source: bytes | BinaryIO, path: str, *, mode: str = "0644", owner: str = "root:root", sha256: str
    ) -> None:
        try:
            self._inner.put(source, path, mode=mode, owner=owner, sha256=sha256)
        except BROKEN:
            self._drop(self)
            raise

    def close(self) -> None:
        self._inner.close()


@dataclass
class Connections:
    """The pool; `open_one` makes a connection to a host by its name."""

    open_one: Open
    _open: dict[str, Transport] = field(default_factory=dict)
    _guards: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def get(self, host: str) -> Transport:
        """The host's connection. Raises TransportError and its kinds; a refusal is tried again at the next call."""
        with self._guard:
            guard = self._guards.setdefault(host, threading.Lock())
        with guard:
            if host not in self._open:
                self._open[host] = WatchedTransport(self.open_one(host), self._drop)
            return self._open[host]

    def _drop(self, transport: Transport) -> None:
        if self._open.get(transport.host) is transport:
            del self._open[transport.host]

    def close(self) -> None:
        for transport in list(self._open.values()):
            transport.close()
        self._open.clear()


def ssh_opener(inventory: Inventory, known_hosts: str, ask: Callable[[str], str | None]) -> Open:
    """Opens hosts by ssh. Settings are read once, before any thread: pins, keys, ~/.ssh/config."""
    from pathlib import Path

    from bootstrap.transport.ssh import connect, load_settings

    settings = load_settings(Path(known_hosts), ask=ask)

    def open_one(name: str) -> Transport:
        try:
            return connect(name, inventory.host(name).connection, settings)
        except StopIteration:
            raise BootstrapError(f"the inventory has no host {name}") from None

    return open_one
