"""One command on one SSH channel: bytes in, Answer out, with a time limit. Importing this imports paramiko."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import paramiko
from paramiko.common import cMSG_CHANNEL_DATA, cMSG_CHANNEL_REQUEST

from bootstrap.errors import DeadlineError, TransportError, UnreachableError
from bootstrap.transport.framing import COMMAND, Answer, NoAnswerError

MAX_CHANNELS = 8  # at once on one connection; sshd's MaxSessions is 10
OPEN_TIMEOUT = 10.0  # seconds
LINGERING = 0.5  # seconds that a process left behind, which holds the streams open, may cost
SETTLING = 5.0  # seconds in which sshd may still count sessions that we have closed
BLOCK = 1 << 20  # bytes handed to the channel at a time
SMALL = 1 << 16  # bytes that go out at once, in the caller's own thread
BROKEN = (OSError, EOFError, paramiko.SSHException)  # what a channel raises when it or its connection is gone
# RFC 4254, section 8: echo, signals, line editing and every translation off, before the shell starts
RAW_TERMINAL = b"".join(bytes([mode, 0, 0, 0, 0]) for mode in (36, 38, 50, 51, 53, 70)) + b"\0"


class _Wake(threading.Event):
    """Set by paramiko when a stream has news; cleared only by the reader, before it looks at both streams."""

    def clear(self) -> None:
        return None

    def wait_and_clear(self, timeout: float) -> None:
        self.wait(timeout)
        super().clear()


class Exchange:
    """The two streams of a channel. The caller's thread reads; another one writes what is large."""

    def __init__(self, channel: paramiko.Channel, answer: Answer) -> None:
        self.answer = answer
        self._channel = channel
        self._ends = time.monotonic()
        self._wake = _Wake()
        self._owed = 0  # bytes sent before their window was granted
        channel.in_buffer.set_event(self._wake)
        channel.in_stderr_buffer.set_event(self._wake)

    def allow(self, seconds: float) -> None:
        """Time until `read_until` gives up, from now."""
        self._ends = time.monotonic() + seconds

    def start(self, *, terminal: bool) -> None:
        """Ask for the shell, without waiting for the reply: what follows rides along, one round trip less."""
        if terminal:
            self._request("pty-req", "dumb", 80, 24, 0, 0, RAW_TERMINAL)
        self._request("exec", COMMAND)

    def _request(self, kind: str, *parts: str | bytes | int) -> None:
        # wants a reply: a refusal then closes the channel, and success needs no attention
        self._say(cMSG_CHANNEL_REQUEST, kind, True, *parts)  # noqa: FBT003

    def _say(self, message_type: bytes, *parts: str | bytes | int) -> None:
        """One message about this channel, sent without waiting for anything."""
        message = paramiko.Message()
        message.add_byte(message_type)
        message.add_int(self._channel.remote_chanid)
        for part in parts:
            if isinstance(part, bool):
                message.add_boolean(part)
            elif isinstance(part, int):
                message.add_int(part)
            else:
                message.add_string(part)
        self._channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]

    def send(self, content: bytes) -> None:
        """A few bytes, such as a password. A closed channel shows when it is read."""
        with contextlib.suppress(*BROKEN):
            self._channel.settimeout(max(0.1, self._ends - time.monotonic()))
            self._channel.sendall(self._send_early(content))

    def send_all(self, head: bytes, source: BinaryIO, size: int) -> None:
        """`head`, the source, and the end of input."""
        if len(head) + size <= SMALL:
            self.send(head + source.read())
            self.finish()
        else:
            rest = self._send_early(head)
            threading.Thread(target=self._feed, args=(rest, source), daemon=True).start()

    def finish(self) -> None:
        """End of input."""
        with contextlib.suppress(*BROKEN):
            self._channel.shutdown_write()

    def _send_early(self, content: bytes) -> bytes:
        """What may go out before the server has opened the window; returns the rest.

        OpenSSH opens a session with a window of nothing and grants 2 MiB when it starts the shell (session_set_fds in
        its session.c). It reads in order, so data behind the request for the shell falls into that window: waiting
        for the grant to come back would cost every command a round trip.
        """
        channel = self._channel
        if not self._grant_is_due():
            return content
        early, rest = content[: SMALL - self._owed], content[SMALL - self._owed :]
        with channel.lock:
            self._owed += len(early)
        piece = channel.out_max_packet_size - 64
        for start in range(0, len(early), piece):
            self._say(cMSG_CHANNEL_DATA, early[start : start + piece])
        return rest

    def _grant_is_due(self) -> bool:
        version = str(getattr(self._channel.get_transport(), "remote_version", ""))
        return self._channel.out_window_size == 0 and "OpenSSH" in version and self._owed < SMALL

    def _settle(self) -> None:
        """Pay what was sent early out of the window, once it is granted."""
        channel = self._channel
        with channel.out_buffer_cv:
            while self._owed and not channel.closed:
                if channel.out_window_size > self._owed:
                    channel.out_window_size -= self._owed
                    self._owed = 0
                else:
                    channel.out_buffer_cv.wait()

    def _feed(self, head: bytes, source: BinaryIO) -> None:
        """A script may end without reading all: then the channel closes, and what is left is of no use."""
        with contextlib.suppress(*BROKEN, ValueError):  # ValueError: the owner closed the source meanwhile
            self._settle()
            self._channel.settimeout(None)
            self._channel.sendall(head)
            while block := source.read(BLOCK):
                self._channel.sendall(block)
        self.finish()  # also when the source could not be read: the script sees that something is missing

    def read_until(self, reached: Callable[[Answer], bool]) -> None:
        """Collect output until `reached`, or the streams end. Raises NoAnswerError, OutputTooLargeError."""
        while not reached(self.answer) and not self.answer.closed:
            left = self._ends - time.monotonic()
            if left <= 0:
                raise NoAnswerError
            self._wake.wait_and_clear(left)
            self._drain()

    def _drain(self) -> None:
        channel = self._channel
        ended = bool(channel.eof_received) or channel.closed  # looked at before the last bytes are taken
        while channel.recv_ready() or channel.recv_stderr_ready():
            out = channel.recv(BLOCK) if channel.recv_ready() else b""
            err = channel.recv_stderr(BLOCK) if channel.recv_stderr_ready() else b""
            self.answer.feed(out, err)
        self.answer.closed = ended

    @property
    def was_cut(self) -> bool:
        """Whether the streams ended because the connection did, and not by a word of the server."""
        if not self.answer.closed or self._channel.eof_received:
            return False
        transport = self._channel.get_transport()
        transport.join(1.0)  # it ends the channels a moment before it calls itself dead
        return not transport.is_active()

    def abandon(self) -> None:
        """Let go of the channel without waiting for a host that may be gone."""
        threading.Thread(target=close_quietly, args=(self._channel,), daemon=True).start()

    def close(self) -> None:
        """After a complete answer. sshd counts the session until its shell is gone, a moment after its last words."""
        ends = time.monotonic() + LINGERING
        while not self._channel.closed and (left := ends - time.monotonic()) > 0:
            self._wake.wait_and_clear(left)
        close_quietly(self._channel)


