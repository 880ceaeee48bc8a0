"""What is run on hosts of a kubeadm cluster: init, join, and what undoes or changes them. Text only, pure."""

from collections.abc import Sequence

from bootstrap.distros.kubeadm.layout import (
    ADMIN,
    CONFIG,
    JOIN,
    KUBE_VIP,
    KUBEADM,
    MANIFESTS,
    PATCHES,
    PKI,
    SERVICE,
    SOCKET,
    SUPER_ADMIN,
)
from bootstrap.distros.kubeadm.probes import UNFINISHED, etcdctl
from bootstrap.plan import KUBECTL_PRELUDE
from bootstrap.shell import join, quote

JOIN_SECRETS = ("join_token", "ca_hash", "certificate_key")

# kube-proxy reads its ConfigMap when it starts.
PROXY_SETTINGS = "kubectl -n kube-system get configmap kube-proxy --ignore-not-found -o 'jsonpath={.data}'"


def validate() -> str:
    """kubeadm reads its file strictly: an unknown field, or one twice, is an error."""
    return f"{KUBEADM} config validate --config {CONFIG}\n"


def init() -> str:
    """Found the cluster. kube-vip may write its lease only as super-admin until `init` has made the roles (kube-vip#684)."""
    return f"""set -eu
mkdir -p -m 700 {UNFINISHED.rpartition("/")[0]}
: > {UNFINISHED}
[ ! -e {KUBE_VIP} ] || sed -i 's#path: {ADMIN}#path: {SUPER_ADMIN}#' {KUBE_VIP}
{KUBEADM} init --config {CONFIG} --skip-token-print
[ ! -e {KUBE_VIP} ] || sed -i 's#path: {SUPER_ADMIN}#path: {ADMIN}#' {KUBE_VIP}
rm -f {UNFINISHED}
"""


def mint(*, for_controllers: bool) -> str:
    """A join token that lives two hours, the CA's hash, and the key of the uploaded certificates, a line each.

    kubeadm makes the token itself, so it is in no argument list.
    """
    key = (
        f"{KUBEADM} init phase upload-certs --upload-certs --config {CONFIG} | tail -n 1\n"
        if for_controllers
        else "echo -\n"
    )
    return f"""set -eu
export KUBECONFIG={ADMIN}
tries=0
until words=$({KUBEADM} token create --ttl 2h --print-join-command 2>/run/bootstrap/mint-error); do
  tries=$((tries + 1)); [ "$tries" -lt 10 ] || {{ cat /run/bootstrap/mint-error >&2; exit 1; }}
  sleep 2
done
rm -f /run/bootstrap/mint-error
set -- $words
while [ $# -gt 1 ]; do
  case $1 in --token) token=$2;; --discovery-token-ca-cert-hash) hash=$2;; esac
  shift
done
echo "$token"; echo "$hash"
{key}"""


def join_cluster() -> str:
    """Join; the file with the token goes in any case."""
    return f"""set -eu
mkdir -p -m 700 {UNFINISHED.rpartition("/")[0]}
: > {UNFINISHED}
trap 'rm -f {JOIN}' EXIT
{KUBEADM} join --config {JOIN}
rm -f {UNFINISHED}
"""


def reset() -> str:
    """Undo init or join on one host; what bootstrap rendered stays, but for what lies in kubeadm's own folders."""
    return f"""set -u
systemctl is-active -q containerd || systemctl start containerd || true
timeout 120 {KUBEADM} reset -f --cleanup-tmp-dir --cri-socket {SOCKET} ||
  timeout 120 {KUBEADM} reset -f --cleanup-tmp-dir --cri-socket {SOCKET} --skip-phases remove-etcd-member || true
systemctl stop {SERVICE} 2>/dev/null || true
rm -rf {MANIFESTS} {PKI} /etc/kubernetes/*.conf /var/lib/etcd /var/lib/kubelet/* {JOIN}
rm -f {UNFINISHED}
"""


def forget_node(kubectl: Sequence[str], asked: str, node: str, address: str, *, stacked: bool) -> str:
    """Run on a live controller: take the etcd members and the Node of a host away. Else its join is refused.

    A member that never started has no name, so its peer address tells it.
    """
    words, name = join(kubectl), quote(node)
    members = f"{words} {etcdctl(asked)} member"
    removal = f"""
{members} list > /run/bootstrap/members
awk -F', ' '$3 == "{node}" || index($4, "://{address}:") {{ print $1 }}' /run/bootstrap/members | while read -r id; do
  {members} remove "$id" </dev/null
done
rm -f /run/bootstrap/members
"""
    return (
        KUBECTL_PRELUDE
        + (removal if stacked else "")
        + f"{words} delete node {name} --ignore-not-found --timeout=90s\n"
    )


def start(verb: str) -> str:
    return f"systemctl reset-failed {SERVICE} 2>/dev/null || true\nsystemctl {verb} --no-block {SERVICE}\n"


