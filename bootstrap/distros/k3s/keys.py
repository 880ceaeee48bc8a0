"""The configuration keys of `k3s server` and `k3s agent` as of v1.36, as a table. Pure; what is wrong with a value is not judged here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Kind(StrEnum):
    """What k3s parses a value as."""

    TEXT = "text"
    BOOL = "bool"
    INT = "int"
    LIST = "list"  # a flag that may be repeated
    DURATION = "duration"


class Scope(StrEnum):
    """When a value counts, and where it must be the same."""

    CRITICAL = "critical"  # equal on all servers and fixed at creation; k3s compares at a server's first join only
    COMPARED = "compared"  # equal on all servers, but k3s does not look: this program does
    CREATION = "creation"  # fixed when the host joins
    REGISTRATION = "registration"  # only when a Node registers
    RESTART = "restart"  # in force after a restart


@dataclass(frozen=True)
class Key:
    """One row: `owner` is the inventory's own spelling of the same thing, `since` the releases that brought the key."""

    name: str
    server: bool
    agent: bool
    kind: Kind
    scope: Scope
    default: str = ""
    owner: str = ""
    secret: bool = False
    choices: tuple[str, ...] = ()
    since: tuple[str, ...] = ()  # first release of each minor that has it

    @property
    def is_shared(self) -> bool:
        """Belongs to the cluster, never to a group of servers or one of them."""
        return self.scope in (Scope.CRITICAL, Scope.COMPARED)


# role (s server, a agent, b both), kind, scope, then marks. Sources: `k3s server --help` and `k3s agent --help` of v1.36.3,
# docs.k3s.io/cli/server and docs.k3s.io/cli/agent; critical ones as v1.36.3 compares them, agent-token and servicelb not among them.
TABLE = """
debug                              b bool restart
v                                  b int restart
vmodule                            b text restart
log                                b text restart
alsologtostderr                    b bool restart

token                              b text creation secret owner=token
token-file                         b text creation owner=token
server                             b text creation owner=the_hosts
cluster-init                       s bool compared
agent-token                        s text compared secret
agent-token-file                   s text compared owner=agent-token

bind-address                       b text restart
https-listen-port                  s int restart
supervisor-port                    s int restart
apiserver-port                     s int restart
apiserver-bind-address             s text restart
advertise-address                  s text restart
advertise-port                     s int restart
tls-san                            s list restart owner=sans
tls-san-security                   s bool restart
data-dir                           b text creation default=/var/lib/rancher/k3s

cluster-cidr                       s list critical default=10.42.0.0/16 owner=network.pods
service-cidr                       s list critical default=10.43.0.0/16 owner=network.services
cluster-domain                     s text critical default=cluster.local owner=network.domain
cluster-dns                        s list critical
service-node-port-range            s text compared
flannel-backend                    s text critical default=vxlan choices=none,vxlan,host-gw,wireguard-native
flannel-ipv6-masq                  s bool critical default=false
flannel-external-ip                s bool critical default=false
egress-selector-mode               s text critical default=agent choices=agent,cluster,pod,disabled
servicelb-namespace                s text compared
secrets-encryption                 s bool critical default=false
secrets-encryption-provider        s text critical default=aescbc choices=aescbc,secretbox
disable-cloud-controller           s bool critical default=false
disable-network-policy             s bool critical default=false
disable-helm-controller            s bool critical default=false
embedded-registry                  s bool critical default=false since=1.26.13,1.27.10,1.28.6,1.29.1
supervisor-metrics                 s bool critical default=false

disable                            s list compared choices=coredns,servicelb,traefik,local-storage,metrics-server,runtimes,ccm
disable-scheduler                  s bool restart
disable-kube-proxy                 s bool restart
disable-apiserver                  s bool restart
disable-controller-manager         s bool restart
disable-etcd                       s bool restart
helm-job-image                     s text restart
helm-controller-arg                s list restart
kube-apiserver-arg                 s list restart
etcd-arg                           s list restart
kube-controller-manager-arg        s list restart
kube-controller-arg                s list restart
kube-cloud-controller-manager-arg  s list restart
kube-cloud-controller-arg          s list restart
kube-scheduler-arg                 s list restart
default-local-storage-path         s text compared
system-default-registry            s text compared

write-kubeconfig                   s text restart
write-kubeconfig-mode              s text restart
write-kubeconfig-group             s text restart
write-kubeconfig-name              s text restart since=1.37.0

datastore-endpoint                 s text compared secret
datastore-cafile                   s text compared
datastore-certfile                 s text compared
datastore-keyfile                  s text compared
kine-tls                           s bool compared
etcd-expose-metrics                s bool restart
etcd-disable-snapshots             s bool restart
etcd-snapshot-name                 s text restart
etcd-snapshot-schedule-cron        s text restart
etcd-snapshot-reconcile-interval   s duration restart
etcd-snapshot-retention            s int restart
etcd-snapshot-dir                  s text restart
etcd-snapshot-compress             s bool restart
etcd-s3                            s bool restart
etcd-s3-endpoint                   s text restart
etcd-s3-endpoint-ca                s text restart
etcd-s3-skip-ssl-verify            s bool restart
etcd-s3-access-key                 s text restart
etcd-s3-secret-key                 s text restart secret
etcd-s3-session-token              s text restart secret
etcd-s3-bucket                     s text restart
etcd-s3-bucket-lookup-type         s text restart choices=auto,dns,path
etcd-s3-region                     s text restart
etcd-s3-folder                     s text restart
etcd-s3-retention                  s int restart since=1.31.12,1.32.8,1.33.4,1.34.0
etcd-s3-proxy                      s text restart
etcd-s3-config-secret              s text restart since=1.28.13,1.29.8,1.30.4,1.31.0
etcd-s3-insecure                   s bool restart
etcd-s3-timeout                    s duration restart

node-name                          b text creation owner=name
node-label                         b list registration owner=labels
node-taint                         b list registration owner=taints
node-ip                            b list restart owner=node_address
node-external-ip                   b list restart
node-internal-dns                  b list restart
node-external-dns                  b list restart
flannel-iface                      b text restart
flannel-conf                       b text restart
flannel-cni-conf                   b text restart
vpn-auth                           b text restart secret
vpn-auth-file                      b text restart
resolv-conf                        b text restart
kubelet-arg                        b list restart
kube-proxy-arg                     b list restart
protect-kernel-defaults            b bool restart
selinux                            b bool restart
lb-server-port                     b int restart
disable-apiserver-lb               a bool restart
docker                             b bool restart
container-runtime-endpoint         b text restart
default-runtime                    b text restart
image-service-endpoint             b text restart
pause-image                        b text restart
snapshotter                        b text restart
private-registry                   b text restart owner=registries
disable-default-registry-endpoint  b bool restart
nonroot-devices                    b bool restart
airgap-extra-registry              b list restart
image-credential-provider-bin-dir  b text restart
image-credential-provider-config   b text restart
prefer-bundled-bin                 b bool restart
enable-pprof                       b bool restart
rootless                           b bool restart
"""

