"""What kubeadm's documents say: the inventory's own fields, native ones, and each host's difference."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some

from bootstrap.distros.kubeadm.documents import difference, registration
from bootstrap.distros.kubeadm.files import cluster_documents, host_templates, join_use, pki_artifacts, templates
from bootstrap.distros.kubeadm.layout import CONFIG, JOIN, KUBELET_PATCH, PATCHES
from bootstrap.model import Interface

from .inventories import load, read, seen

FILES = (*("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key"), *("front-proxy-ca.crt", "front-proxy-ca.key"))
PKI = "".join(
    f"    {name}: ${{secret:{name.replace('/', '_').replace('.', '_')}}}\n" for name in (*FILES, "sa.key", "sa.pub")
)
HOSTS_WITH_KUBELET = """hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, kubeadm: {kubelet: {maxPods: 50, evictionHard: {a: '3'}}}}
"""


def test_the_cluster_s_documents_have_the_usual_ranges_and_what_is_given(tmp_path):
    text = "kubeadm: {cluster: {apiServer: {extraArgs: [{name: v, value: '2'}]}}, proxy: {mode: ipvs}}\n"
    found = cluster_documents(load(tmp_path, text))
    assert found["ClusterConfiguration"] == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "networking": {"serviceSubnet": "10.96.0.0/12", "podSubnet": "10.244.0.0/16", "dnsDomain": "cluster.local"},
        "kubernetesVersion": "v1.36.3",
        "apiServer": {"extraArgs": [{"name": "v", "value": "2"}]},
        "clusterName": "home",
    }
    assert found["KubeletConfiguration"]["cgroupDriver"] == "systemd"
    assert found["KubeProxyConfiguration"]["mode"] == "ipvs"


def test_without_kube_proxy_it_has_no_document(tmp_path):
    found = cluster_documents(load(tmp_path, "kubeadm: {cluster: {proxy: {disabled: true}}}\n"))
    assert sorted(found) == ["ClusterConfiguration", "KubeletConfiguration"]


def test_an_ipv6_endpoint_stands_in_brackets(tmp_path):
    head = "schema: bootstrap/v1\ncluster: home\ndistro: kubeadm\nversion: v1.36.3\nendpoint: '2001:db8::10'\n"
    found = cluster_documents(load(tmp_path, head=head))
    assert found["ClusterConfiguration"]["controlPlaneEndpoint"] == "[2001:db8::10]:6443"


def test_hosts_with_ranges_of_their_own_get_none_from_the_controller_manager(tmp_path):
    given = "{cni: bridge, cluster: {controllerManager: {extraArgs: [{name: v, value: '4'}]}}}"
    found = cluster_documents(load(tmp_path, f"kubeadm: {given}\n"))
    assert found["ClusterConfiguration"]["controllerManager"]["extraArgs"] == [
        {"name": "v", "value": "4"},
        {"name": "allocate-node-cidrs", "value": "false"},
    ]


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("{address: 192.168.1.11, role: controller+worker}", []),
        ("{address: one.lan.example, role: controller+worker}", ["one.lan.example"]),
        ("{address: one, role: controller+worker}", []),
        ("{address: 127.0.0.1, node_address: 10.0.0.1, role: controller+worker}", []),
        ("{address: 192.168.1.11, node_address: 10.0.0.1, role: controller+worker}", ["192.168.1.11"]),
        ("{address: 192.168.1.11, node_address: 192.168.1.11, role: controller+worker}", []),
        ("{address: 192.168.1.11, node_interface: wg0, role: controller+worker}", ["192.168.1.11"]),
    ],
)
def test_a_controller_s_other_name_is_in_the_certificate(tmp_path, host, names):
    found = cluster_documents(load(tmp_path, "sans: [k8s.lan.example]\n", hosts=f"hosts:\n  one: {host}\n"))
    assert found["ClusterConfiguration"]["apiServer"]["certSANs"] == ["k8s.lan.example", *names]


# --- one host ------------------------------------------------------------------------------------


def test_the_role_decides_the_taint_and_only_labels_that_a_kubelet_may_set_are_its_own(tmp_path):
    hosts = """hosts:
  one: {address: 192.168.1.11, role: controller, taints: ["gpu=yes:NoExecute"]}
  two: {address: 192.168.1.12, labels: {disk: ssd, node-role.kubernetes.io/storage: "yes"}}
