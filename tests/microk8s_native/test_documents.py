"""What follows from an inventory for each host: launch configuration, fragments, names, addresses."""

import pytest
import yaml

from bootstrap.distros.microk8s import layout
from bootstrap.distros.microk8s.documents import api_names, arguments, fragments, launch_document
from bootstrap.distros.microk8s.files import templates
from bootstrap.distros.microk8s.network import cni_variables
from bootstrap.model import HostFacts, Interface

from .inventories import load, read

THREE = """\
hosts:
  one: {address: 192.168.1.11, role: controller, groups: [fast]}
  two: {address: 192.168.1.12, role: controller+worker, microk8s: {args: {kubelet: {--v: 4}}}}
  six: {address: 192.168.1.16, role: controller+worker, node_interface: eth1}
  far: {address: 192.168.1.13}
groups: {fast: {microk8s: {args: {kubelet: {--max-pods: 200}}, failureDomain: 3}}}
"""


def test_a_plain_cluster_has_a_launch_configuration_that_brings_no_add_on(tmp_path):
    inventory = load(tmp_path, "addons: [rbac]\n")
    assert launch_document(inventory, inventory.host("one")) == {"version": "0.1.0"}


def test_ranges_go_through_the_network_s_variables_and_not_through_arguments(tmp_path):
    inventory = load(tmp_path, "network: {pods: 10.3.0.0/16}\naddons: [dns]\n")
    document = launch_document(inventory, inventory.host("one"))
    assert document["extraCNIEnv"]["IPv4_CLUSTER_CIDR"] == "10.3.0.0/16"
    assert document["extraCNIEnv"]["IPv4_SERVICE_CIDR"] == "10.152.183.0/24"
    assert set(arguments(inventory, inventory.host("one"))) == {"kubelet"}


def test_a_cluster_of_ipv6_alone_says_so(tmp_path):
    inventory = load(tmp_path, "network: {pods: 'fd02::/64', services: 'fd99::/108'}\n")
    assert cni_variables(inventory) == {
        "IPv4_SUPPORT": "false",
        "IPv6_SUPPORT": "true",
        "IPv6_CLUSTER_CIDR": "fd02::/64",
        "IPv6_SERVICE_CIDR": "fd99::/108",
    }


def test_a_deeper_layer_replaces_the_arguments_of_a_service(tmp_path):
    inventory = load(tmp_path, "microk8s: {args: {kubelet: {--v: 2, --max-pods: 90}}}\n", hosts=THREE)
    found = {host.name: arguments(inventory, host)["kubelet"] for host in inventory.hosts}
    assert found["one"] == {"--max-pods": "200"}
    assert found["two"] == {"--v": "4"}
    assert found["far"] == {"--v": "2", "--max-pods": "90"}


def test_each_role_has_the_arguments_of_what_it_runs(tmp_path):
    text = "microk8s: {args: {kube-apiserver: {--v: 2}, apiserver-proxy: {--refresh-interval: 0s}, containerd: {--a: b}}}\n"
    inventory = load(tmp_path, text)
    assert list(arguments(inventory, inventory.host("one"))) == ["kube-apiserver", "containerd"]
    assert list(arguments(inventory, inventory.host("two"))) == ["containerd", "apiserver-proxy"]


def test_only_hosts_with_dqlite_have_a_failure_domain(tmp_path):
    inventory = load(tmp_path, "microk8s: {failureDomain: 2}\n")
    assert fragments(inventory, inventory.host("one"))["ha-conf"] == ["failure-domain=2"]
    assert "ha-conf" not in fragments(inventory, inventory.host("two"))


def test_values_are_text_and_an_empty_one_takes_the_argument_away(tmp_path):
    inventory = load(
        tmp_path, 'microk8s: {args: {kubelet: {--a: true, --b: 5, --c: ""}}, containerdEnv: {A: "", B: c}}\n'
    )
    found = fragments(inventory, inventory.host("two"))
    assert found == {"kubelet": ["--a=true", "--b=5", "!--c"], "containerd-env": ["!A", "B=c"]}
    assert launch_document(inventory, inventory.host("two"))["extraKubeletArgs"] == {
        "--a": "true",
        "--b": "5",
        "--c": None,
    }


def test_an_interface_s_address_is_written_once_it_is_known(tmp_path):
    inventory = load(tmp_path, hosts=THREE)
    six = inventory.host("six")
    assert "--node-ip" not in arguments(inventory, six).get("kubelet", {})
    facts = {"six": HostFacts("six", interfaces=(Interface("eth1", ("10.0.0.6",)),))}
    assert arguments(inventory, six, facts)["kubelet"]["--node-ip"] == "10.0.0.6"
    assert arguments(inventory, six, facts)["kube-apiserver"] == {"--advertise-address": "10.0.0.6"}


def test_the_certificate_has_names_that_the_snap_s_template_lacks(tmp_path):
    text = "endpoint: k8s.example.com:443\nsans: [a.b]\nnetwork: {services: 10.99.0.0/24, domain: home.arpa}\n"
    inventory = load(tmp_path, text, hosts="hosts: {one: {address: one.example.com, role: controller+worker}}\n")
    assert api_names(inventory, inventory.host("one")) == [
        "k8s.example.com",
        "a.b",
        "10.99.0.1",
        "kubernetes.default.svc.home.arpa",
        "one.example.com",
    ]


def test_registries_are_files_below_the_snap_s_folder_with_a_line_end(tmp_path):
    inventory = load(tmp_path, "microk8s: {registries: {docker.io: 'server = \"https://m.lan\"'}}\n")
    files = read(inventory, templates(inventory))
    assert files["two", f"{layout.REGISTRIES}/docker.io/hosts.toml"] == 'server = "https://m.lan"\n'


def test_a_kept_authority_is_for_controllers_as_references(tmp_path):
    inventory = load(tmp_path, "microk8s: {pki: {ca.crt: '${env:A}', ca.key: '${env:B}'}}\n")
    files = {key: text for key, text in read(inventory, templates(inventory)).items() if key[1].startswith(layout.PKI)}
    assert files == {("one", f"{layout.PKI}/ca.crt"): "${env:A}\n", ("one", f"{layout.PKI}/ca.key"): "${env:B}\n"}


@pytest.mark.parametrize("value", ["true", "010", "1e3", "null", "a: b", "#x"])
def test_the_launch_configuration_keeps_text_that_yaml_would_misread(tmp_path, value):
    inventory = load(tmp_path, f"microk8s: {{args: {{kubelet: {{--x: '{value}'}}}}}}\n")
    text = read(inventory, templates(inventory))["two", layout.LAUNCH_CONFIG]
    assert yaml.safe_load(text)["extraKubeletArgs"] == {"--x": value}
