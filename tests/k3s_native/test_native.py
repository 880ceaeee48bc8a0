"""Native keys in an inventory: what is refused, where, and what is said."""

from pathlib import Path

import pytest

from bootstrap.distros.k3s.native import check_native, uses_external_datastore
from tests.k3s_native.inventories import HEAD, HOSTS, find_problems, load

THREE = """\
hosts:
  one: {address: 192.168.1.11, role: controller}
  two: {address: 192.168.1.12, role: controller}
  three: {address: 192.168.1.13, role: controller+worker}
"""


@pytest.mark.parametrize(
    ("key", "message", "hint"),
    [
        # unknown keys
        ("tls_san: [a]", "`tls_san` is no key of k3s 1.36", "did you mean `sans`?"),
        ("--disable: [traefik]", "`--disable` is no key", "did you mean `disable`?"),
        ("flanel-backend: none", "`flanel-backend` is no key", "did you mean `flannel-backend`?"),
        ("zzz: 1", "`zzz` is no key", ""),
        ("disable+: [traefik]", "`disable+` is for drop-in files", "write `disable`"),
        ("t: secret", "`t` is a short form", "write `token`"),
        ("no-deploy: [traefik]", "is gone from k3s", "write `disable`"),
        ("with-node-id: true", "not the host's name", "leave it out"),
        ("cluster-reset: true", "at every start", "k3s server --cluster-reset"),
        ("disable-agent: true", "without a Node", "role `controller`"),
        # keys of the other role
        ("disable-apiserver-lb: true", "is an agent key", "under `agent`"),
        # forms
        ("debug: 1", "must be true or false", ""),
        ("debug:", "has no value", "leave the key out"),
        ("https-listen-port: high", "must be a whole number", ""),
        ("etcd-s3-timeout: 5", "must be a duration", "such as 5m"),
        ("etcd-s3-timeout: 5 minutes", "must be a duration", "such as 5m"),
        ("etcd-snapshot-name: 12", "must be text", 'in quotes: "12"'),
        ("etcd-snapshot-name: true", "must be text", 'in quotes: "true"'),
        ("write-kubeconfig-mode: 640", "a mode in quotes", 'such as "0600"'),
        ('write-kubeconfig-mode: "rw"', "a mode in quotes", 'such as "0600"'),
        ("cluster-dns: {a: b}", "must be a list", "`- a=b`"),
        ("cluster-dns: [1, 2]", "must be a list of texts", ""),
        ("kubelet-arg: {max-pods: 150}", "must be a list", "`- max-pods=150`"),
        ("kubelet-arg: [{max-pods: 150}]", "not a key and a value", "`max-pods=150`"),
        ("kubelet-arg: [150]", "must be text", ""),
        ('kubelet-arg: ["max-pods=1 --v=2"]', "two arguments", "one item of each"),
        ('kubelet-arg: ["=5"]', "is no argument", "`name=value`"),
        ("kubelet-arg: MaxPods", "is no argument", "`name=value`"),
        # values
        ("disable: [traefk]", "`traefk` is no value of `disable`", "did you mean `traefik`?"),
        ("disable: traefik,metallb", "`metallb` is no value", "one of coredns"),
        ("disable: [network-policy]", "not turned off by `disable`", "`disable-network-policy: true`"),
        ("flannel-backend: wireguard", "is gone from k3s", "wireguard-native"),
        ("flannel-backend: ipsec", "is gone from k3s", "wireguard-native"),
        ("flannel-backend: calico", "is no value of `flannel-backend`", "one of none, vxlan"),
        ("egress-selector-mode: none", "is no value", "one of agent"),
        # releases
        ("write-kubeconfig-name: home", "is not in k3s v1.36.3+k3s1", "v1.37.0"),
        # secrets
        ("agent-token: abcdefghijklmnopqrst", "secret in clear", "${env:NAME}"),
        ("etcd-s3-secret-key: abc", "secret in clear", "${env:NAME}"),
        ("vpn-auth: name=tailscale,joinKey=x", "secret in clear", "${env:NAME}"),
        ("datastore-endpoint: mysql://k3s:pass@tcp(db:3306)/k3s", "secret in clear", "${env:NAME}"),
        # fields of the inventory
        ("token: abc", "a field of its own in the inventory: `token`", "${env:K3S_TOKEN}"),
        ("token-file: /etc/token", "a field of its own in the inventory: `token`", ""),
        ("agent-token-file: /etc/token", "would hide the token", "agent-token: ${file:PATH}"),
        ("server: https://a:6443", "written by bootstrap", "leave it out"),
        ("node-name: other", "the host's name", "rename the host"),
        ("node-ip: 10.0.0.1", "`node_address`", ""),
        ("tls-san: [a.example.com]", "`sans`", ""),
        ("cluster-cidr: 10.1.0.0/16", "`network.pods`", ""),
        ("service-cidr: 10.1.0.0/16", "`network.services`", ""),
        ("cluster-domain: lan", "`network.domain`", ""),
        ("node-label: [a=b]", "`labels`", ""),
        ("node-taint: [a=b:NoSchedule]", "`taints`", ""),
        ("private-registry: /etc/r.yaml", "away from the rendered file", "k3s.registries"),
        ("kubelet-arg: [--node-labels=a=b]", "`node-labels` has a field of its own", "`labels`"),
        ("kubelet-arg: [register-with-taints=a]", "`register-with-taints` has a field", "`taints`"),
        ("kubelet-arg: [node-ip=10.0.0.1]", "`node-ip` has a field", "`node_address`"),
        ("kubelet-arg: [hostname-override=a]", "the host's name", "rename the host"),
        ("kubelet-arg: [cluster-dns=10.43.0.10]", "a key of its own", "`cluster-dns`"),
        ("kube-apiserver-arg: [service-cluster-ip-range=10.1.0.0/16]", "has a field", "`network.services`"),
        ("kube-controller-arg: [cluster-cidr=10.1.0.0/16]", "has a field", "`network.pods`"),
    ],
)
def test_a_mistaken_server_key_is_told_once_at_its_own_line(tmp_path: Path, key: str, message: str, hint: str) -> None:
    (problem,) = find_problems(tmp_path, f"k3s:\n  server:\n    {key}\n")
    source, told, advice = problem.split(" | ")
    assert source == key
    assert message in told
    assert hint in advice


