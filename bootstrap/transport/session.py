"""Logs in to the servers of a route, each with pinned keys. Importing this imports fabric and paramiko."""

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import paramiko
import stamina

from bootstrap.errors import BootstrapError
from bootstrap.transport import failures, sockets
from bootstrap.transport.failures import HungUpError
from bootstrap.transport.identities import Identity
from bootstrap.transport.known_hosts import HostKey, Pins
from bootstrap.transport.settings import SshSettings
from bootstrap.transport.ssh_config import Hop
from bootstrap.transport.wire import PinnedConnection, open_tunnel, silence, transport_factory

AUTH_TIMEOUT = 30.0  # seconds: a host without a name server thinks for 20
Opened = TypeVar("Opened")


class KeyAuthentication:
    """Offers keys until one is taken; the interface is that of paramiko's AuthStrategy."""

    def __init__(self, user: str, identities: Iterable[Identity]) -> None:
        self._user = user
        self._identities = identities
        self.tried: list[str] = []

    def authenticate(self, transport: paramiko.Transport) -> list[str]:
        """Raises paramiko.AuthenticationException when no key is taken."""
        for identity in self._identities:
            self.tried.append(identity.text)
            if identity.key is not None and self._offer(transport, identity.key):
                return []
            if not transport.is_active():
                break
        raise paramiko.AuthenticationException("no key was taken")

    def _offer(self, transport: paramiko.Transport, key: paramiko.PKey) -> bool:
        try:
            wanted = transport.auth_publickey(self._user, key)
        except paramiko.BadAuthenticationType:
            raise
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error):
                raise TimeoutError(str(error)) from None
            return False
        if wanted:  # the key was right, and not enough
            raise paramiko.BadAuthenticationType("more than a key is asked for", list(wanted))
        return True


class Login:
    """One server to log in to, through the connection before it if there is one."""

    def __init__(
        self, hop: Hop, pins: Pins, settings: SshSettings, gateway: PinnedConnection | None, timeout: float
    ) -> None:
        self._hop = hop
        self._pins = pins
        self._settings = settings
        self._gateway = gateway
        self._timeout = timeout

    def open(self) -> PinnedConnection:
        """Tries again while the server hangs up unheard, as it does when too many log in at once."""
        return self._retry(self._try)

    def _retry(self, action: Callable[[], Opened]) -> Opened:
        retry = stamina.RetryingCaller(attempts=None, timeout=self._timeout, wait_initial=0.1, wait_max=1.0)
        try:
            return retry(HungUpError, action)
        except HungUpError as error:
            raise failures.hung_up(self._hop, self._timeout, str(error)) from None

    def _try(self) -> PinnedConnection:
        ends = time.monotonic() + self._timeout
        authentication = self._authentication()
        sock = None if self._gateway else self._open_socket(ends)
        connection = self._prepare(sock, authentication)
        try:
            connection.open()
            connection.transport.watch()
        except BaseException as error:
            _discard(connection, sock)
            if not isinstance(error, Exception):  # Ctrl-C
                raise
            silent = time.monotonic() > ends - 0.5
            raise failures.explain_login(self._hop, self._pins, error, authentication.tried, silent=silent) from None
        return connection

    def read_key(self) -> HostKey:
        """The server's key after a key exchange and nothing more. Tries as `open` does."""
        return self._retry(self._try_key)

    def _try_key(self) -> HostKey:
        ends = time.monotonic() + self._timeout
        hop = self._hop
        with contextlib.ExitStack() as stack:
            try:
                stream = self._open_stream(ends)
                stack.callback(stream.close)
                transport = transport_factory(self._pins.usable)(stream)
                stack.callback(transport.close)
                transport.banner_timeout = self._timeout
                transport.start_client(timeout=self._timeout)
                key = transport.get_remote_server_key()
            except (BootstrapError, HungUpError):
                raise
            except Exception as error:  # noqa: BLE001 - nonsense of a server may raise anything
                silent = time.monotonic() > ends - 0.5
                raise failures.explain_login(hop, self._pins, error, (), silent=silent) from None
        return HostKey(key.get_name(), key.asbytes())

    def _open_stream(self, ends: float) -> "socket.socket | paramiko.Channel":
        if self._gateway is None:
            return self._open_socket(ends)
        return open_tunnel(self._gateway.transport, self._hop.address, self._hop.port, self._timeout)

    def _authentication(self) -> KeyAuthentication:
        hop = self._hop
        identities = self._settings.identities.select(hop.identity_files, only=hop.identities_only)
        return KeyAuthentication(hop.user, identities)

    def _open_socket(self, ends: float) -> socket.socket:
        """A connection on which the server has begun to speak SSH."""
        hop = self._hop
        try:
            sock = sockets.open_socket(hop.address, hop.port, ends - time.monotonic())
        except (OSError, UnicodeError) as error:  # the latter for a name that can be none
            raise failures.unreachable(hop, error, self._timeout) from None
        try:
            greeting = sockets.peek(sock, ends - time.monotonic())
            failures.check_greeting(hop, greeting)
        except TimeoutError:
            sock.close()
            raise failures.no_banner(hop, self._timeout) from None
        except BaseException:
            sock.close()
            raise
        return sock

    def _prepare(self, sock: socket.socket | None, authentication: KeyAuthentication) -> PinnedConnection:
        hop = self._hop
        connection = PinnedConnection(
            host=hop.address,
            user=hop.user,
            port=hop.port,
            config=self._settings.fabric_config,
            gateway=self._gateway,
            forward_agent=False,
            connect_timeout=math.ceil(self._timeout),
            connect_kwargs={
                "sock": sock,
                "banner_timeout": self._timeout,
                "auth_timeout": AUTH_TIMEOUT,
                "channel_timeout": self._timeout,
                "allow_agent": False,
                "look_for_keys": False,
                "auth_strategy": authentication,
                "transport_factory": transport_factory(self._pins.usable),
            },
        )
        _pin(connection.client, hop, self._pins.usable)
        return connection


