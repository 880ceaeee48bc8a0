"""What is right is taken; the tables of fields are upstream's own."""

import re
from pathlib import Path

import pytest

from bootstrap.distros.kubeadm.fields import CHOICES, OURS, OWNERS, Items, kubelet, sections
from bootstrap.distros.kubeadm.native import check_native, check_token
from bootstrap.errors import InventoryError

from .inventories import load

MODULES = Path.home() / "go/pkg/mod/k8s.io"
RIGHT = [
    "cluster: {apiServer: {extraArgs: [{name: v, value: '4'}, {name: v, value: '5'}], extraEnvs: [{name: A, value: b}]}}",
    "cluster: {apiServer: {extraVolumes: [{name: a, hostPath: /a, mountPath: /a, readOnly: true, pathType: File}]}}",
    "cluster: {etcd: {local: {dataDir: /srv/etcd, serverCertSANs: [a.b]}}, featureGates: {A: true}, dns: {disabled: true}}",
    "cluster: {controllerManager: {extraArgs: [{name: node-cidr-mask-size, value: '25'}]}}",
    "init: {skipPhases: [addon/kube-proxy], timeouts: {discovery: 5m0s}, localAPIEndpoint: {bindPort: 8443}}",
    "join: {timeouts: {tlsBootstrap: 5m}}",
    "node: {imagePullPolicy: Never, imagePullSerial: false, criSocket: 'unix:///var/run/containerd/containerd.sock'}",
    "kubelet: {evictionHard: {memory.available: 5%}, logging: {format: json}, memorySwap: {swapBehavior: LimitedSwap}}",
    "kubelet: {clusterDNS: [10.96.0.10], memoryThrottlingFactor: 0.9, featureGates: {A: false}, syncFrequency: '0'}",
    "proxy: {mode: ipvs, ipvs: {strictARP: true}, conntrack: {maxPerCore: 0}}",
    "patches: {kube-scheduler.yaml: 'a: 1', etcd1+json.json: '[]', kubeletconfiguration9+merge.yaml: 'a: 1'}",
    "patches: {corednsdeployment+strategic.yaml: 'a: 1'}",
    "containerd: '[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.nvidia]'",
    "registries: {_default: {mirrors: ['https://m.lan']}, 'r.lan:5000': {server: '${env:R}'}}",
    "versions: {containerd: 2.2.1, kube-vip: 1.2.3, cilium: 1.20.1-rc.0}",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_taken(tmp_path, text):
    assert check_native(load(tmp_path, f"kubeadm: {{{text}}}\n")) == []


@pytest.mark.parametrize("name", ["cni", "vip", "pki", "versions", "cluster", "init", "join", "proxy"])
def test_every_section_of_the_cluster_is_refused_in_a_layer(tmp_path, name):
    value = {"cni": "none", "vip": "{interface: eth0}"}.get(name, "{}")
    with pytest.raises(InventoryError) as raised:
        load(tmp_path, f"roles: {{worker: {{kubeadm: {{{name}: {value}}}}}}}\n")
    assert [problem.message for problem in raised.value.problems] == [f"`{name}` is the whole cluster's"]


def test_every_owner_and_choice_names_a_field_that_is_there():
    for path in (*OWNERS, *OURS, *CHOICES):
        form = sections()[path[0]]
        for name in path[1:]:
            assert name in form, path
            form = form[name].fields if isinstance(form[name], Items) else form[name]


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("abcdef.0123456789abcdef", ""),
        (" abcdef.0123456789abcdef", "white space"),
        ("ABCDEF.0123456789abcdef", "capital letters"),
        ("abcdef0123456789abcdef", "no bootstrap token"),
        ("", "no bootstrap token"),
    ],
)
def test_tokens_are_of_kubeadm_s_form_and_never_in_the_message(token, said):
    message = check_token(token)
    assert said in message
    assert bool(message) == bool(said)
    assert not token.strip() or token.strip() not in message


def read_fields(path, name):
    """The JSON names of a Go type."""
    text = path.read_text()
    body = re.search(rf"^type {name} struct \{{\n(.*?)^\}}", text, re.MULTILINE | re.DOTALL)
    assert body, name
    return set(re.findall(r'^\s*\w+\s+\S+\s+`json:"(\w+)', body[1], re.MULTILINE))


KUBELET_FILE = MODULES / "kubelet@v0.36.3/config/v1beta1/types.go"
KUBEADM_FILE = MODULES / "kubernetes@v1.36.3/cmd/kubeadm/app/apis/kubeadm/v1beta4/types.go"
PROXY_FILE = MODULES / "kube-proxy@v0.36.3/config/v1alpha1/types.go"
WINDOWS = {"winkernel", "windowsRunAsService"}


@pytest.mark.parametrize(
    ("file", "name", "fields"),
    [
        (KUBELET_FILE, "KubeletConfiguration", kubelet()),
        (KUBEADM_FILE, "ClusterConfiguration", sections()["cluster"]),
        (KUBEADM_FILE, "InitConfiguration", sections()["init"]),
        (KUBEADM_FILE, "JoinConfiguration", sections()["join"]),
        (KUBEADM_FILE, "NodeRegistrationOptions", sections()["node"]),
        (PROXY_FILE, "KubeProxyConfiguration", sections()["proxy"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_tables_have_every_field_of_upstream_s_types(file, name, fields):
    if not file.is_file():
        pytest.skip(f"{file} is not here: the Go modules of tests/kubernetes are not downloaded")
    assert set(fields) == read_fields(file, name) - WINDOWS
