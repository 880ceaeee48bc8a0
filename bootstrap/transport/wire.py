"""Fabric's and paramiko's classes, bent to what this package promises. Importing this imports both."""

import contextlib
import logging
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import fabric
import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

from bootstrap.transport import sockets
from bootstrap.transport.known_hosts import HostKey

ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}  # by key type, where the names differ
MAX_UNANSWERED = 9  # signs of life missed in a row, one each KEEPALIVE seconds: a busy small host may take its time


class FastTransport(paramiko.Transport):
    """Paramiko's protocol with what costs least first, and nothing of SHA-1, CBC or MD5."""

    _preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
    _preferred_macs = (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    )
    _unanswered = 0

    def watch(self) -> None:
        """From now on an idle server is asked for a sign of life; one that gives none for long is given up.

        The kernel notices a dead line by itself, but neither a frozen sshd nor a host that died behind a jump.
        """
        me = weakref.proxy(self)
        self.packetizer.set_keepalive(sockets.KEEPALIVE, lambda: me.ping())

    def ping(self) -> None:
        """Runs in the transport's own thread, where EOFError ends the connection."""
        if self._unanswered >= MAX_UNANSWERED:
            raise EOFError(f"no sign of life for {self._unanswered * sockets.KEEPALIVE} s")
        self._unanswered += 1
        message = paramiko.Message()
        message.add_byte(cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)  # noqa: FBT003 - wants a reply, which is always "no such request"
        self._send_user_message(message)  # type: ignore[attr-defined]

    def _parse_request_failure(self, m: Any) -> None:  # noqa: ANN401
        self._unanswered = 0
        super()._parse_request_failure(m)  # type: ignore[misc]


class PinnedConnection(fabric.Connection):  # type: ignore[misc]
    """Fabric's connection, which never adds a key by itself and does not touch the Config that threads share."""

    # without a class attribute of this name Fabric writes it into the shared Config, which is then re-merged
    inline_ssh_env = None

    def open_gateway(self) -> paramiko.Channel:
        """The tunnel through the hop before, with a time limit."""
        return open_tunnel(self.gateway.transport, self.host, self.port, float(self.connect_timeout))


def open_tunnel(transport: paramiko.Transport, address: str, port: int, timeout: float) -> paramiko.Channel:
    """A channel to stand in for a socket. Paramiko's own thread closes it, and would print what that raises."""
    channel = transport.open_channel("direct-tcpip", (address, port), ("", 0), timeout=timeout)
    close = channel.close

    def close_quietly() -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            close()

    channel.close = close_quietly  # type: ignore[method-assign]
    return channel


def transport_factory(keys: Iterable[HostKey]) -> Callable[..., paramiko.Transport]:
    """Asks the server for a key of the pinned types first: a host with several keys shows the one we know."""
    wanted = [name for key in keys for name in ALGORITHMS.get(key.type, (key.type,))]

    def make(sock: Any, disabled_algorithms: Any = None) -> paramiko.Transport:  # noqa: ANN401
        transport = FastTransport(sock, disabled_algorithms=disabled_algorithms)
        options = transport.get_security_options()
        known = options.key_types
        options.key_types = tuple(dict.fromkeys((*(name for name in wanted if name in known), *known)))
        return transport

    return make


def silence() -> None:
    """Paramiko logs tracebacks of broken connections to stderr; our errors say it all."""
    for name in ("paramiko", "invoke", "fabric", "stamina"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
