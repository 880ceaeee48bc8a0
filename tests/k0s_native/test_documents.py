"""What the inventory's own words make of k0s' documents."""

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.k0s import layout
from bootstrap.distros.k0s.documents import (
    cluster_spec,
    cluster_wide,
    host_spec,
    install_flags,
    list_workloads,
    node_address,
    node_local,
)

from .inventories import THREE, load, read, seen

DRIVER = find_driver("k0s")
SINGLE = "hosts:\n  one: {address: one.lan, role: single}\n"


def test_the_endpoint_is_the_external_address(tmp_path):
    spec = cluster_spec(load(tmp_path, "endpoint: k8s.lan\nsans: [other.lan]\n"))
    assert spec["api"] == {"externalAddress": "k8s.lan", "sans": ["other.lan", "k8s.lan", "192.168.1.11"]}


@pytest.mark.parametrize(
    ("endpoint", "external"),
    [("k8s.lan:443", "k8s.lan:443"), ("'[2001:db8::1]:443'", "[2001:db8::1]:443"), ("2001:db8::1", "2001:db8::1")],
)
def test_an_endpoint_on_another_port_is_told_with_it(tmp_path, endpoint, external):
    assert cluster_spec(load(tmp_path, f"endpoint: {endpoint}\n"))["api"]["externalAddress"] == external


def test_beside_balancers_on_nodes_the_virtual_ip_is_a_name_of_the_api_only(tmp_path):
    vip = "keepalived: {vrrpInstances: [{virtualIPs: [192.168.1.10/24], authPass: home}]}"
    network = f"nodeLocalLoadBalancing: {{enabled: true}}, controlPlaneLoadBalancing: {{enabled: true, {vip}}}"
    text = f"endpoint: 192.168.1.10\nk0s: {{config: {{network: {{{network}}}}}}}\n"
    api = cluster_spec(load(tmp_path, text, hosts=THREE))["api"]
    assert "externalAddress" not in api
    assert "192.168.1.10" in api["sans"]


def test_each_controller_has_its_own_peer_address_and_the_same_names(tmp_path):
    inventory = load(tmp_path, hosts=THREE)
    specs = [host_spec(inventory, host) for host in inventory.controllers]
    assert [spec["storage"]["etcd"]["peerAddress"] for spec in specs] == [
        "192.168.1.11",
        "192.168.1.12",
        "192.168.1.13",
    ]
    assert len({tuple(spec["api"]["sans"]) for spec in specs}) == 1
    assert all("address" not in spec["api"] for spec in specs)


def test_where_the_person_chose_an_address_the_api_is_told(tmp_path):
    hosts = THREE.replace("role: controller}", "role: controller, node_address: 10.8.0.1}", 1)
    inventory = load(tmp_path, hosts=hosts)
    assert host_spec(inventory, inventory.host("one"))["api"]["address"] == "10.8.0.1"
    assert "address" not in host_spec(inventory, inventory.host("two"))["api"]


def test_a_controller_s_own_part_takes_the_place_of_the_cluster_s(tmp_path):
    hosts = THREE.replace("role: controller}", "role: controller, k0s: {config: {api: {port: 7443}}}}", 1)
    inventory = load(tmp_path, "k0s: {config: {api: {k0sApiPort: 9444}, telemetry: {enabled: true}}}\n", hosts=hosts)
    one, two = (host_spec(inventory, inventory.host(name)) for name in ("one", "two"))
    assert (one["api"].get("port"), one["api"].get("k0sApiPort")) == (7443, None)
    assert (two["api"].get("port"), two["api"].get("k0sApiPort")) == (None, 9444)
    assert one["telemetry"] == two["telemetry"] == {"enabled": True}
    assert layout.server_port(inventory.host("one")) == 7443


def test_two_families_stand_in_k0s_own_fields_whatever_their_order(tmp_path):
    text = "network: {pods: ['fd00:1::/56', 10.1.0.0/16], services: ['fd00:2::/112', 10.2.0.0/16], domain: c.lan}\n"
    assert cluster_spec(load(tmp_path, text))["network"] == {
        "podCIDR": "10.1.0.0/16",
        "serviceCIDR": "10.2.0.0/16",
        "clusterDomain": "c.lan",
        "primaryAddressFamily": "IPv6",
        "dualStack": {"enabled": True, "IPv6podCIDR": "fd00:1::/56", "IPv6serviceCIDR": "fd00:2::/112"},
    }


@pytest.mark.parametrize(("hosts", "kind"), [(THREE, "etcd"), (SINGLE, "kine")])
def test_the_storage_is_always_named(tmp_path, hosts, kind):
    inventory = load(tmp_path, hosts=hosts)
    assert host_spec(inventory, inventory.controllers[0])["storage"]["type"] == kind
    assert layout.runs_etcd(inventory) == (kind == "etcd")


def test_with_dynamic_configuration_every_field_is_in_one_of_both_parts(tmp_path):
    text = "k0s: {dynamicConfig: true, config: {network: {provider: calico, controlPlaneLoadBalancing: {enabled: false}}}}\n"
    spec = cluster_spec(load(tmp_path, text))
    local, wide = node_local(spec), cluster_wide(spec)
    assert set(local) == {"api", "storage", "network"}
    assert local["network"] == {"controlPlaneLoadBalancing": {"enabled": False}}
    assert wide == {"network": {"provider": "calico"}}
    assert spec["network"]["provider"] == "calico"  # it was left alone


# --- addresses -------------------------------------------------------------------------------------


