"""Which files a host gets, and what depends on facts and on the lock."""

from dataclasses import replace

import pytest
import yaml

from bootstrap.distros.k3s.files import (
    REGISTRATION,
    api_names,
    join_artifact,
    join_file,
    native_keys,
    node_addresses,
    templates,
)
from bootstrap.distros.k3s.layout import CONFIG, JOIN, SCRIPT
from bootstrap.model import Endpoint, HostFacts, Interface, Inventory, Lock, LockedFile, Network, Reference, Role, Taint
from bootstrap.render import render
from tests.k3s_native.inventories import make_facts, make_host, make_inventory


def read(
    inventory: Inventory,
    host: str,
    path: str = CONFIG,
    facts: dict[str, HostFacts] | None = None,
    lock: Lock | None = None,
) -> str:
    artifacts = render(inventory, templates(inventory, facts, lock))
    return next(artifact.content for artifact in artifacts if (artifact.host, artifact.path) == (host, path))


def load(inventory: Inventory, host: str, path: str = CONFIG, facts: dict[str, HostFacts] | None = None) -> dict:
    return yaml.safe_load(read(inventory, host, path, facts)) or {}


def test_the_same_inventory_gives_the_same_bytes() -> None:
    inventory = make_inventory(make_host("one", labels={"b": "1", "a": "2"}), make_host("two", Role.WORKER))
    uses = templates(inventory)
    assert render(inventory, uses) == render(inventory, templates(inventory))


def test_a_further_controller_changes_no_file_of_those_that_run() -> None:
    three = [make_host(name, Role.CONTROLLER, address=f"10.0.0.{index}") for index, name in enumerate("abc", 1)]
    more = [make_host(name, Role.CONTROLLER, address=f"10.0.0.{index}") for index, name in enumerate("de", 4)]
    worker = make_host("w", Role.WORKER)
    small, large = make_inventory(*three, worker), make_inventory(*three, *more, worker)
    before = {(a.host, a.path): a for a in render(small, templates(small))}
    after = {(a.host, a.path): a for a in render(large, templates(large))}
    assert {key: after[key] for key in before} == before


def test_an_agent_takes_no_server_key_from_the_shared_section() -> None:
    native = {"config": {"disable": ["traefik"], "debug": True}, "server": {"tls-san-security": False}}
    inventory = make_inventory(make_host("one", native=native), make_host("two", Role.WORKER, native=native))
    assert load(inventory, "one").items() >= {"disable": ["traefik"], "debug": True, "tls-san-security": False}.items()
    assert load(inventory, "two").keys() == {"token", "node-name", "debug"}


def test_the_section_of_the_role_wins_over_the_shared_one_and_a_key_is_written_once() -> None:
    native = {"config": {"kubelet-arg": ["max-pods=110"], "debug": True}, "agent": {"kubelet-arg": ["max-pods=50"]}}
    host = make_host("two", Role.WORKER, native=native)
    assert native_keys(host) == {"config": {"debug": True}, "agent": {"kubelet-arg": ["max-pods=50"]}}


def test_native_keys_keep_their_order() -> None:
    names = ["write-kubeconfig-mode", "debug", "kubelet-arg", "disable", "etcd-arg"]
    native = {"server": dict.fromkeys(names, "x")}
    written = list(load(make_inventory(make_host("one", native=native)), "one"))
    assert [name for name in written if name in names] == names


@pytest.mark.parametrize("name", ["on", "1e3", "123", "y", "0x1f", "null"])
def test_node_names_stay_text_whatever_they_look_like(name: str) -> None:
    assert load(make_inventory(make_host(name)), name)["node-name"] == name


def test_agents_join_by_the_agent_token_where_there_is_one() -> None:
    native = {"server": {"agent-token": "${env:AGENTS}"}}
    hosts = make_host("one", native=native), make_host("two", Role.WORKER, native={})
    inventory = make_inventory(*hosts, token=Reference("env", "SERVERS"))
    assert load(inventory, "one")["token"] == "${env:SERVERS}"
    assert load(inventory, "one")["agent-token"] == "${env:AGENTS}"
    assert load(inventory, "two")["token"] == "${env:AGENTS}"


def test_without_a_token_the_generated_one_is_named() -> None:
    assert load(make_inventory(make_host("one")), "one")["token"] == "${generated:token}"


# --- addresses -----------------------------------------------------------------------------------


def test_an_interface_s_address_is_a_comment_until_the_host_is_observed() -> None:
    inventory = make_inventory(make_host("one", node_interface="wg0"))
    assert "# node-ip: the address of wg0, known when the host is observed\n" in read(inventory, "one")
    assert load(inventory, "one")["flannel-iface"] == "wg0"
    facts = {"one": make_facts("one", interfaces=(Interface("wg0", ("10.8.0.1", "fd00::1")),))}
    assert load(inventory, "one", facts=facts)["node-ip"] == "10.8.0.1"


def test_one_address_of_each_family_of_the_pods_is_taken() -> None:
    host = make_host("one", node_interface="wg0")
    facts = {"one": make_facts("one", interfaces=(Interface("wg0", ("10.8.0.1", "10.8.0.2", "fd00::1", "fd00::2")),))}
    both = make_inventory(host, network=Network(pods=("fd01::/56", "10.42.0.0/16")))
    assert node_addresses(both, host, facts) == ["fd00::1", "10.8.0.1"]
    assert node_addresses(make_inventory(host), host, facts) == ["10.8.0.1"]


def test_without_an_address_and_an_interface_the_choice_is_left_to_k3s() -> None:
    assert "node-ip" not in read(make_inventory(make_host("one")), "one", facts={"one": make_facts("one")})