def reload() -> str:
    """Another program or unit file, and a restart that takes it."""
    return "systemctl daemon-reload\n" + start("restart")


def stop() -> str:
    return f"systemctl stop {SERVICE}\n"


def change_control_plane(*, external: bool) -> str:
    """There is no verb for a changed ClusterConfiguration: the ConfigMaps, the certificate and the manifests are made anew
    by the phases of `init` (kubernetes/kubeadm#1564 and the ADR on changes).

    The API's certificate is kept unless a name is missing in it. What asks the API comes before the manifests, for
    they take it away for seconds. Where patches are stands in the file: `--patches` beside `--config` is an error.
    """
    etcd = "" if external else f"{KUBEADM} init phase etcd local --config {CONFIG}\n"
    return f"""set -eu
export KUBECONFIG={ADMIN} KUBECACHEDIR=/run/bootstrap/kube-cache
{validate()}{KUBEADM} init phase upload-config all --config {CONFIG}
if ! {KUBEADM} init phase certs apiserver --config {CONFIG}; then
  mkdir -p -m 700 /etc/kubernetes/bootstrap/old
  mv {PKI}/apiserver.crt {PKI}/apiserver.key /etc/kubernetes/bootstrap/old/
  {KUBEADM} init phase certs apiserver --config {CONFIG} || {{ mv /etc/kubernetes/bootstrap/old/* {PKI}/; exit 1; }}
  renewed=yes
fi
rm -rf /etc/kubernetes/bootstrap/old
before=$({PROXY_SETTINGS})
{KUBEADM} init phase addon all --config {CONFIG}
[ "$before" = "$({PROXY_SETTINGS})" ] || kubectl -n kube-system rollout restart daemonset kube-proxy
{KUBEADM} init phase control-plane all --config {CONFIG}
{etcd}[ -z "${{renewed:-}}" ] || {_restart_static("kube-apiserver")}
"""


def _restart_static(name: str) -> str:
    """The kubelet starts it again by itself."""
    return f"pkill -x {name}"


def renew_kubelet(*, patched: bool) -> str:
    """The kubelet's configuration as the cluster has it, with the host's patches; a restart reads it."""
    patches = f" --patches {PATCHES}" if patched else ""
    return f"{KUBEADM} upgrade node phase kubelet-config{patches}\nsystemctl daemon-reload\n" + start("restart")


def upgrade(version: str, *, leads: bool, patched: bool, ignored: Sequence[str]) -> str:
    """One host to another version: the first controller changes the cluster, the others follow it.

    No kubeadm.yaml is read, so what of the host's own checks is `ignored` is told as `init` and `join` were told it.
    """
    options = [f"--patches={PATCHES}"] if patched else []
    options += [f"--ignore-preflight-errors={','.join(ignored)}"] if ignored else []
    if leads:
        return f"KUBECONFIG={ADMIN} {join([KUBEADM, 'upgrade', 'apply', '--yes', version, *options])}\n"
    return f"{join([KUBEADM, 'upgrade', 'node', *options])}\n"


def flannel(kubectl: Sequence[str], manifest: str, pods: str) -> str:
    """Flannel's own manifest with the cluster's pod range in place of its default."""
    changed = "/run/bootstrap/kube-flannel.yml"
    return f"""{KUBECTL_PRELUDE}sed 's#"Network": *"[^"]*"#"Network": "{pods}"#' {quote(manifest)} > {changed}
{join(kubectl)} apply --server-side --force-conflicts -f {changed}
rm -f {changed}
"""


def calico(kubectl: Sequence[str], manifest: str) -> str:
    """Calico reads the pod range from kubeadm's ConfigMap; its manifest is too large for a client-side apply."""
    return f"{KUBECTL_PRELUDE}{join(kubectl)} apply --server-side --force-conflicts -f {quote(manifest)}\n"


def cilium(cli: str, chart: str, version: str, pods: Sequence[str]) -> str:
    """Cilium by its own command line from the locked chart, with the cluster's pod ranges."""
    ranges = "".join(
        f" --set ipam.operator.clusterPoolIPv4PodCIDRList={quote(each)}" for each in pods if ":" not in each
    )
    return f"""set -eu
export KUBECONFIG={ADMIN} HELM_CACHE_HOME=/run/bootstrap/helm HELM_CONFIG_HOME=/run/bootstrap/helm HELM_DATA_HOME=/run/bootstrap/helm
tools=/run/bootstrap/cilium; rm -rf $tools; mkdir -p $tools/chart
tar -xzf {quote(cli)} -C $tools cilium
tar -xzf {quote(chart)} -C $tools/chart --strip-components=1
verb=install; ! $tools/cilium status --wait=false >/dev/null 2>&1 || verb=upgrade
$tools/cilium $verb --chart-directory $tools/chart --version {quote(version)}{ranges}
rm -rf $tools
"""