def test_the_address_that_ssh_goes_to_is_the_node_s_when_the_host_has_it(tmp_path):
    host = load(tmp_path).host("one")
    assert node_address(host) == "192.168.1.11"
    assert node_address(host, {"one": seen("one", "192.168.1.11", "10.0.0.1")}) == "192.168.1.11"
    assert node_address(host, {"one": seen("one", "10.0.2.15")}) == "10.0.2.15"  # ssh goes through a translation


def test_a_name_and_an_interface_are_known_when_the_host_is_seen(tmp_path):
    hosts = "hosts:\n  one: {address: one.lan, role: controller}\n  two: {address: 10.0.0.9, node_interface: eth1}\n"
    inventory = load(tmp_path, hosts=hosts)
    facts = {"one": seen("one", "10.0.0.1"), "two": seen("two", "10.0.0.9", "10.8.0.9")}
    assert [node_address(host) for host in inventory.hosts] == ["", ""]
    assert [node_address(host, facts) for host in inventory.hosts] == ["10.0.0.1", "10.8.0.9"]


# --- flags -----------------------------------------------------------------------------------------


def test_a_controller_without_work_is_told_nothing_of_kubelets(tmp_path):
    text = "k0s: {installFlags: ['--kubelet-extra-args=--v=4', --debug], profile: default}\n"
    inventory = load(tmp_path, text)
    flags = install_flags(inventory, inventory.host("one"))
    assert flags == ["--config=/etc/k0s/k0s.yaml", "--data-dir=/var/lib/k0s", "--debug=true"]


def test_a_worker_is_told_nothing_of_controllers(tmp_path):
    text = "k0s: {installFlags: [--enable-metrics-scraper, '--kubelet-extra-args=--v=4'], dynamicConfig: true}\n"
    inventory = load(tmp_path, text)
    assert install_flags(inventory, inventory.host("two")) == [
        "--data-dir=/var/lib/k0s",
        "--kubelet-extra-args=--v=4 --node-ip=192.168.1.12 --hostname-override=two",
    ]
    assert "--enable-dynamic-config=true" in install_flags(inventory, inventory.host("one"))


def test_a_controller_that_works_says_so_and_may_have_no_taint(tmp_path):
    inventory = load(tmp_path, hosts=THREE)
    flags = install_flags(inventory, inventory.host("three"))
    assert {"--enable-worker=true", "--no-taints=true"} <= set(flags)


def test_with_a_cloud_provider_the_kubelet_gets_no_address(tmp_path):
    inventory = load(tmp_path, "k0s: {installFlags: [--enable-cloud-provider]}\n")
    assert "--node-ip" not in " ".join(install_flags(inventory, inventory.host("two")))


def test_a_single_node_has_an_address_only_where_one_is_chosen(tmp_path):
    inventory = load(tmp_path, hosts=SINGLE)
    flags = install_flags(inventory, inventory.host("one"), {"one": seen("one", "10.0.0.1")})
    assert "--kubelet-extra-args=--hostname-override=one" in flags


# --- the rest --------------------------------------------------------------------------------------


def test_what_runs_in_the_cluster_follows_from_flags_and_configuration(tmp_path):
    assert list_workloads(load(tmp_path)) == [
        "coredns",
        "metrics-server",
        "konnectivity-agent",
        "kube-proxy",
        "kube-router",
    ]
    text = (
        "k0s: {installFlags: ['--disable-components=metrics-server,coredns'], config: {network: {provider: custom}}}\n"
    )
    assert list_workloads(load(tmp_path, text)) == ["konnectivity-agent", "kube-proxy"]
    assert "konnectivity-agent" not in list_workloads(load(tmp_path, hosts=SINGLE))


def test_controllers_without_work_are_no_nodes(tmp_path):
    nodes = DRIVER.expect_nodes(load(tmp_path, hosts=THREE))
    assert [(node.name, node.version) for node in nodes] == [("three", "v1.36.3+k0s")]


def test_an_own_network_is_waited_for(tmp_path):
    assert DRIVER.brings_network(load(tmp_path))
    assert not DRIVER.brings_network(load(tmp_path, "k0s: {config: {network: {provider: custom}}}\n"))


def test_on_openrc_variables_stand_where_its_services_read_them(tmp_path):
    inventory = load(tmp_path, "k0s: {environment: {A: \"it's\", B: '${env:B}'}}\n")
    facts = {host.name: seen(host.name, host.connection.address, init="openrc") for host in inventory.hosts}
    uses = [use for use in DRIVER.templates(inventory, facts) if use.host == "two"]
    files = read(inventory, uses)
    assert files["two", "/etc/conf.d/k0sworker"] == "export A='it'\\''s'\nexport B='${env:B}'\n"
    assert [use.mode for use in uses if use.path == "/etc/conf.d/k0sworker"] == ["0600"]
    assert not any(path.startswith("/etc/systemd") for _, path in files)


def test_percent_signs_are_doubled_in_units_and_secrets_stand_beside_them(tmp_path):
    inventory = load(tmp_path, "k0s: {environment: {A: 'http://x%40y/\"', B: '${env:B}'}}\n")
    files = read(inventory, DRIVER.templates(inventory))
    unit = files["two", "/etc/systemd/system/k0sworker.service.d/env.conf"]
    assert unit == '[Service]\nEnvironment="A=http://x%%40y/\\""\nEnvironmentFile=/etc/k0s/environment\n'
    assert files["two", "/etc/k0s/environment"] == "B='${env:B}'\n"
