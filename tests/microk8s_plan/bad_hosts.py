"""Rows of bad hosts: each is a good one that is wrong in one way, and the one finding that must tell of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bootstrap.model import HostFacts, Interface, Record

from .world import SNAPD, blank, change, fresh, with_snap


@dataclass(frozen=True)
class BadHost:
    """Host `two`, a worker unless `text` says otherwise, made bad by `spoil`."""

    name: str
    spoil: Callable[[HostFacts], HostFacts]
    message: str
    hint: str = ""
    stops: bool = True
    text: str = ""


def good(name: str) -> HostFacts:
    """A machine that is fit for any role."""
    room = {"/": 40_000_000, "/var/lib": 40_000_000, "/etc": 40_000_000}
    return replace(blank(name), free_kb=room)


def fields(**values: Any) -> Callable[[HostFacts], HostFacts]:
    return lambda facts: replace(facts, **values)


def snapd(**values: Any) -> Callable[[HostFacts], HostFacts]:
    return lambda facts: change(facts, snapd=replace(SNAPD, **values))


def installed(*traces: str, begun: bool = True, **values: Any) -> Callable[[HostFacts], HostFacts]:
    """With the snap on it."""

    def spoil(facts: HostFacts) -> HostFacts:
        found = fresh(facts.host, begun=begun, **values)
        known = {**found.values, "traces": (*found.values["traces"], *traces)}
        return replace(found, free_kb=facts.free_kb, values=known)

    return spoil


ROWS = (
    BadHost("no snapd", lambda facts: change(facts, snapd=None), "it has no snapd", "apt-get install snapd"),
    BadHost(
        "a snapd that does not answer",
        snapd(problem="cannot communicate with server: timeout"),
        "snapd does not answer: cannot communicate with server",
        "systemctl restart snapd",
    ),
    BadHost(
        "an old snapd", snapd(version="2.54.3"), "its snapd is 2.54.3, which can't hold refreshes", "2.58 or later"
    ),
    BadHost(
        "a change that is stuck",
        snapd(changes=('12 Doing Install "microk8s" snap',)),
        'snapd is at work: change 12 Doing Install "microk8s" snap',
        "snap abort 12",
    ),
    BadHost(
        "a refresh in progress",
        snapd(changes=('40 Do Auto-refresh snaps "core22", "snapd"',)),
        "snapd is at work: change 40",
        "snap watch 40",
    ),
    BadHost(
        "classic snaps have no place", snapd(misses_folder=True), "it has no /snap", "ln -s /var/lib/snapd/snap /snap"
    ),
    BadHost(
        "an upper-case hostname",
        fields(hostname="Two"),
        "its hostname Two has an upper-case letter",
        "set-hostname two",
    ),
    BadHost(
        "an underscore in the hostname",
        fields(hostname="rack_2"),
        "its hostname rack_2 has an underscore",
        "set-hostname two",
    ),
    BadHost(
        "another hostname",
        fields(hostname="worker-7"),
        "its hostname is worker-7, and MicroK8s names the node by it",
        "worker-7 in the inventory",
    ),
    BadHost(
        "a hostname with a domain",
        fields(hostname="two.example.com"),
        "its hostname is two.example.com",
        "set-hostname two",
    ),
    BadHost(
        "too little memory", fields(memory_kb=480_000), "does not start with 512 MiB or less", "another distribution"
    ),
    BadHost(
        "the low-memory guard",
        installed("low-memory"),
        "keeps its control plane locked",
        "--disable-low-memory-guard",
    ),
    BadHost(
        "a snap that is broken",
        installed(snapd=with_snap("v1.36.1", "1.36/stable", "broken", "held")),
        "its snap microk8s is broken",
        "--purge",
    ),
    BadHost(
        "a snap that is disabled",
        installed(snapd=with_snap("v1.36.1", "1.36/stable", "disabled", "held")),
        "its snap microk8s is disabled",
        "snap enable",
    ),
    BadHost(
        "a developer's snap",
        installed(snapd=with_snap("v1.36.1", "1.36/stable", "devmode", "held")),
        "one of a developer's",
        "reinstall",
    ),
    BadHost(
        "a port that is taken",
        fields(listening=frozenset({25000})),
        "port 25000 is in use, and microk8s needs it for the cluster agent",
        "ss -ltnp",
    ),
    BadHost("no room", fields(free_kb={"/": 9_000_000, "/var/lib": 900_000}), "/var/lib has 900 MB free", "make room"),
    BadHost("32 bits", fields(arch="arm"), "no release for its architecture, arm", "amd64, arm64"),
    BadHost("OpenRC", fields(init="openrc"), "systemd does not run it", "no other service manager"),
    BadHost("another distribution", fields(distributions=("k3s",)), "there are remains of k3s", "k3s-uninstall.sh"),
    BadHost(
        "another cluster's", fields(record=Record("office")), "it belongs to cluster office", "bootstrap remove two"
    ),
    BadHost(
        "an address in the range of pods",
        fields(interfaces=(Interface("eth0", ("192.168.1.12",)), Interface("eth1", ("10.1.7.7",)))),
        "its address 10.1.7.7 (eth1) lies in 10.1.0.0/16",
        "network.pods",
    ),
    BadHost(
        "cgroup v1",
        fields(cgroup=1),
        "it has cgroup v1, on which the kubelet of 1.36 does not start",
        "--fail-cgroupv1",
    ),
    BadHost(
        "somebody's join that did not end",
        installed("joining", begun=False),
        "a join that somebody else began did not end there",
        "join-in-progress",
        stops=False,
    ),
)
