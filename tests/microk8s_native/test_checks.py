"""What is right is taken; the tables of names agree with each other."""

import pytest

from bootstrap.distros.microk8s.fields import (
    ARGUMENT_KEYS,
    ARGUMENT_OWNERS,
    CLUSTER_SECTIONS,
    LAUNCH,
    LAUNCH_OWNERS,
    OURS,
)
from bootstrap.distros.microk8s.layout import CONTROLLER_SERVICES, READERS, WORKER_SERVICES
from bootstrap.distros.microk8s.native import check_native
from bootstrap.errors import InventoryError
from bootstrap.inventory.schema import schema

from .inventories import HOSTS, load

FOUR = (
    "hosts:\n"
    + "".join(f"  h{at}: {{address: 192.168.1.1{at}, role: controller}}\n" for at in range(4))
    + "  w: {address: 192.168.1.20}\n"
)
RIGHT = [
    "microk8s: {args: {kubelet: {--max-pods: 200, --v: 4}, kube-apiserver: {--profiling: true}, k8s-dqlite: {--debug: ''}}}",
    "microk8s: {containerdEnv: {HTTPS_PROXY: 'http://${secret:proxy}@p.lan:3128', NO_PROXY: '10.0.0.0/8,.lan'}}\nsecrets: s.yaml",
    "microk8s: {registries: {_default: '[host.\"https://m.lan\"]', 'r.lan:5000': 'server = \"http://r.lan:5000\"'}}",
    "microk8s: {fragment: {extraKubeliteEnv: {GOFIPS: '1'}, extraCNIEnv: {CALICO_VETH_MTU: '1400'}, extraFIPSEnv: {A: b}}}",
    "microk8s: {fragment: {extraConfigFiles: {audit.yaml: 'a: b'}}}",
    "microk8s: {repositories: {own: {source: 'git@git.lan:home/addons.git'}, two: {source: /srv/addons}}}",
    "microk8s: {sideload: [images/a.tar, images]}",
    "microk8s: {channel: 1.36/edge, revision: 8612}",
    "microk8s: {pki: {ca.crt: '${secret:a}', ca.key: '${secret:b}'}}\nsecrets: s.yaml",
    "endpoint: {address: 192.168.1.10, port: 16443}",
    "endpoint: '[2001:db8::10]:443'",
    "network: {pods: 10.3.0.0/16}",
    "network: {pods: [10.3.0.0/16, 'fd02::/64'], services: [10.4.0.0/24, 'fd99::/108'], domain: home.arpa}\naddons: [dns]",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_taken(tmp_path, text):
    assert check_native(load(tmp_path, f"{text}\n")) == []


def test_four_controllers_are_taken_for_dqlite_chooses_three_of_them(tmp_path):
    assert check_native(load(tmp_path, hosts=FOUR)) == []


def test_one_revision_for_each_architecture_is_taken(tmp_path):
    hosts = HOSTS.replace("worker}", "worker, arch: amd64, groups: [big]}").replace(
        "12}", "12, arch: arm64, groups: [small]}"
    )
    text = "groups: {big: {microk8s: {revision: 1}}, small: {microk8s: {revision: 2}}}\n"
    inventory = load(tmp_path, text, hosts=hosts)
    assert [host.native["revision"] for host in inventory.hosts] == [1, 2]


@pytest.mark.parametrize("name", CLUSTER_SECTIONS)
def test_every_section_of_the_cluster_is_refused_in_a_layer(tmp_path, name):
    values = {"channel": "1.36/edge", "offline": "true", "ha": "true", "sideload": "a.tar"}
    with pytest.raises(InventoryError) as raised:
        load(tmp_path, f"roles: {{worker: {{microk8s: {{{name}: {values.get(name, '{}')}}}}}}}\n")
    assert [problem.message for problem in raised.value.problems] == [f"`{name}` is the whole cluster's"]


def test_every_file_of_arguments_has_a_reader_that_runs_somewhere():
    assert set(ARGUMENT_KEYS) <= set(READERS)
    running = {*CONTROLLER_SERVICES, *WORKER_SERVICES, "etcd", "flanneld"}
    assert set(READERS.values()) <= running


def test_owners_are_fields_of_the_inventory_and_of_files_that_are_there():
    known = schema()["properties"] | schema()["$defs"]["host"]["properties"]
    for (file, name), owner in ARGUMENT_OWNERS.items():
        assert file in ARGUMENT_KEYS
        assert name.startswith("--")
        assert owner.split(".")[0] in known or owner == "name"
    assert {file for file, _ in OURS} <= set(ARGUMENT_KEYS)
    assert not set(LAUNCH) & set(LAUNCH_OWNERS)
