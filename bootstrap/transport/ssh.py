"""A host over SSH: run, put, close. The only door through which anything reaches a host."""

import io
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from bootstrap.errors import DeadlineError, TransportError
from bootstrap.model import CommandResult, Connection
from bootstrap.transport import failures, ssh_config
from bootstrap.transport.framing import Answer, Job, NoAnswerError
from bootstrap.transport.placing import Upload
from bootstrap.transport.root import PATIENCE, RootAccess
from bootstrap.transport.settings import SshSettings, load_settings

if TYPE_CHECKING:
    from bootstrap.transport.exchange import Exchange
    from bootstrap.transport.wire import PinnedConnection

__all__ = ["SshSettings", "SshTransport", "connect", "load_settings"]


def connect(host_name: str, connection: Connection, settings: SshSettings) -> "SshTransport":
    """Log in to a host. Raises HostKeyError, UnreachableError, AuthenticationError."""
    from bootstrap.transport.session import open_route

    hops = ssh_config.resolve(host_name, connection, settings.config)
    chain = open_route(hops, settings, connection.connect_timeout)
    root = RootAccess(host_name, hops[-1].user, connection.escalation, settings.sudo_password)
    return SshTransport(host_name, chain, root)


class SshTransport:
    """One connection to one host, for any number of threads. A broken one stays broken: connect anew."""

    def __init__(self, host: str, chain: "list[PinnedConnection]", root: RootAccess) -> None:
        from bootstrap.transport.exchange import Channels

        self.host = host
        self._chain = chain
        self._root = root
        self._channels = Channels(host, chain[-1].transport)

    @property
    def executions(self) -> int:
        """Channels opened so far; each costs two round trips."""
        return self._channels.opened

    def run(self, script: str, *, stdin: bytes = b"", deadline: float = 60.0) -> CommandResult:
        """See bootstrap.transport.Transport."""
        return self._execute(script, lambda: io.BytesIO(stdin), len(stdin), deadline)

    def put(
        self, source: bytes | BinaryIO, path: str, *, mode: str = "0644", owner: str = "root:root", sha256: str
    ) -> None:
        """See bootstrap.transport.Transport. A file object is read from where it stands."""
        upload = Upload.of(source, path, mode, owner, sha256)
        if self._root.way is None:
            self._execute(":", io.BytesIO, 0, PATIENCE)  # finds the way to root, for a stream can go out only once
        upload.check(self.host, self._execute(upload.script(), lambda: upload.source, upload.size, upload.deadline))

    def close(self) -> None:
        """End the connection; never waits for the host."""
        from bootstrap.transport.session import close_chain

        close_chain(self._chain)

    def _execute(self, script: str, source: Callable[[], BinaryIO], size: int, deadline: float) -> CommandResult:
        """Run by the way to root that is known, or by the first that works."""
        while True:
            way = self._root.way
            job = Job(script, secrets.token_hex(12), deadline)
            answer = Answer(job.mark, terminal=way is not None and way.terminal)
            with failures.translated(self.host), self._channels.open(answer, deadline) as exchange:
                try:
                    self._root.begin(exchange, way, job, source(), size)
                    self._read(exchange, job)
                except NoAnswerError:
                    raise self._no_answer(answer, job) from None
            self._root.learn(way, answer)
            if answer.started:
                return self._result(answer, job)

    def _read(self, exchange: "Exchange", job: Job) -> None:
        """Collect the answer. Raises NoAnswerError, ConnectionLostError."""
        answer = exchange.answer
        exchange.read_until(lambda answer: answer.started)
        exchange.allow(job.limit)
        exchange.read_until(lambda answer: answer.complete)
        if answer.ended:
            return
        if exchange.was_cut:
            raise failures.lost(self.host)
        if answer.started:
            raise failures.lost(self.host, "the shell that watched it was ended on the host")

    def _result(self, answer: Answer, job: Job) -> CommandResult:
        if answer.late:
            why = f"it was ended on the host; last words: {_tail(answer)}"
            raise DeadlineError(self.host, f"the command did not end within {job.deadline:g} s", why=why)
        return CommandResult(answer.exit_code, answer.stdout, answer.stderr)

    def _no_answer(self, answer: Answer, job: Job) -> TransportError:
        begun = "it began" if answer.started else "it is not known to have begun"
        why = f"{begun}, and the host is silent since; whether it ended is not known"
        return DeadlineError(self.host, f"no word from the host within {job.deadline:g} s", why=why)


def _tail(answer: Answer) -> str:
    return (answer.stderr.strip() or answer.stdout.strip() or "none")[-300:]