@pytest.mark.parametrize(
    "key",
    [
        "disable: [traefik, servicelb, '${env:MORE}']",
        "disable: traefik,servicelb",
        "kubelet-arg: [max-pods=150, --v=2, feature-gates+=A=true]",
        "kube-apiserver-arg: admission-control-config-file=/etc/a.yaml",
        'write-kubeconfig-mode: "0640"',
        'debug: "true"',
        'https-listen-port: "7443"',
        "etcd-s3-timeout: 1h30m",
        "agent-token: ${env:AGENT_TOKEN}",
        "datastore-endpoint: mysql://k3s:${env:PASSWORD}@tcp(db:3306)/k3s",
        "datastore-endpoint: https://etcd-1:2379,https://etcd-2:2379",
        "cluster-init: true",
        "flannel-iface: eth1",
        "node-external-ip: [203.0.113.4]",
        "secrets-encryption-provider: secretbox",
        "etcd-s3-retention: 7",
    ],
)
def test_good_server_keys_are_taken(tmp_path: Path, key: str) -> None:
    assert find_problems(tmp_path, f"k3s:\n  server:\n    {key}\n") == []


def test_server_keys_under_agent_are_refused_for_an_agent_dies_of_them(tmp_path: Path) -> None:
    (problem,) = find_problems(tmp_path, "k3s:\n  agent:\n    disable: [traefik]\n")
    assert "`disable` is a server key: an agent refuses to start with it | write it under `server`" in problem


def test_server_keys_under_config_are_taken_for_servers(tmp_path: Path) -> None:
    inventory = load(tmp_path, "k3s:\n  config:\n    disable: [traefik]\n")
    assert check_native(inventory) == []


def test_a_server_section_on_a_worker_is_refused(tmp_path: Path) -> None:
    hosts = "hosts:\n  one: {address: 10.0.0.1, role: controller+worker}\n  two:\n    address: 10.0.0.2\n    k3s:\n      server: {debug: true}\n"
    (problem,) = find_problems(tmp_path, "", hosts=hosts)
    assert "server: {debug: true} | `server` keys have no effect here: hosts.two is for workers only" in problem


def test_an_agent_section_of_the_controller_role_is_refused(tmp_path: Path) -> None:
    (problem,) = find_problems(tmp_path, "roles:\n  controller+worker: {k3s: {agent: {debug: true}}}\n")
    assert "roles.controller+worker is for controllers only" in problem


