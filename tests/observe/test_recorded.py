"""What real hosts answered, read again. recorded/ holds whole answers of hosts with the real k3s v1.36.3+k3s1.

Secrets in them were replaced; to record anew, run the probes of a host through a transport and keep its standard output.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.k3s.layout import BINARY, CONFIG, INSTALLER, JOIN, SCRIPT
from bootstrap.distros.k3s.refusals import parse_node_args
from bootstrap.facts import make_host_facts
from bootstrap.model import HostFacts, Interface, Role, UnitFacts, digest
from bootstrap.observe import read_answers
from tests.plan.world import make_host

MARK = "bootstrap-0123456789abcdef"
TOKEN = "0123456789abcdef" * 3
RECORDED = Path(__file__).parent / "recorded"
HOSTS = {
    "debian-fresh": Role.CONTROLLER_WORKER,
    "debian-server": Role.CONTROLLER_WORKER,
    "debian-server-stopped": Role.CONTROLLER_WORKER,
    "debian-agent": Role.WORKER,
    "debian-agent-stopped": Role.WORKER,
    "openrc-fresh": Role.CONTROLLER_WORKER,
    "openrc-server": Role.CONTROLLER_WORKER,
}


def read(name: str) -> HostFacts:
    host = make_host("h2" if "agent" in name else "h1", HOSTS[name], 11)
    probes = find_driver("k3s").probes(make_inventory_of(host), host)
    text = (RECORDED / f"{name}.txt").read_text()
    return make_host_facts(host.name, read_answers(probes, MARK, text), asked=(1795582744.0, 1795582744.0))


def make_inventory_of(host):
    from tests.plan.world import make_inventory

    return replace(make_inventory(1), hosts=(host,))


def test_every_recording_is_read() -> None:
    assert {path.stem for path in RECORDED.glob("*.txt")} == set(HOSTS)


@pytest.mark.parametrize("name", HOSTS)
def test_the_machine(name: str) -> None:
    facts = read(name)
    assert (facts.os, facts.arch) == ("debian 13", "amd64")
    assert facts.init == name.partition("-")[0].replace("debian", "systemd")
    assert facts.hostname == facts.host
    assert len(facts.machine_id) == 32
    assert len(facts.boot_id) == 36
    assert (facts.cgroup, facts.memory_cgroup, facts.memory_kb, facts.swap_kb) == (1, True, 24683656, 0)
    assert set(facts.free_kb) == {"/", "/var/lib", "/usr/local", "/etc"}
    assert all(free > 1_000_000 for free in facts.free_kb.values())
    assert facts.default_interface == "eth0"
    assert facts.interfaces[0] == Interface("eth0", ("10.77.0.12" if facts.host == "h2" else "10.77.0.11",))
    assert abs(facts.clock_offset) < 600
    assert (facts.lease, facts.running_operations) == (None, ())
    assert 22 in facts.listening


def test_nothing_is_on_a_fresh_host() -> None:
    facts = read("debian-fresh")
    assert (facts.distributions, facts.files, facts.record) == ((), {}, None)
    assert facts.units == {"k3s": UnitFacts(enabled=""), "k3s-agent": UnitFacts(enabled="")}
    assert facts.values == {"datastore": "", "traces": (), "token": None, "kubeconfig": None, "nodes": None}
    assert facts.listening == {22}


def test_openrc_names_services_that_are_there_alone() -> None:
    assert read("openrc-fresh").units == {}
    assert read("openrc-server").units == {"k3s": UnitFacts("loaded", "active", "running", "enabled")}


@pytest.mark.parametrize("name", ["debian-server", "openrc-server"])
def test_a_server_that_runs(name: str) -> None:
    facts = read(name)
    assert facts.distributions == ("k3s",)
    assert facts.units["k3s"] == UnitFacts("loaded", "active", "running", "enabled")
    assert facts.values["datastore"] == "etcd"
    assert facts.values["token"].reveal() == TOKEN
    assert "kind: Config" in facts.values["kubeconfig"].reveal()
    assert {6443, 10250, 2379, 2380} <= facts.listening
    assert set(facts.files) >= {CONFIG, JOIN, SCRIPT, BINARY, INSTALLER}
    assert facts.record is not None
    assert (facts.record.cluster, set(facts.record.applied)) == ("home", {"k3s", "install"})


def test_its_nodes() -> None:
    nodes = read("debian-server").values["nodes"]
    assert set(nodes) == {"h1", "h2"}
    arguments = parse_node_args(nodes["h1"]["metadata"]["annotations"]["k3s.io/node-args"])
    assert arguments["cluster-init"] == "true"
    assert arguments["token"] == "********"
    assert arguments["disable"] == ["coredns", "local-storage", "metrics-server", "servicelb", "traefik"]


def test_a_server_that_is_stopped_keeps_its_datastore_and_answers_nothing() -> None:
    facts = read("debian-server-stopped")
    assert (facts.units["k3s"].active, facts.units["k3s"].is_running) == ("inactive", False)
    assert (facts.values["datastore"], facts.values["nodes"]) == ("etcd", None)
    assert facts.values["token"].reveal() == TOKEN
    assert 6443 not in facts.listening


@pytest.mark.parametrize(("name", "active"), [("debian-agent", "active"), ("debian-agent-stopped", "inactive")])
def test_an_agent(name: str, active: str) -> None:
    facts = read(name)
    assert facts.units["k3s-agent"].active == active
    assert facts.units["k3s"].load == "not-found"
    assert "/var/lib/rancher/k3s/agent/client-kubelet.crt" in facts.values["traces"]
    assert "token" not in facts.values
    assert facts.record is not None
    assert facts.record.labels == ("disk", "storage.example.com/class")
    assert facts.record.taints == ("dedicated:PreferNoSchedule",)


@pytest.mark.parametrize("name", ["debian-server", "debian-agent", "openrc-server"])
def test_small_files_come_with_their_content_and_big_ones_with_their_sum(name: str) -> None:
    facts = read(name)
    config = facts.files[CONFIG]
    assert (config.mode, config.owner) == ("0600", "root:root")
    assert config.content is not None
    assert (digest(config.content), len(config.content)) == (config.sha256, config.size)
    assert facts.files[BINARY].content is None
    assert (facts.files[BINARY].mode, facts.files[BINARY].size > 70_000_000) == ("0755", True)


def test_no_secret_shows_when_facts_are_printed() -> None:
    assert TOKEN not in repr(read("debian-server"))
