"""This machine as a host: the same scripts in a local shell, as the user who runs the program."""

import contextlib
import io
import os
import secrets
import selectors
import subprocess
import time
from collections.abc import Callable
from typing import IO, BinaryIO

from bootstrap.errors import DeadlineError, TransportError
from bootstrap.model import CommandResult
from bootstrap.transport.framing import GRACE, LOADER, Answer, Job, NoAnswerError, OutputTooLargeError
from bootstrap.transport.placing import Upload

# Ctrl-C here ends what runs here; on a distant host a script outlives us.
_PRELUDE = "trap 'kill -s TERM -- \"-$job\"; exit 143' TERM"
BLOCK = 1 << 16


class LocalTransport:
    """Runs scripts with the user's own rights and folder; nothing is escalated."""

    def __init__(self, host: str = "localhost") -> None:
        self.host = host

    def run(self, script: str, *, stdin: bytes = b"", deadline: float = 60.0) -> CommandResult:
        """See bootstrap.transport.Transport."""
        return self._execute(script, io.BytesIO(stdin), deadline)

    def put(
        self, source: bytes | BinaryIO, path: str, *, mode: str = "0644", owner: str = "root:root", sha256: str
    ) -> None:
        """See bootstrap.transport.Transport."""
        upload = Upload.of(source, path, mode, owner, sha256)
        upload.check(self.host, self._execute(upload.script(), upload.source, upload.deadline))

    def close(self) -> None:
        """Nothing is held open."""

    def _execute(self, script: str, source: BinaryIO, deadline: float) -> CommandResult:
        job = Job(script, secrets.token_hex(12), deadline, prelude=_PRELUDE)
        answer = Answer(job.mark)
        pipe = subprocess.PIPE
        process = subprocess.Popen(["sh", "-c", LOADER], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)  # noqa: S607
        try:
            _Conversation(process, job.frames(), source, answer).hold(job.limit)
        except NoAnswerError:
            raise self._late(job) from None
        except OutputTooLargeError as error:
            raise TransportError(self.host, "the command was ended", why=str(error)) from None
        finally:
            _close(process, is_done=answer.complete)
        return self._result(answer, job)

    def _result(self, answer: Answer, job: Job) -> CommandResult:
        if answer.late:
            raise self._late(job)
        if not answer.ended:
            raise TransportError(self.host, "the shell that watched the command was ended")
        return CommandResult(answer.exit_code, answer.stdout, answer.stderr)

    def _late(self, job: Job) -> DeadlineError:
        return DeadlineError(self.host, f"the command did not end within {job.deadline:g} s", why="it was ended")


class _Conversation:
    """Writes and reads at the same time, so that neither side waits for the other."""

    def __init__(self, process: subprocess.Popen[bytes], head: bytes, source: BinaryIO, answer: Answer) -> None:
        self._pending = head
        self._source = source
        self._answer = answer
        self._selector = selectors.DefaultSelector()
        self._add(process.stdin, selectors.EVENT_WRITE, self._write)
        self._add(process.stdout, selectors.EVENT_READ, lambda stream: self._read(stream, is_error=False))
        self._add(process.stderr, selectors.EVENT_READ, lambda stream: self._read(stream, is_error=True))

    def _add(self, stream: IO[bytes] | None, event: int, action: Callable[[IO[bytes]], None]) -> None:
        if stream is not None:
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, event, action)

    def hold(self, seconds: float) -> None:
        """Until the answer is complete or the streams end. Raises NoAnswerError, OutputTooLargeError."""
        ends = time.monotonic() + seconds
        with self._selector:
            while not self._answer.complete and self._selector.get_map():
                ready = self._selector.select(max(0.0, ends - time.monotonic()))
                if not ready:
                    raise NoAnswerError
                for key, _ in ready:
                    key.data(key.fileobj)

    def _write(self, stream: IO[bytes]) -> None:
        try:
            self._pending = self._pending or self._source.read(BLOCK)
            written = os.write(stream.fileno(), self._pending) if self._pending else 0
        except OSError:  # the script ended without reading all, or it will see that something is missing
            written = 0
        self._pending = self._pending[written:]
        if not written:
            self._end(stream)

    def _read(self, stream: IO[bytes], *, is_error: bool) -> None:
        chunk = os.read(stream.fileno(), BLOCK)
        self._answer.feed(b"" if is_error else chunk, chunk if is_error else b"")
        if not chunk:
            self._end(stream)

    def _end(self, stream: IO[bytes]) -> None:
        self._selector.unregister(stream)
        stream.close()


def _close(process: subprocess.Popen[bytes], *, is_done: bool) -> None:
    """Let go of the shell and reap it; what a finished script left behind lives on."""
    if not is_done:
        process.terminate()
    for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
        with contextlib.suppress(OSError):
            stream.close()
    try:
        process.wait(timeout=GRACE + 1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