# Keys that k3s has, or had, and that can't stand in an inventory: the reason, and what to do.
REFUSED: Mapping[str, tuple[str, str]] = {
    "config": ("names the file that it would stand in", "leave it out"),
    "with-node-id": ("makes node names that are not the host's name", "leave it out: host names are unique here"),
    "cluster-reset": (
        "would reset the cluster at every start",
        "it is a command of its own: `k3s server --cluster-reset`",
    ),
    "cluster-reset-restore-path": ("would restore at every start", "it belongs to `k3s server --cluster-reset`"),
    "disable-agent": (
        "makes a server without a Node, which can't be verified",
        "take role `controller` to keep pods off it",
    ),
    "cluster-secret": ("is gone from k3s", "write `token` at the top level of the inventory"),
    "no-deploy": ("is gone from k3s", "write `disable`"),
    "no-flannel": ("is gone from k3s", "write `flannel-backend: none` in the `server` section"),
    "disable-selinux": ("is gone from k3s", "write `selinux: true` where it is wanted"),
    "multi-cluster-cidr": ("is gone from k3s", "leave it out"),
}
SHORT_FORMS: Mapping[str, str] = {
    "c": "config",
    "d": "data-dir",
    "i": "node-ip",
    "l": "log",
    "o": "write-kubeconfig",
    "s": "server",
    "t": "token",
}


@cache
def keys() -> Mapping[str, Key]:
    """Every key by name."""
    rows = (line.split() for line in TABLE.splitlines() if line)
    return {row[0]: _read_row(row) for row in rows}


def _read_row(row: list[str]) -> Key:
    name, role, kind, scope, *marks = row
    values = dict(mark.partition("=")[::2] for mark in marks)
    return Key(
        name,
        server=role in "sb",
        agent=role in "ab",
        kind=Kind(kind),
        scope=Scope(scope),
        default=values.get("default", ""),
        owner=values.get("owner", ""),
        secret="secret" in values,
        choices=tuple(filter(None, values.get("choices", "").split(","))),
        since=tuple(filter(None, values.get("since", "").split(","))),
    )


@cache
def fixed_keys() -> Mapping[str, str]:
    """Keys of a server that a living cluster can't change, with k3s's default; no secrets, for k3s shows them masked."""
    fixed = (key for key in keys().values() if key.scope in (Scope.CRITICAL, Scope.CREATION))
    return {key.name: key.default for key in fixed if key.server and not key.secret and not _is_ours(key)}


def _is_ours(key: Key) -> bool:
    """Written by this program from the name of the host and the facts, so never by hand."""
    return key.name in ("token-file", "server", "node-name")
