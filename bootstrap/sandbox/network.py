"""The network inside a sandbox: a bridge, one link per host, and a closed way out. Runs inside its namespaces only."""

import socket
import threading
from pathlib import Path

from bootstrap.errors import SandboxError
from bootstrap.sandbox.layout import GATEWAY, HostSpec
from bootstrap.sandbox.programs import call

# `ip netns add` mounts /run/netns over itself when it finds it plain; two at once would hide each other's names.
_NETNS = threading.Lock()


def build() -> None:
    """The bridge of all hosts, and a way out that says no at once.

    The default route leads to a bridge without ports where everything is rejected: plain unreachable routes are
    rate-limited by the kernel and cost each lookup or download in a test seconds of waiting.
    """
    _batch(
        "link set lo up",
        "link add hosts type bridge",
        f"address add {GATEWAY}/24 dev hosts",
        "link set hosts up",
        "link add closed type bridge",
        "link set closed up",
        "route add default dev closed",
    )
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")
    for chain in ("FORWARD", "OUTPUT"):
        reject = ("iptables", "-A", chain, "-o", "closed")
        call([*reject, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"])
        call([*reject, "-j", "REJECT"])


def plug_in(host: HostSpec) -> Path:
    """A new network namespace for the host with a finished eth0 in it; the namespace's path."""
    unplug(host)
    with _NETNS:
        call(["ip", "netns", "add", host.name])
    _batch(
        f"link add {host.link} type veth peer name eth0 address {host.mac} netns {host.name}",
        f"link set {host.link} master hosts up",
    )
    _batch(
        "link set lo up",
        f"address add {host.address}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {GATEWAY}",
        netns=host.name,
    )
    return Path("/run/netns") / host.name


def unplug(host: HostSpec) -> None:
    """Remove the host's link and network namespace, if any."""
    if host.link in {name for _, name in socket.if_nameindex()}:  # /sys shows the links of the machine
        call(["ip", "link", "delete", host.link])
    if Path("/run/netns", host.name).exists():
        with _NETNS:
            call(["ip", "netns", "delete", host.name])


def _batch(*lines: str, netns: str | None = None) -> None:
    where = ["-netns", netns] if netns else []
    try:
        call(["ip", *where, "-batch", "-"], "\n".join(lines) + "\n")
    except SandboxError as error:
        raise SandboxError("the sandbox's network cannot be made", why=error.why) from error