@pytest.mark.parametrize(
    "text",
    [
        "roles:\n  controller:\n    k3s: {server: {KEY}}\n",
        "groups:\n  big:\n    k3s: {server: {KEY}}\n",
        "groups:\n  big:\n    k3s: {config: {KEY}}\n",
    ],
)
@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("flannel-backend: host-gw", "compares only when one first joins"),
        ("disable: [traefik]", "does not compare it"),
        ("agent-token: '${env:T}'", "does not compare it"),
        ("datastore-endpoint: '${env:D}'", "does not compare it"),
    ],
)
def test_what_all_servers_must_share_stands_at_the_top_level_only(
    tmp_path: Path, text: str, key: str, reason: str
) -> None:
    found = find_problems(
        tmp_path, text.replace("KEY", key), hosts=THREE.replace("192.168.1.12,", "192.168.1.12, groups: [big],")
    )
    (problem,) = [line for line in found if "must be the same" in line]
    assert f"`{key.partition(':')[0]}` must be the same on all servers" in problem
    assert reason in problem
    assert "to `k3s.server` at the top level" in problem


def test_a_shared_key_at_one_host_is_refused_too(tmp_path: Path) -> None:
    hosts = THREE.replace("{address: 192.168.1.13,", "{address: 192.168.1.13, k3s: {server: {disable: [traefik]}},")
    (problem,) = find_problems(tmp_path, "", hosts=hosts)
    assert "move it from hosts.three to `k3s.server` at the top level" in problem


def test_a_conflict_names_both_places(tmp_path: Path) -> None:
    hosts = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two:
    address: 192.168.1.12
    labels: {disk: ssd}
    k3s:
      agent:
        node-label: [disk=hdd]
        kubelet-arg:
          - node-labels=disk=hdd
"""
    problems = find_problems(tmp_path, "", hosts=hosts)
    assert problems == [
        "node-label: [disk=hdd] | `node-label` is given twice, here and as `labels` of hosts.two (line 9) | keep `labels`",
        "- node-labels=disk=hdd | `node-labels` is given twice, here and as `labels` of hosts.two (line 9) | keep `labels`",
    ]


def test_a_field_of_another_host_is_no_conflict(tmp_path: Path) -> None:
    hosts = HOSTS.replace("192.168.1.11,", "192.168.1.11, labels: {a: b},") + "    k3s: {agent: {node-label: [a=b]}}\n"
    hosts = hosts.replace("  two: {address: 192.168.1.12}\n", "  two:\n    address: 192.168.1.12\n")
    (problem,) = find_problems(tmp_path, "", hosts=hosts)
    assert "has a field of its own" in problem


def test_a_wrong_version_stands_at_its_line(tmp_path: Path) -> None:
    found = find_problems(tmp_path, "", head=HEAD.replace("v1.36.3+k3s1", "1.36.3+k3s1"))
    assert [line for line in found if "no k3s release" in line and "`v1.36.3+k3s1`" in line]


@pytest.mark.parametrize(
    "path", ["/etc/rancher/k3s/config.yaml", "/etc/rancher/k3s/config.yaml.d/50-mine.yaml", "/usr/local/bin/k3s"]
)
def test_placed_files_leave_ours_alone(tmp_path: Path, path: str) -> None:
    (problem,) = find_problems(tmp_path, f"files:\n  - path: {path}\n    content: x\n")
    assert f"{path} is written by bootstrap itself" in problem


def test_etcd_and_another_datastore_exclude_each_other(tmp_path: Path) -> None:
    (problem,) = find_problems(tmp_path, "k3s:\n  server:\n    cluster-init: true\n    datastore-endpoint: ${env:D}\n")
    assert problem.startswith("cluster-init: true | `cluster-init` asks for etcd")


def test_two_servers_are_fine_with_a_datastore_elsewhere(tmp_path: Path) -> None:
    hosts = HOSTS.replace("192.168.1.12", "192.168.1.12, role: controller+worker")
    inventory = load(tmp_path, "k3s: {server: {datastore-endpoint: '${env:D}'}}\n", hosts=hosts)
    assert uses_external_datastore(inventory)
    assert not uses_external_datastore(load(tmp_path, ""))
