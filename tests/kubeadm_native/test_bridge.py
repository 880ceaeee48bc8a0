"""Pod ranges of hosts: stable when hosts come, go, are wiped or can't be asked."""

import json

import pytest

from bootstrap.distros.kubeadm.bridge import allocate, read_subnet, routes
from bootstrap.distros.kubeadm.files import templates
from bootstrap.distros.kubeadm.layout import CONFLIST, ROUTES

from .inventories import load, read, seen

BRIDGE = "kubeadm: {cni: bridge}\n"
FRESH = {"one": "10.244.0.0/24", "two": "10.244.1.0/24", "three": "10.244.2.0/24"}
ADDRESSES = {"one": "192.168.1.11", "two": "192.168.1.12", "three": "192.168.1.13"}


def after_apply(inventory, facts=None):
    """Facts of hosts that have what was rendered."""
    files = read(inventory, templates(inventory, facts))
    kept = (CONFLIST, ROUTES)
    return {
        host.name: seen(host.name, ADDRESSES[host.name], {path: files[host.name, path] for path in kept})
        for host in inventory.hosts
    }


def test_without_facts_the_nth_host_has_the_nth_range(tmp_path):
    assert allocate(load(tmp_path, BRIDGE)) == FRESH


def test_what_was_applied_stays(tmp_path):
    inventory = load(tmp_path, BRIDGE)
    assert allocate(inventory, after_apply(inventory)) == FRESH


def test_the_order_in_the_inventory_moves_no_host(tmp_path):
    facts = after_apply(load(tmp_path, BRIDGE))
    turned = "hosts:\n  three: {address: 192.168.1.13}\n  one: {address: 192.168.1.11, role: controller+worker}\n"
    assert allocate(load(tmp_path, BRIDGE, hosts=turned), facts) == {"one": FRESH["one"], "three": FRESH["three"]}


def test_a_wiped_host_gets_its_range_back_from_the_routes_of_the_others(tmp_path):
    facts = after_apply(inventory := load(tmp_path, BRIDGE))
    assert allocate(inventory, {**facts, "two": seen("two", ADDRESSES["two"])}) == FRESH


def test_a_host_that_can_t_be_asked_loses_its_range_to_nobody(tmp_path):
    facts = after_apply(load(tmp_path, BRIDGE))
    more = "hosts:\n  new: {address: 192.168.1.14}\n  one: {address: 192.168.1.11, role: controller+worker}\n  two: {address: 192.168.1.12}\n"
    inventory = load(tmp_path, BRIDGE, hosts=more)
    found = allocate(inventory, {"one": facts["one"], "new": seen("new", "192.168.1.14")})
    assert found == {"one": FRESH["one"], "two": FRESH["two"], "new": "10.244.3.0/24"}


def test_a_copied_disk_is_told_from_the_first_one(tmp_path):
    facts = after_apply(inventory := load(tmp_path, BRIDGE))
    copied = seen("three", ADDRESSES["three"], {CONFLIST: facts["one"].files[CONFLIST].content})
    found = allocate(inventory, {**facts, "three": copied})
    assert found == FRESH


def test_a_range_of_a_host_that_went_is_taken_again_when_no_other_is_left(tmp_path):
    small = "network: {pods: 10.1.0.0/23, services: 10.2.0.0/16}\n" + BRIDGE
    two = "hosts:\n  one: {address: 192.168.1.11, role: controller+worker}\n  two: {address: 192.168.1.12}\n"
    facts = after_apply(load(tmp_path, small, hosts=two))
    other = "hosts:\n  one: {address: 192.168.1.11, role: controller+worker}\n  new: {address: 192.168.1.14}\n"
    found = allocate(load(tmp_path, small, hosts=other), {"one": facts["one"], "new": seen("new", "192.168.1.14")})
    assert found == {"one": "10.1.0.0/24", "new": "10.1.1.0/24"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", json.dumps({"plugins": [{"type": "flannel"}]}), json.dumps({"plugins": [{"type": "bridge"}]})],
)
def test_a_conflist_of_others_gives_no_range(text):
    assert read_subnet(text) == ""


def test_a_range_outside_of_the_pods_is_given_up(tmp_path):
    inventory = load(tmp_path, BRIDGE)
    for subnet in ("10.9.0.0/24", "10.244.0.0/16", "nonsense", "2001:db8::/64"):
        text = json.dumps({"plugins": [{"type": "bridge", "ipam": {"ranges": [[{"subnet": subnet}]]}}]})
        assert allocate(inventory, {"one": seen("one", ADDRESSES["one"], {CONFLIST: text})}) == FRESH


def test_routes_lead_to_each_other_host_by_its_node_address(tmp_path):
    hosts = """hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: two.lan, node_address: 10.0.0.2}
  three: {address: three.lan}
"""
    inventory = load(tmp_path, BRIDGE, hosts=hosts)
    assert routes(inventory, inventory.hosts[0], {"three": seen("three", "10.0.0.3")}) == [
        ("10.244.1.0/24", "10.0.0.2"),
        ("10.244.2.0/24", "10.0.0.3"),
    ]


def test_ipv6_pods_get_ipv6_routes(tmp_path):
    text = "network: {pods: '2001:db8:42::/56', services: '2001:db8:43::/112'}\nkubeadm: {cni: bridge}\n"
    hosts = """hosts:
  one: {address: '2001:db8::1', role: controller+worker}
  two: {address: '2001:db8::2'}
"""
    inventory = load(tmp_path, text, hosts=hosts)
    files = read(inventory, templates(inventory))
    assert files["one", ROUTES] == "2001:db8:42:1::/64 via 2001:db8::2\n"
    assert json.loads(files["one", CONFLIST])["plugins"][0]["ipam"] == {
        "type": "host-local",
        "ranges": [[{"subnet": "2001:db8:42::/64"}]],
        "routes": [{"dst": "::/0"}],
    }
