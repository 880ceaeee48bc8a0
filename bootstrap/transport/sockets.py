"""TCP sockets as SSH wants them: no delay, dead peers noticed, each cause of failure told apart. No SSH here."""

import socket
import time
from typing import Any

DEAD_AFTER = 15.0  # seconds without an acknowledgement until the kernel gives a connection up
KEEPALIVE = 5  # seconds
QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux alone has it


class QuickSocket(socket.socket):
    """A socket that acknowledges at once.

    Nagle here and delayed acknowledgements there cost 41 ms in each connect and each command. The kernel forgets
    TCP_QUICKACK, so every read sets it again.
    """

    def recv(self, *args: Any) -> bytes:  # noqa: ANN401
        data = super().recv(*args)
        acknowledge_at_once(self)
        return data


def acknowledge_at_once(sock: socket.socket) -> None:
    if QUICKACK is not None:
        sock.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)


def tune(sock: socket.socket) -> None:
    """Options that are set once. What a platform does not have is left out."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE),
        ("TCP_KEEPINTVL", KEEPALIVE),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", int(DEAD_AFTER * 1000)),
    ):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def open_socket(address: str, port: int, timeout: float) -> QuickSocket:
    """Connect to the first address that answers, all within `timeout` seconds. Raises OSError."""
    ends = time.monotonic() + timeout
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    for left, (family, kind, protocol, _, place) in zip(range(len(found), 0, -1), found, strict=True):
        share = max(0.1, (ends - time.monotonic()) / left)
        try:
            return _connect(QuickSocket(family, kind, protocol), place, share)
        except OSError as error:
            failure = error
    raise failure


def _connect(sock: QuickSocket, place: Any, timeout: float) -> QuickSocket:  # noqa: ANN401
    try:
        sock.settimeout(timeout)
        sock.connect(place)
        tune(sock)
    except BaseException:
        sock.close()
        raise
    acknowledge_at_once(sock)
    return sock


def peek(sock: socket.socket, timeout: float) -> bytes:
    """The first bytes that the peer sent, left in place; empty when it hung up. Raises TimeoutError on silence."""
    sock.settimeout(max(0.1, timeout))
    try:
        return sock.recv(64, socket.MSG_PEEK)
    except ConnectionError:
        return b""
