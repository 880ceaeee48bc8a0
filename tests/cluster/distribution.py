"""What tests on real hosts must know of each distribution: its inventory, its words on a host. No test stands here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs import SUPPLIES, Supply


@dataclass(frozen=True)
class Distribution:
    """How a distribution is told to run on sandbox hosts, and how it shows itself there.

    `native` is the text below `<name>:` in the inventory; `worker_change` and `cluster_change` are flow-style keys to
    put into a host's or the cluster's native keys. `critical` is inventory text that can't be changed later, and the
    words that the refusal must hold.
    """

    name: str
    native: str
    worker_change: str
    cluster_change: str
    cluster_change_again: str  # the same key with another value
    kubectl: str
    voters: str  # sh that prints the names of the controllers with a vote
    services: tuple[str, str]  # of a controller, of a worker
    secret: str  # sh that prints what must never be seen
    private: tuple[str, ...]  # files of a controller that only root may read
    programs: tuple[str, ...]  # none of these is there before, nor after a removal
    critical: tuple[str, str]
    volatile: tuple[str, ...] = ()  # written all the time by the distribution itself
    follows: tuple[str, ...] = ()  # files of members that follow when a host is new, without any restart
    kept: tuple[str, ...] = ()  # what a reset may leave
    extra: Mapping[str, str] = field(default_factory=dict)  # environment of every command

    @property
    def supply(self) -> Supply:
        return SUPPLIES[self.name]

    @property
    def version(self) -> str:
        return self.supply.versions[0]

    @property
    def kubelet(self) -> str:
        """The version that its kubelets tell: k0s has builds of its own behind a last dot."""
        return re.sub(r"(\+k0s)\..*", r"\1", self.version)

    @property
    def next_version(self) -> str:
        return self.supply.versions[1]

    def head(self, mirror: Path, key: Path) -> str:
        """The inventory up to its hosts."""
        lines = ("schema: bootstrap/v1", "cluster: home", f"distro: {self.name}", f"version: {self.version}")
        return "\n".join([*lines, f"mirror: {mirror}", "arch: amd64", f"ssh: {{user: ops, key: {key}}}", ""])


K3S = Distribution(
    name="k3s",
    native="""
  config:
    disable: [coredns, local-storage, metrics-server, servicelb, traefik]
    kubelet-arg: [fail-cgroupv1=false]
""",
    worker_change="agent: {node-external-ip: 192.0.2.7}",
    cluster_change="server: {etcd-snapshot-retention: 6}",
    cluster_change_again="server: {etcd-snapshot-retention: 7}",
    kubectl="k3s kubectl",
    voters="k3s kubectl get nodes -l node-role.kubernetes.io/etcd -o name | cut -d/ -f2",
    services=("k3s", "k3s-agent"),
    secret="cat /var/lib/rancher/k3s/server/token",
    private=("/etc/rancher/k3s/config.yaml", "/var/lib/bootstrap/record.json"),
    programs=("/usr/local/bin/k3s", "/etc/rancher"),
    critical=("cluster-cidr", "fixed when the cluster is made"),
    volatile=("/var/lib/rancher", "/var/lib/kubelet", "/etc/rancher/k3s/k3s.yaml", "/var/lib/cni"),
)
KUBEADM = Distribution(
    name="kubeadm",
    # What a kubelet needs beside others on one machine's kernel, with cgroup v1; and without br_netfilter, answers
    # inside of one bridge come back past the host: masquerading sends them through it.
    # An API server that is to end waits for those who watch, 30 s each time: the patch shortens that.
    native="""
  cni: bridge
  runtime: packages
  runtime_options: {restrict_oom_score_adj: true, load_modules: false}
  node: {ignorePreflightErrors: [SystemVerification]}
  kubelet: {failCgroupV1: false}
  proxy: {mode: nftables, nftables: {masqueradeAll: true}, conntrack: {maxPerCore: 0}}
  cluster: {encryptionAlgorithm: ECDSA-P256}
  patches: {kube-apiserver0+strategic.yaml: "spec: {terminationGracePeriodSeconds: 3}"}
""",
    worker_change="kubelet: {maxPods: 90}",
    cluster_change="cluster: {apiServer: {extraArgs: [{name: event-ttl, value: 2h0m0s}]}, encryptionAlgorithm: ECDSA-P256}",
    cluster_change_again="cluster: {apiServer: {extraArgs: [{name: event-ttl, value: 3h0m0s}]}, encryptionAlgorithm: ECDSA-P256}",
    kubectl="kubectl --kubeconfig /etc/kubernetes/admin.conf",
    voters=(
        "crictl exec $(crictl ps -q --name '^etcd$') etcdctl --endpoints https://127.0.0.1:2379"
        " --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt"
        " --key /etc/kubernetes/pki/etcd/server.key member list | grep -v true | cut -d, -f3"
    ),
    services=("kubelet", "kubelet"),
    secret="sed -n 's/.*client-key-data: //p' /etc/kubernetes/admin.conf",
    private=("/etc/kubernetes/bootstrap/kubeadm.yaml", "/var/lib/bootstrap/record.json"),
    programs=("/usr/local/bin/kubeadm", "/usr/local/bin/kubelet", "/etc/kubernetes"),
    critical=("podSubnet", "fixed when the cluster is made"),
    volatile=("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd", "/etc/kubernetes/tmp", "/var/lib/cni"),
    # without a routing daemon, each host has a route to the pods of each other
    follows=("/etc/kubernetes/bootstrap", "/var/lib/bootstrap"),
    kept=("/var/lib/containerd",),
)
K0S_CONFIG = (
    "network: {provider: custom}, telemetry: {enabled: false}, workerProfiles: [{name: small, values: {failCgroupV1: false}}, "
    "{name: smaller, values: {failCgroupV1: false, maxPods: 90}}]"
)
K0S = Distribution(
    name="k0s",
    # No image can be pulled in the sandbox, so nothing is asked for that needs one: the network comes by a file.
    native="""
  config: {CONFIG}
  noTaints: true
  profile: small
  installFlags:
    - --ignore-pre-flight-checks=true
    - --disable-components=coredns,metrics-server,konnectivity-server,kube-proxy
  files:
    - dst: /etc/k0s/containerd.d/sandbox.toml
      data: |
        version = 3
        [plugins."io.containerd.cri.v1.runtime"]
        restrict_oom_score_adj = true
    - dst: /etc/cni/net.d/10-bridge.conflist
      data: |
        {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
         "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.7.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
""".replace("CONFIG", K0S_CONFIG),
    worker_change="profile: smaller",
    cluster_change=f"config: {{{K0S_CONFIG}, api: {{extraArgs: {{event-ttl: 2h0m0s}}}}}}",
    cluster_change_again=f"config: {{{K0S_CONFIG}, api: {{extraArgs: {{event-ttl: 3h0m0s}}}}}}",
    kubectl="k0s kubectl",
    voters='k0s etcd member-list | grep -o \'"[^"]*":"https\' | cut -d \'"\' -f 2',
    services=("k0scontroller", "k0sworker"),
    secret="sed -n 's/.*client-key-data: //p' /var/lib/k0s/pki/admin.conf",
    private=("/etc/k0s/k0s.yaml", "/var/lib/bootstrap/record.json"),
    programs=("/usr/local/bin/k0s", "/etc/k0s", "/var/lib/k0s/pki"),
    critical=("podCIDR", "fixed when the cluster is made"),
    volatile=("/var/lib/k0s", "/var/lib/kubelet", "/var/lib/cni"),
)
DISTRIBUTIONS = (K3S, KUBEADM, K0S)