def _pin(client: paramiko.SSHClient, hop: Hop, keys: Iterable[HostKey]) -> None:
    """Raises HostKeyError when no pinned key is of a type that paramiko knows, such as ssh-dss or sk-ssh-ed25519."""
    known = [key for key in keys if any(key.type in kind.identifiers() for kind in paramiko.key_classes)]
    if not known:
        raise failures.unknown_key_type(hop, keys)
    name = hop.address if hop.port == 22 else f"[{hop.address}]:{hop.port}"
    for key in known:
        client.get_host_keys().add(name, key.type, paramiko.PKey.from_type_string(key.type, key.blob))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())


def _discard(connection: PinnedConnection, sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        connection.client.close()


def open_route(hops: tuple[Hop, ...], settings: SshSettings, timeout: float) -> list[PinnedConnection]:
    """Connections to all servers of a route, the host itself last. Every pin is looked up before the first packet.

    Raises HostKeyError, UnreachableError, AuthenticationError.
    """
    silence()
    pins = [failures.require_pins(hop, settings.known_hosts.pins(hop.names)) for hop in hops]
    chain: list[PinnedConnection] = []
    gate = settings.gates.of(hops[0].place) if len(hops) > 1 else contextlib.nullcontext()
    with gate:
        try:
            for hop, pinned in zip(hops, pins, strict=True):
                chain.append(Login(hop, pinned, settings, chain[-1] if chain else None, timeout).open())
        except BaseException:
            close_chain(chain)
            raise
    return chain


def read_host_key(hops: tuple[Hop, ...], settings: SshSettings, timeout: float) -> HostKey:
    """The key of the last server of a route, to which we do not log in. Raises UnreachableError."""
    *before, target = hops
    chain = open_route(tuple(before), settings, timeout) if before else []
    try:
        return Login(target, Pins(), settings, chain[-1] if chain else None, timeout).read_key()
    finally:
        close_chain(chain)


def close_chain(chain: list[PinnedConnection]) -> None:
    """Ends all connections without waiting for a host that may be gone: the outermost socket goes first."""
    for connection in chain[:1]:
        with contextlib.suppress(OSError, AttributeError):
            connection.transport.sock.shutdown(socket.SHUT_RDWR)
    for connection in reversed(chain):
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            connection.client.close()
