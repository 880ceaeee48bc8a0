"""The seam to a host: three methods. What needs more is built on `run`, above this package."""

from typing import BinaryIO, Protocol

from bootstrap.model import CommandResult


class Transport(Protocol):
    """One host, connected. All methods may be called from several threads.

    Every method raises only errors of bootstrap.errors (TransportError and its kinds).
    """

    host: str

    def run(self, script: str, *, stdin: bytes = b"", deadline: float = 60.0) -> CommandResult:
        """Run a POSIX sh script as root; the script never appears in argv, nor does `stdin`.

        The deadline (seconds) holds here and on the host. Raises ConnectionLostError when the outcome is
        unknown, DeadlineError when time is up, EscalationError when root was refused.
        """
        ...

    def put(
        self, source: bytes | BinaryIO, path: str, *, mode: str = "0644", owner: str = "root:root", sha256: str
    ) -> None:
        """Write a file: temporary beside it with owner and mode first, then content, sha256 checked, fsync, rename."""
        ...

    def close(self) -> None: ...