"""
    inventory = load(tmp_path, hosts=hosts)
    one, two = (registration(inventory, host) for host in inventory.hosts)
    assert one["taints"] == [
        {"key": "gpu", "value": "yes", "effect": "NoExecute"},
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
    ]
    assert two == {
        "name": "two",
        "criSocket": "unix:///run/containerd/containerd.sock",
        "taints": [],  # without it kubeadm would take its own
        "kubeletExtraArgs": [{"name": "node-labels", "value": "disk=ssd"}],
    }


def test_a_named_interface_s_address_is_known_when_the_host_was_seen(tmp_path):
    hosts = "hosts:\n  one: {address: 192.168.1.11, node_interface: eth0, role: controller+worker}\n"
    inventory = load(tmp_path, hosts=hosts)
    (host,) = inventory.hosts
    before = read(inventory, list(host_templates(inventory, host, None, None)))["one", CONFIG]
    assert "the address of eth0, known when the host is observed" in before
    facts = {"one": seen("one", "10.9.9.1")}
    after = next(yaml.safe_load_all(read(inventory, templates(inventory, facts))["one", CONFIG]))
    assert after["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "10.9.9.1"}]
    assert after["localAPIEndpoint"] == {"advertiseAddress": "10.9.9.1"}


def test_a_token_stands_in_the_file_only_when_one_is_given_and_then_as_a_reference(tmp_path):
    bare = load(tmp_path)
    assert "token" not in read(bare, templates(bare))["one", CONFIG].lower()
    given = load(tmp_path, "token: ${env:T}\n")
    assert "token: '${env:T}'" in read(given, templates(given))["one", CONFIG]


def test_join_files_are_shown_without_facts_and_are_no_lasting_files(tmp_path):
    inventory = load(tmp_path)
    assert [use.host for use in templates(inventory) if use.path == JOIN] == ["two", "three"]
    assert [use for use in templates(inventory, {}) if use.path == JOIN] == []


def test_a_joining_controller_takes_the_certificates_from_the_cluster_unless_they_are_given(tmp_path):
    inventory = load(tmp_path)
    use = join_use(inventory, inventory.hosts[1], server="192.168.1.11:6443", mode="controller")
    joined = yaml.safe_load(read(inventory, [use])["two", JOIN])
    assert joined["controlPlane"]["certificateKey"] == "${saved:certificate_key}"
    assert joined["discovery"]["bootstrapToken"] == {
        "token": "${saved:join_token}",
        "apiServerEndpoint": "192.168.1.11:6443",
        "caCertHashes": ["${saved:ca_hash}"],
    }
    assert (use.mode, use.path) == ("0600", JOIN)
    given = load(tmp_path, f"secrets: s.yaml\nkubeadm:\n  pki:\n{PKI}")
    use = join_use(given, given.hosts[1], server="192.168.1.11:6443", mode="controller")
    assert yaml.safe_load(read(given, [use])["two", JOIN])["controlPlane"] == {"localAPIEndpoint": {"bindPort": 6443}}


def test_kept_authorities_go_to_controllers_alone_and_keys_to_root_alone(tmp_path):
    inventory = load(tmp_path, f"secrets: s.yaml\nkubeadm:\n  pki:\n{PKI}")
    found = {
        file.path.removeprefix("/etc/kubernetes/pki/"): file for file in pki_artifacts(inventory, inventory.hosts[0])
    }
    assert len(found) == 8
    assert found["etcd/ca.key"].content == "${secret:etcd_ca_key}\n"
    assert {name for name, file in found.items() if file.mode == "0644"} == {
        "ca.crt",
        "etcd/ca.crt",
        "front-proxy-ca.crt",
    }
    assert pki_artifacts(inventory, inventory.hosts[1]) == ()
    assert pki_artifacts(load(tmp_path), inventory.hosts[0]) == ()


# --- patches -------------------------------------------------------------------------------------


def test_a_kubelet_setting_below_the_top_level_is_a_patch_and_makes_kubeadm_look_for_it(tmp_path):
    text = "kubeadm: {kubelet: {maxPods: 100, evictionHard: {a: '1', b: '2'}}}\n"
    inventory = load(tmp_path, text, hosts=HOSTS_WITH_KUBELET)
    files = read(inventory, templates(inventory))
    assert yaml.safe_load(files["two", KUBELET_PATCH]) == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "maxPods": 50,
        "evictionHard": {"a": "3", "b": None},
    }
    assert yaml.safe_load(files["two", JOIN])["patches"] == {"directory": PATCHES}
    assert ("one", KUBELET_PATCH) not in files
    assert "patches" not in next(yaml.safe_load_all(files["one", CONFIG]))


def test_patches_of_the_control_plane_go_to_controllers_alone(tmp_path):
    text = "kubeadm: {patches: {kube-apiserver0.yaml: 'a: 1', kubeletconfiguration1.yaml: 'b: 2'}}\n"
    files = read(inventory := load(tmp_path, text), templates(inventory))
    names = {
        host: [path.rpartition("/")[2] for at, path in files if at == host and PATCHES in path]
        for host in ("one", "two")
    }
    assert names == {
        "one": ["kube-apiserver0.yaml", "kubeletconfiguration1.yaml"],
        "two": ["kubeletconfiguration1.yaml"],
    }


def merge(target, patch):
    """RFC 7386, which a strategic merge patch of mappings and scalars comes to."""
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value) if isinstance(value, dict) else value
    return merged


leaves = some.one_of(some.integers(0, 3), some.lists(some.integers(0, 1), max_size=2))
trees = some.recursive(
    some.dictionaries(some.sampled_from("abc"), leaves, max_size=3),
    lambda inner: some.dictionaries(some.sampled_from("abc"), some.one_of(leaves, inner), max_size=3),
    max_leaves=8,
)


@given(trees, trees)
def test_the_difference_merged_in_gives_what_is_wanted(shared, own):
    assert merge(shared, difference(shared, own)) == own
    assert (difference(shared, own) == {}) == (shared == own)


def test_nothing_but_the_version_changes_when_the_version_does(tmp_path):
    inventory = load(tmp_path)
    other = replace(inventory, version="v1.36.4")
    before, after = (cluster_documents(each)["ClusterConfiguration"] for each in (inventory, other))
    assert {name for name in before if before[name] != after[name]} == {"kubernetesVersion"}


def test_a_virtual_address_is_no_address_of_the_node_that_carries_it(tmp_path):
    hosts = "hosts:\n  one: {address: 192.168.1.11, node_interface: eth0, role: controller+worker}\n"
    inventory = load(tmp_path, "endpoint: 192.168.1.5\nkubeadm: {vip: {interface: eth0}}\n", hosts=hosts)
    carrier = replace(seen("one"), interfaces=(Interface("eth0", ("192.168.1.5", "192.168.1.11")),))
    arguments = registration(inventory, inventory.hosts[0], {"one": carrier})["kubeletExtraArgs"]
    assert arguments == [{"name": "node-ip", "value": "192.168.1.11"}]
