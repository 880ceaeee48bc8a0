"""Conditions that a kubeadm cluster is waited on with, and how a host explains that they did not come. Scripts only, pure."""

from collections.abc import Sequence

from bootstrap.distros.kubeadm.layout import KUBECTL, MANIFESTS, SERVICE
from bootstrap.distros.kubeadm.probes import etcdctl
from bootstrap.model import Wait
from bootstrap.plan import KUBECTL_PRELUDE, expect_ready
from bootstrap.shell import join, quote

START_DEADLINE = 300.0
NODE_DEADLINE = 240.0
ENDPOINT_DEADLINE = 60.0
MOST_RESTARTS = 8  # systemd starts the kubelet again every 10 s: after that it will not come any more
PRELUDE = KUBECTL_PRELUDE.replace("set -eu", "set -u")


def explain() -> str:
    """Why the node is not there: components that ended, and the kubelet's last errors."""
    return f"""
log=/run/bootstrap/journal
journalctl -u {SERVICE} -n 1000 --no-pager -o cat > $log 2>/dev/null
for cause in 'Failed to run kubelet|command failed|failed to load|unknown flag|misconfiguration|panic:' '^E[0-9]'; do
  said=$(grep -E "$cause" $log | sed 's/^[A-Z][0-9]* [0-9:.]* *[0-9]* //' | awk '$0 != last {{ print; last = $0 }}' | tail -n 4)
  [ -z "$said" ] || break
done
rm -f $log
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  [ -e {MANIFESTS}/$name.yaml ] && ! pidof $name >/dev/null || continue
  file=$(ls -t /var/log/pods/kube-system_$name-*/$name/*.log 2>/dev/null | head -n 1)
  echo "$name does not run$([ -z "$file" ] || tail -n 2 "$file" | cut -d' ' -f4- | sed 's/^/; it said: /')"
done
printf '%s\\n' "${{said:-{SERVICE} has written no error to its log}}"
"""


def _kubelet_check() -> str:
    return f"""
eval "$(systemctl show -p ActiveState -p SubState -p NRestarts {SERVICE} | sed 's/=\\(.*\\)/="\\1"/')"
[ "${{NRestarts:-0}}" -lt {MOST_RESTARTS} ] || {{ echo "{SERVICE} has restarted itself $NRestarts times"; exit 2; }}
[ "${{ActiveState:-unknown}}" = active ] || {{ echo "{SERVICE} is ${{ActiveState:-unknown}} (${{SubState:-}})"; exit 1; }}
"""


# A static pod runs when a process has the arguments of its manifest: the kubelet takes seconds to exchange it.
STATIC_PODS_CHECK = f"""
trap 'rm -f /run/bootstrap/arguments /run/bootstrap/wanted /run/bootstrap/missing' EXIT
for file in {MANIFESTS}/kube-apiserver.yaml {MANIFESTS}/kube-controller-manager.yaml {MANIFESTS}/kube-scheduler.yaml {MANIFESTS}/etcd.yaml; do
  [ -e "$file" ] || continue
  name=$(basename "$file" .yaml); process=$(pidof "$name" | cut -d' ' -f1)
  [ -n "$process" ] || {{ echo "$name does not run yet"; exit 1; }}
  tr '\\0' '\\n' < "/proc/$process/cmdline" > /run/bootstrap/arguments 2>/dev/null
  sed -n '/^    - command:/,/^    [a-z]/s/^    - --/--/p' "$file" | sed "s/^\\(['\\"]\\)\\(.*\\)\\1$/\\2/" > /run/bootstrap/wanted
  if grep -vxFf /run/bootstrap/arguments /run/bootstrap/wanted >/run/bootstrap/missing; then
    echo "$name does not run with $(head -n 1 /run/bootstrap/missing) yet"; exit 1
  fi
done
"""


def _api_check(kubectl: Sequence[str]) -> str:
    asked = join([*kubectl, "get", "--raw", "/readyz", "--request-timeout=10s"])
    return f'timeout 15 {asked} >/dev/null 2>&1 || {{ echo "the API is not ready"; exit 1; }}\n'


def _node_check(kubectl: Sequence[str], node: str, version: str, *, networked: bool) -> str:
    asked = join([*kubectl, "get", "--raw", f"/api/v1/nodes/{node}", "--request-timeout=10s"])
    script = f"""
text=$(timeout 15 {asked} 2>&1) || {{ echo "node {node} is not there yet"; exit 1; }}
printf '%s' "$text" | grep -qF {quote(f'"kubeletVersion":"{version}"')} || {{ echo "node {node} does not run {version} yet"; exit 1; }}
"""
    if networked:
        script += expect_ready(node)
    return script


def _voter_check(kubectl: Sequence[str], node: str) -> str:
    asked = f"timeout 15 {join(kubectl)} {etcdctl(node)} member list"
    return f"""
{asked} 2>/dev/null | grep -F ', {node}, ' | grep -q ', false$' || {{ echo "{node} is no etcd voter yet"; exit 1; }}
"""


def wait_for_api(kubectl: Sequence[str]) -> Wait:
    """The API of this controller is ready; its Node may still wait for a network."""
    return Wait(PRELUDE + _kubelet_check() + STATIC_PODS_CHECK + _api_check(kubectl), START_DEADLINE, explain())


def wait_for_controller(kubectl: Sequence[str], node: str, version: str, *, networked: bool, voter: bool) -> Wait:
    """Static pods run as their manifests say, the API of this host is ready, the Node is Ready, and it votes in etcd."""
    script = PRELUDE + _kubelet_check() + STATIC_PODS_CHECK + _api_check(kubectl)
    script += _node_check(kubectl, node, version, networked=networked)
    if voter:
        script += _voter_check(kubectl, node)
    return Wait(script, START_DEADLINE, explain())


def wait_for_kubelet() -> Wait:
    return Wait(_kubelet_check(), START_DEADLINE, explain())


def wait_for_node(kubectl: Sequence[str], node: str, version: str, *, networked: bool) -> Wait:
    """Asked on a live controller: the Node is Ready and runs the version."""
    return Wait(PRELUDE + _node_check(kubectl, node, version, networked=networked), NODE_DEADLINE, explain())


def wait_for_endpoint(endpoint: str) -> Wait:
    """The API answers at the address that all nodes will use: admin.conf names it."""
    asked = join([*KUBECTL, "get", "--raw", "/readyz", "--request-timeout=5s"])
    seen = f"the API does not answer at the endpoint {endpoint}"
    script = f"said=$(timeout 8 {asked} 2>&1) || {{ echo {quote(seen)}; exit 1; }}\n"
    explain = f"timeout 8 {asked} 2>&1 | tail -n 1 | sed 's/^/the API of this host is up, but kubectl says: /'\n"
    return Wait(PRELUDE + script, ENDPOINT_DEADLINE, explain)


def wait_for_discovery(kubectl: Sequence[str]) -> Wait:
    """The signed cluster-info is there: a joiner that looks before that looks again only 5 s later."""
    path = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
    asked = join([*kubectl, "get", "--raw", path, "--request-timeout=8s"])
    script = f'timeout 10 {asked} 2>/dev/null | grep -q jws-kubeconfig || {{ echo "cluster-info is not signed yet"; exit 1; }}\n'
    return Wait(PRELUDE + script, 120.0)
