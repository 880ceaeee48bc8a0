"""Turns what fabric, paramiko and the socket layer raise into errors of this program. No I/O."""

import errno
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from bootstrap.errors import (
    AuthenticationError,
    BootstrapError,
    ConnectionLostError,
    HostKeyError,
    TransportError,
    UnreachableError,
)
from bootstrap.transport.framing import OutputTooLargeError
from bootstrap.transport.known_hosts import HostKey, Pins, describe
from bootstrap.transport.ssh_config import Hop

# what sshd says instead of a banner: session limit (tried again), source penalties (not tried again)
TOO_MANY = b"Exceeded MaxStartups"
PENALTY = b"Not allowed at this time"


class HungUpError(Exception):
    """The server closed the connection before its banner. Trying again may help."""


def require_pins(hop: Hop, pins: Pins) -> Pins:
    """The pins, of which at least one can be used. Raises HostKeyError."""
    if pins.usable:
        return pins
    if pins.keys:
        what = f"the pinned host key of {hop.label} is revoked"
        raise HostKeyError(hop.host, what, why=describe(pins.keys), next_step=f"bootstrap trust --replace {hop.label}")
    why = f"known_hosts has no line for {' or '.join(hop.names)}"
    if pins.authorities:
        why = "known_hosts has only a @cert-authority line for it, and host certificates are not supported"
    what = f"no host key is pinned for {hop.label}"
    raise HostKeyError(hop.host, what, why=why, next_step=f"bootstrap trust {hop.label}")


def wrong_key(hop: Hop, pins: Pins, offered: HostKey) -> HostKeyError:
    """Both prints and what to do; nothing was sent to the server but the question for its key."""
    if offered in pins.revoked:
        return HostKeyError(hop.host, f"{hop.label} offers a host key that is revoked", why=describe([offered]))
    return HostKeyError(
        hop.host,
        f"the host key of {hop.label} is not the pinned one; nothing was sent to it",
        why=f"pinned {describe(pins.usable)}, offered {describe([offered])}",
        next_step=f"if the machine was reinstalled: bootstrap trust --replace {hop.label}",
    )


def unknown_key_type(hop: Hop, keys: Iterable[HostKey]) -> HostKeyError:
    what = f"the pinned host key of {hop.label} is of a type that is not supported"
    return HostKeyError(hop.host, what, why=describe(keys), next_step=f"bootstrap trust --replace {hop.label}")


def check_greeting(hop: Hop, greeting: bytes) -> None:
    """The first bytes of a server. Raises HungUpError, UnreachableError."""
    if not greeting or greeting.startswith(TOO_MANY):
        raise HungUpError(greeting.decode("ascii", "replace").strip())
    if greeting.startswith(PENALTY):
        why = "sshd punishes failed logins from this address (PerSourcePenalties)"
        raise UnreachableError(hop.host, f"{hop.place} refuses this machine for a while", why=why)


def hung_up(hop: Hop, timeout: float, said: str) -> UnreachableError:
    why = said or "too many logins at once (MaxStartups), or sshd can't start"
    return UnreachableError(
        hop.host, f"{hop.place} closes the connection before the SSH banner, for {timeout:g} s", why=why
    )


def no_banner(hop: Hop, timeout: float) -> UnreachableError:
    what = f"{hop.place}: port open, no SSH banner in {timeout:g} s"
    return UnreachableError(hop.host, what, next_step="does another service listen there, or does the machine hang?")


def unreachable(hop: Hop, error: BaseException, timeout: float) -> UnreachableError:
    """The cause of a failed TCP connect, in a person's words."""
    what, cure = _cause(hop.place, error, timeout)
    return UnreachableError(hop.host, what, next_step=cure)


def _cause(place: str, error: BaseException, timeout: float) -> tuple[str, str]:
    number = getattr(error, "errno", 0)
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name in {place} is not found", "check the address in the inventory, or the name server"
    if isinstance(error, ConnectionRefusedError):
        return f"{place} refused the connection", "is sshd running there, on this port?"
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        return f"{place} did not answer within {timeout:g} s", "is the machine on, and no firewall in between?"
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"no route to {place}", "is the machine on, and this one in the same network or VPN?"
    return f"{place} can't be connected to: {error}", ""


def explain_login(hop: Hop, pins: Pins, error: Exception, tried: Sequence[str], *, silent: bool) -> Exception:
    """The cause of a failed handshake or login. `silent`: the time was up."""
    import paramiko

    if isinstance(error, BootstrapError):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        return wrong_key(hop, pins, HostKey(error.key.get_name(), error.key.asbytes()))
    if isinstance(error, paramiko.AuthenticationException):
        return refused_login(hop, error, tried)
    if isinstance(error, paramiko.ChannelException):
        return UnreachableError(hop.host, f"the hop before it can't connect to {hop.place}", why=str(error))
    if str(error).startswith("Error reading SSH protocol banner"):
        return UnreachableError(hop.host, f"{hop.place}: no SSH banner") if silent else HungUpError()
    if isinstance(error, TimeoutError):
        return UnreachableError(hop.host, f"{hop.place} did not answer while logging in")
    why = str(error) or type(error).__name__
    return UnreachableError(hop.host, f"the SSH handshake with {hop.place} failed", why=why)


def refused_login(hop: Hop, error: Exception, tried: Sequence[str]) -> AuthenticationError:
    import paramiko

    cure = f"ssh-copy-id {hop.user}@{hop.address}, or name the right user or identity file in the inventory"
    if any("encrypted" in text for text in tried):
        cure = "load the key into an agent (ssh-add), or run on a terminal to be asked for its passphrase"
    why = f"tried {', '.join(tried)}" if tried else "there is no key to try: no agent and none in ~/.ssh"
    if isinstance(error, paramiko.BadAuthenticationType):
        why = f"a key alone does not do there, it asks for {', '.join(error.allowed_types)}"
    return AuthenticationError(hop.host, f"{hop.place} accepted no key of ours for {hop.user}", why=why, next_step=cure)


def lost(host: str, why: str = "") -> ConnectionLostError:
    return ConnectionLostError(
        host,
        "the connection broke; whether the command ran is not known",
        why=why,
        next_step="run the same command again: it looks at the host first",
    )


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Nothing but BootstrapError leaves this block; what is not expected counts as a lost connection."""
    import paramiko

    try:
        yield
    except BootstrapError:
        raise
    except OutputTooLargeError as error:
        raise TransportError(host, "the command was left alone", why=str(error)) from None
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise lost(host, str(error) or type(error).__name__) from error