@pytest.mark.parametrize("native", [{"server": {"flannel-backend": "none"}}, {"config": {"flannel-iface": "eth9"}}])
def test_flannel_follows_the_node_s_interface_unless_told_otherwise(native: dict) -> None:
    inventory = make_inventory(make_host("one", node_interface="wg0", native=native))
    assert load(inventory, "one").get("flannel-iface") != "wg0"


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("10.0.0.1", ["10.0.0.9", "k8s.lan", "10.0.0.1"]),
        ("one.local", ["10.0.0.9", "k8s.lan", "one.local"]),
        ("127.0.0.1", ["10.0.0.9", "k8s.lan"]),
        ("::1", ["10.0.0.9", "k8s.lan"]),
        ("alias", ["10.0.0.9", "k8s.lan"]),
        ("k8s.lan", ["10.0.0.9", "k8s.lan"]),
    ],
)
def test_the_certificate_names_what_others_may_call_the_api(address: str, names: list[str]) -> None:
    host = make_host("one", address=address)
    assert api_names(make_inventory(host, endpoint=Endpoint("10.0.0.9"), sans=("k8s.lan", "10.0.0.9")), host) == names


# --- registration --------------------------------------------------------------------------------


def test_a_pure_controller_registers_with_a_taint_that_packaged_parts_tolerate() -> None:
    inventory = make_inventory(make_host("one", Role.CONTROLLER), make_host("two", Role.WORKER))
    assert load(inventory, "one", REGISTRATION)["node-taint"] == ["node-role.kubernetes.io/control-plane:NoSchedule"]
    assert REGISTRATION not in [use.path for use in templates(inventory) if use.host == "two"]


@pytest.mark.parametrize(
    ("label", "registered"),
    [
        ("disk", True),
        ("example.com/rack", True),
        ("node-role.kubernetes.io/worker", False),
        ("kubernetes.io/role", False),
        ("app.k8s.io/x", False),
        ("node.kubernetes.io/exclude-from-external-load-balancers", True),
        ("topology.kubernetes.io/zone", True),
        ("notkubernetes.io/x", True),
    ],
)
def test_labels_that_a_kubelet_may_not_set_are_left_to_the_api(label: str, registered: bool) -> None:
    inventory = make_inventory(make_host("one", labels={label: "x"}))
    uses = [use for use in templates(inventory) if use.path == REGISTRATION]
    assert bool(uses) is registered


def test_labels_and_taints_are_outside_of_what_a_restart_is_decided_by() -> None:
    plain, marked = make_host("one"), make_host("one", labels={"a": "b"}, taints=(Taint("a", "", "NoSchedule"),))
    assert read(make_inventory(plain), "one") == read(make_inventory(marked), "one")


# --- joining -------------------------------------------------------------------------------------


def test_a_single_controller_founds_without_etcd_unless_it_is_asked_for() -> None:
    assert load(make_inventory(make_host("one")), "one", JOIN) == {}
    asked = make_inventory(make_host("one", native={"server": {"cluster-init": True}}))
    assert load(asked, "one", JOIN) == {"cluster-init": True}
    assert "cluster-init" not in load(asked, "one")


def test_the_first_of_three_founds_etcd_and_all_others_ask_it() -> None:
    hosts = [make_host(name, Role.CONTROLLER, address=f"10.0.0.{index}") for index, name in enumerate("abc", 1)]
    inventory = make_inventory(*hosts, make_host("w", Role.WORKER))
    assert load(inventory, "a", JOIN) == {"cluster-init": True}
    assert [load(inventory, name, JOIN) for name in "bcw"] == [{"server": "https://10.0.0.1:6443"}] * 3


def test_the_founder_is_asked_at_its_node_address_and_port() -> None:
    founder = make_host("a", node_addresses=("2001:db8::1",), native={"server": {"https-listen-port": 7443}})
    inventory = make_inventory(founder, make_host("w", Role.WORKER))
    assert load(inventory, "w", JOIN) == {"server": "https://[2001:db8::1]:7443"}


def test_a_join_file_says_one_thing() -> None:
    assert yaml.safe_load(join_file(founds_etcd=True, server_url="")) == {"cluster-init": True}
    assert yaml.safe_load(join_file(founds_etcd=False, server_url="https://a:6443")) == {"server": "https://a:6443"}
    assert yaml.safe_load(join_file(founds_etcd=False, server_url="")) is None


def test_a_join_artifact_is_the_rendered_file() -> None:
    host = make_host("one")
    inventory = make_inventory(host)
    artifact = join_artifact(host, founds_etcd=False, server_url="")
    assert artifact in render(inventory, templates(inventory))


# --- the lock ------------------------------------------------------------------------------------


def test_the_install_script_has_checksums_when_the_lock_and_the_architecture_are_known() -> None:
    inventory = make_inventory(make_host("one", arch="arm64"))
    file = LockedFile("k3s", inventory.version, "arm64", "https://example.com/k3s-arm64", 1, "a" * 64)
    lock = Lock(
        (
            file,
            replace(file, arch="amd64", sha256="c" * 64),
            replace(file, name="install.sh", arch="any", sha256="b" * 64),
        )
    )
    script = read(inventory, "one", SCRIPT, lock=lock)
    assert f"check_sum /usr/local/bin/k3s {'a' * 64}" in script
    assert "c" * 64 not in script
    assert "check_sum" not in read(inventory, "one", SCRIPT)
    unknown = make_inventory(make_host("one"))
    assert "check_sum" not in read(unknown, "one", SCRIPT, lock=lock)
    assert "c" * 64 in read(unknown, "one", SCRIPT, facts={"one": make_facts("one")}, lock=lock)