def close_quietly(channel: paramiko.Channel) -> None:
    """A channel of a dead connection can't be closed any more, and need not be."""
    with contextlib.suppress(*BROKEN):
        channel.close()


class Channels:
    """Opens channels on one connection, at most eight at once, and counts them."""

    def __init__(self, host: str, transport: paramiko.Transport) -> None:
        self.opened = 0
        self._host = host
        self._transport = transport
        self._slots = threading.BoundedSemaphore(MAX_CHANNELS)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(self, answer: Answer, deadline: float) -> Iterator[Exchange]:
        """A channel with nothing sent yet. Raises UnreachableError, DeadlineError, TransportError: nothing was run."""
        if not self._slots.acquire(timeout=deadline):
            raise DeadlineError(self._host, f"its {MAX_CHANNELS} channels were busy for {deadline:g} s")
        try:
            exchange = Exchange(self._open(min(deadline, OPEN_TIMEOUT)), answer)
            try:
                yield exchange
            except BaseException:
                exchange.abandon()
                raise
            exchange.close()
        finally:
            self._slots.release()

    def _open(self, timeout: float) -> paramiko.Channel:
        with self._lock:
            self.opened += 1
        ends = time.monotonic() + SETTLING
        while True:
            try:
                return self._transport.open_session(timeout=timeout)
            except Exception as error:  # noqa: BLE001 - whatever ended the transport's thread
                if not self._is_refusal(error):
                    why = str(error) or "the connection broke"
                    raise UnreachableError(self._host, "the connection is dead; nothing was run", why=why) from None
                if time.monotonic() > ends:
                    cure = f"MaxSessions in its sshd_config should be {MAX_CHANNELS + 2} or more"
                    raise TransportError(self._host, "it refuses a channel", why=str(error), next_step=cure) from None
                time.sleep(0.05)

    def _is_refusal(self, error: Exception) -> bool:
        """Of two refusals at once paramiko tells the second thread only that it is unable to open a channel."""
        plain = isinstance(error, paramiko.SSHException) and "Unable to open channel" in str(error)
        return isinstance(error, paramiko.ChannelException) or (plain and self._transport.is_active())
