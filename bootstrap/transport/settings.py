"""What all connections of a run share, built once before the threads start. No network."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootstrap.transport import known_hosts, ssh_config
from bootstrap.transport.identities import Ask, Identities
from bootstrap.transport.known_hosts import KnownHosts
from bootstrap.transport.ssh_config import SshConfig

HANDSHAKES_PER_BASTION = 8  # sshd's MaxStartups begins to refuse at 10


class SudoPassword:
    """Asked at most once per run, for all hosts; None when nobody can be asked."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answers: list[str | None] = []

    def get(self) -> str | None:
        with self._lock:
            if not self._answers:
                self._answers.append(self._ask("sudo password on the hosts: ") if self._ask else None)
            return self._answers[0]


class Gates:
    """At most so many handshakes at once through one bastion."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[str, threading.BoundedSemaphore] = {}

    def of(self, place: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._gates.setdefault(place, threading.BoundedSemaphore(HANDSHAKES_PER_BASTION))


@dataclass(frozen=True)
class SshSettings:
    """Pinned keys, private keys, ~/.ssh/config, and the few things that threads take turns with.

    After `bootstrap trust` wrote a pin: `dataclasses.replace(settings, known_hosts=known_hosts.load(path))`.
    """

    known_hosts: KnownHosts
    identities: Identities
    config: SshConfig
    sudo_password: SudoPassword
    fabric_config: Any = field(repr=False)
    gates: Gates = field(default_factory=Gates)


def load_settings(
    known_hosts_file: Path, *, ask: Ask | None = None, ssh_folder: Path | None = None, agent: bool = True
) -> SshSettings:
    """Read all files once. `ask` puts a question to a person on a terminal; None: nobody can be asked.

    Raises BootstrapError when a file can't be read.
    """
    import fabric

    folder = ssh_folder or Path.home() / ".ssh"
    return SshSettings(
        known_hosts=known_hosts.load(known_hosts_file),
        identities=Identities(ask, folder, agent=agent),
        config=ssh_config.load(folder / "config"),
        sudo_password=SudoPassword(ask),
        # lazy: no fabric.yaml of the machine may change what happens
        fabric_config=fabric.Config(lazy=True, overrides={"load_ssh_configs": False}),
    )
