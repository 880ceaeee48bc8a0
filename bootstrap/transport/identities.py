"""Private keys to log in with: files parsed once, the agent asked once, a passphrase asked once. No network."""

import hashlib
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import paramiko

Ask = Callable[[str], str | None]
USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True)
class Identity:
    """One key to offer: where it came from, the key, or why it can't be used."""

    source: str
    key: "paramiko.PKey | None" = None
    problem: str = ""

    @property
    def text(self) -> str:
        return f"{self.source} ({self.problem})" if self.problem else self.source


class Identities:
    """All private keys of this run, shared by all threads.

    `ask` gets a passphrase from a person, None when nobody can be asked. Parsing an RSA key costs 0.1 s of CPU, so
    each file is parsed once.
    """

    def __init__(self, ask: Ask | None, folder: Path, *, agent: bool = True) -> None:
        self._ask = ask
        self._folder = folder
        self._use_agent = agent
        self._lock = threading.RLock()
        self._files: dict[Path, Identity] = {}
        self._agent_keys: tuple[Identity, ...] | None = None

    def select(self, files: Iterable[str], *, only: bool) -> Iterable[Identity]:
        """Keys in the order to offer them, each made when it is its turn.

        `only`: no key but the files' own. No files: the agent's keys, then the usual files.
        """
        paths = [Path(name).expanduser() for name in files]
        offered: set[bytes] = set()
        for identity in self._ordered(paths, only=only):
            blob = identity.key.asbytes() if identity.key else b""
            if not blob or blob not in offered:
                offered.add(blob)
                yield identity

    def _ordered(self, paths: list[Path], *, only: bool) -> Iterable[Identity]:
        yield from (self._load(path) for path in paths)
        if not only:
            yield from self._agent()
        if not paths:
            usual = (self._folder / name for name in USUAL_KEYS)
            yield from (self._load(path) for path in usual if path.is_file())

    def _load(self, path: Path) -> Identity:
        with self._lock:
            if path not in self._files:
                self._files[path] = self._read(path)
            return self._files[path]

    def _read(self, path: Path) -> Identity:
        """The file's key. An encrypted one: from the agent that holds it, else with the passphrase."""
        import paramiko

        try:
            return Identity(str(path), paramiko.PKey.from_path(path))
        except (OSError, UnicodeDecodeError) as error:
            return Identity(str(path), problem=getattr(error, "strerror", "") or "not a private key")
        except (TypeError, paramiko.PasswordRequiredException):  # how cryptography says "encrypted"
            return self._unlock(path)
        except (ValueError, paramiko.SSHException):
            return self._from_agent(path) or Identity(str(path), problem="not a private key that can be used")

    def _unlock(self, path: Path) -> Identity:
        held = self._from_agent(path)
        if held:
            return held
        passphrase = self._ask(f"Passphrase of {path}: ") if self._ask else None
        if not passphrase:
            return Identity(str(path), problem="encrypted, no agent holds it and no passphrase was given")
        return self._decrypt(path, passphrase)

    def _decrypt(self, path: Path, passphrase: str) -> Identity:
        import paramiko

        try:
            # the annotation says str, but the parser below it takes bytes
            return Identity(str(path), paramiko.PKey.from_path(path, passphrase.encode()))  # type: ignore[arg-type]
        except (ValueError, TypeError, paramiko.SSHException):
            return Identity(str(path), problem="encrypted, wrong passphrase")

    def _from_agent(self, path: Path) -> Identity | None:
        """The agent's key of which `path.pub` is the public half."""
        try:
            public = path.with_name(path.name + ".pub").read_text(encoding="utf-8").split()[1]
        except (OSError, IndexError, UnicodeDecodeError):
            return None
        return next(
            (held for held in self._agent() if held.key and b64encode(held.key.asbytes()).decode() == public), None
        )

    def _agent(self) -> tuple[Identity, ...]:
        with self._lock:
            if self._agent_keys is None:
                self._agent_keys = tuple(_ask_agent()) if self._use_agent else ()
            return self._agent_keys


def _ask_agent() -> Iterable[Identity]:
    """The agent's keys; an agent that does not answer as one holds none."""
    import paramiko

    from bootstrap.transport.locked_agent import LockedAgent

    try:
        keys = LockedAgent().get_keys()
    except (paramiko.SSHException, OSError):
        return
    for key in keys:
        yield Identity(f"agent key {key.comment or fingerprint(key)}", key)


def fingerprint(key: "paramiko.PKey") -> str:
    return "SHA256:" + b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
