"""Hosts that are wrong in one way each: what is said, what helps, and whether it stops before any write."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.distros.k0s.layout import CONFIG
from bootstrap.model import HostFacts, Interface, Record, UnitFacts
from tests.k0s_plan.world import DRIVER, HIGH, SMALL, blank, load, make_input, text_file

RESTARTS = {"k0sworker": UnitFacts("loaded", "activating", "auto-restart", "enabled", restarts=12)}


@dataclass(frozen=True)
class BadHost:
    """What of host `two` (a worker) or `one` (a controller) is wrong, and what is said of it."""

    title: str
    says: str
    helps: str
    host: str = "two"
    stops: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    hosts: str = SMALL


ROWS = (
    BadHost(
        "cgroup v1",
        "cgroup v1, on which the kubelet of v1.36.3+k0s.2 does not start",
        "failCgroupV1: false",
        facts={"cgroup": 1},
    ),
    BadHost(
        "cgroup v1 on a controller alone",
        "cgroup v1",
        "--ignore-pre-flight-checks=true",
        host="one",
        facts={"cgroup": 1},
        hosts=HIGH,
    ),
    BadHost("memory cgroup off", "memory cgroup is off", "cgroup_enable=memory", facts={"memory_cgroup": False}),
    BadHost(
        "localhost unknown", "`localhost` is not in /etc/hosts", "127.0.0.1 localhost", values={"localhost": "unknown"}
    ),
    BadHost(
        "localhost left to DNS",
        "asks the name server",
        "127.0.0.1 localhost",
        stops=False,
        values={"localhost": "asked"},
    ),
    BadHost(
        "k0s' own pre-flight",
        "k0s would not start there: CONFIG_NAMESPACES: no kernel support",
        "k0s sysinfo",
        values={"rejected": ("CONFIG_NAMESPACES: no kernel support",)},
    ),
    BadHost(
        "another cluster's record",
        "it belongs to cluster office",
        "bootstrap remove two",
        facts={"record": Record("office")},
    ),
    BadHost(
        "another cluster's file",
        "it belongs to cluster office",
        "that cluster's inventory",
        host="one",
        facts={
            "files": {
                CONFIG: text_file(
                    "# k0s controller one of cluster office. Made from the inventory by bootstrap: changes\n"
                )
            }
        },
    ),
    BadHost("k3s is there", "there are remains of k3s", "k3s-uninstall.sh", facts={"distributions": ("k3s",)}),
    BadHost("kubeadm is there", "there are remains of kubeadm", "kubeadm reset", facts={"distributions": ("kubeadm",)}),
    BadHost("clock", "its clock is 10 minutes ahead", "timedatectl", facts={"clock_offset": 600.0}),
    BadHost("architecture", "no release for its architecture, riscv64", "amd64, arm64, arm", facts={"arch": "riscv64"}),
    BadHost("service manager", "neither systemd nor OpenRC", "no other service manager", facts={"init": "other"}),
    BadHost(
        "API port",
        "port 6443 is in use, and k0s needs it for the API",
        "ss -ltnp",
        host="one",
        facts={"listening": frozenset({6443})},
    ),
    BadHost(
        "join port",
        "port 9443 is in use, and k0s needs it for controllers that join",
        "ss -ltnp",
        host="one",
        facts={"listening": frozenset({9443})},
    ),
    BadHost(
        "konnectivity's port", "port 8132 is in use", "ss -ltnp", host="one", facts={"listening": frozenset({8132})}
    ),
    BadHost(
        "etcd's port",
        "port 2380 is in use, and k0s needs it for etcd's members",
        "ss -ltnp",
        host="one",
        facts={"listening": frozenset({2380})},
    ),
    BadHost("kubelet's port", "port 10250 is in use", "ss -ltnp", facts={"listening": frozenset({10250})}),
    BadHost(
        "data folder full",
        "/var/lib/k0s has 300 MB free, 1.6 GB are needed",
        "make room",
        facts={"free_kb": {"/": 9_000_000, "/var/lib": 300_000}},
    ),
    BadHost(
        "no room for the binary",
        "/usr/local/bin has 100 MB free",
        "make room",
        facts={"free_kb": {"/": 9_000_000, "/usr/local": 100_000}},
    ),
    BadHost(
        "little memory",
        "it has 300 MB of memory; k0s advises 512 MB for a worker",
        "",
        stops=False,
        facts={"memory_kb": 300_000},
    ),
    BadHost("swap", "swap is on", "", stops=False, facts={"swap_kb": 1_000_000}),
    BadHost("no default route", "it has no default route", "ip route add", facts={"default_interface": ""}),
    BadHost(
        "an earlier run goes on",
        "an earlier run still works here: install",
        "try again",
        facts={"running_operations": ("install",)},
    ),
    BadHost(
        "a service that does not stay up",
        "k0sworker has restarted itself 12 times",
        "journalctl -u k0sworker",
        stops=False,
        facts={"units": RESTARTS, "record": Record("home")},
    ),
    BadHost(
        "somebody else's k0s",
        "k0s is there already, and was not installed by this program",
        "",
        stops=False,
        facts={"units": {"k0sworker": UnitFacts("loaded", "active", "running")}},
    ),
    BadHost(
        "pod range",
        "lies in 10.244.0.0/16, which shall be the pods'",
        "network.pods",
        facts={"interfaces": (Interface("eth0", ("192.168.1.12",)), Interface("wg0", ("10.244.3.1",)))},
    ),
    BadHost(
        "workers know one controller",
        "workers that join through this controller know no other one",
        "nodeLocalLoadBalancing",
        host="one",
        stops=False,
        hosts=HIGH,
    ),
)


def find(row: BadHost, tmp_path: Path) -> list[tuple[str, str, str, bool]]:
    inventory = load(tmp_path, row.text, hosts=row.hosts)
    everyone = {host.name: sound(host.name) for host in inventory.hosts}
    bad = everyone[row.host]
    everyone[row.host] = replace(bad, **row.facts, values={**bad.values, **row.values})
    return [(f.host, f.message, f.hint, f.stops) for f in DRIVER.check_hosts(make_input(inventory, *everyone.values()))]


def sound(name: str) -> HostFacts:
    return replace(blank(name), machine_id=f"machine-{name}", boot_id=f"boot-{name}", memory_kb=4_000_000)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_bad_host_is_told_before_any_write(row: BadHost, tmp_path: Path) -> None:
    found = [each for each in find(row, tmp_path) if row.says in each[1]]
    assert [(host, stops) for host, _, _, stops in found] == [(row.host, row.stops)], find(row, tmp_path)
    assert row.helps in found[0][2]


def test_sound_hosts_have_no_findings(tmp_path: Path) -> None:
    assert find(BadHost("none", "", ""), tmp_path) == []


def test_both_ways_out_of_cgroup_v1_silence_it(tmp_path: Path) -> None:
    text = """\
k0s:
  installFlags: [--ignore-pre-flight-checks=true]
  profile: old
  config: {workerProfiles: [{name: old, values: {failCgroupV1: false}}]}
"""
    assert find(BadHost("both", "", "", facts={"cgroup": 1}, text=text), tmp_path) == []
