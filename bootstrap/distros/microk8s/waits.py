"""Conditions that a MicroK8s cluster is waited on with, and how a host explains that they did not come. Scripts only, pure."""

from collections.abc import Sequence

from bootstrap.distros.microk8s.addon_forms import Ready
from bootstrap.distros.microk8s.layout import (
    CONTROLLER_SERVICES,
    DQLITE_PORT,
    KUBECTL,
    LAUNCH_APPLIED,
    MICROK8S,
    services,
    unit,
)
from bootstrap.model import Host, Wait
from bootstrap.plan import KUBECTL_PRELUDE, expect_ready
from bootstrap.shell import join, quote

LAUNCH_DEADLINE = 180.0
START_DEADLINE = 300.0
NODE_DEADLINE = 300.0
ADDON_DEADLINE = 600.0
MOST_RESTARTS = 12  # snapd's units start again at once: after that a service will not come any more
PRELUDE = KUBECTL_PRELUDE.replace("set -eu", "set -u")
AGENT = unit("cluster-agent")


def explain(host: Host) -> str:
    """Services that do not run, and the last errors of each."""
    names = " ".join(services(host))
    return f"""
for name in {names}; do
  service=snap.microk8s.daemon-$name
  state=$(systemctl is-active $service 2>/dev/null)
  [ "$state" = active ] || echo "$service is $state"
  journalctl -u $service -n 300 --no-pager -o cat 2>/dev/null | grep -E 'level=.?(error|fatal)|^E[0-9]|panic:|[Ee]rror|[Ff]ailed' |
    awk -v name=$name '$0 != last {{ print name ": " $0; last = $0 }}' | tail -n 2 | cut -c 1-400
done
"""


def explain_launch() -> str:
    """The agent tells of a launch configuration that it can't apply in its journal alone."""
    return f"""
said=$(journalctl -u {AGENT} -n 200 --no-pager -o cat 2>/dev/null | grep -iE 'fail|error|could not' | awk '$0 != last {{ print; last = $0 }}' | tail -n 4 | cut -c 1-400)
printf '%s\\n' "${{said:-{AGENT} has written no error to its journal}}"
"""


def wait_for_launch(path: str = LAUNCH_APPLIED) -> Wait:
    """The agent has applied the launch configuration: before that, its restarts would meet ours."""
    script = f'[ -e {path} ] || {{ echo "the launch configuration is not applied yet"; exit 1; }}\n'
    return Wait(script, LAUNCH_DEADLINE, explain_launch())


def _services_check(wanted: Sequence[str]) -> str:
    names = " ".join(unit(name) for name in wanted)
    return f"""
for service in {names}; do
  eval "$(systemctl show -p ActiveState -p SubState -p NRestarts $service | sed 's/=\\(.*\\)/="\\1"/')"
  [ "${{NRestarts:-0}}" -lt {MOST_RESTARTS} ] || {{ echo "$service has restarted itself $NRestarts times"; exit 2; }}
  [ "${{ActiveState:-unknown}}" != failed ] || {{ echo "$service has failed, and is not started again"; exit 2; }}
  [ "${{ActiveState:-unknown}}" = active ] || {{ echo "$service is ${{ActiveState:-unknown}} (${{SubState:-}})"; exit 1; }}
done
"""


def _api_check() -> str:
    asked = join([*KUBECTL, "get", "--raw", "/readyz", "--request-timeout=10s"])
    return f'[ "$(timeout 20 {asked} 2>/dev/null </dev/null)" = ok ] || {{ echo "the API is not ready"; exit 1; }}\n'


def _node_check(kubectl: Sequence[str], node: str, minor: str) -> str:
    """`minor`: such as v1.36."""
    asked = join([*kubectl, "get", "--raw", f"/api/v1/nodes/{node}", "--request-timeout=10s"])
    return f"""
text=$(timeout 20 {asked} 2>/dev/null </dev/null) || {{ echo "node {node} is not there yet"; exit 1; }}
printf '%s' "$text" | grep -qF {quote(f'"kubeletVersion":"{minor}.')} || {{ echo "node {node} does not run {minor} yet"; exit 1; }}
{expect_ready(node)}"""


def _member_check(address: str, voters: int) -> str:
    """dqlite gives roles some time after a join."""
    return f"""
text=$(timeout 90 {MICROK8S} status --format yaml </dev/null 2>/dev/null)
printf '%s' "$text" | grep -qF {quote(f"address: {address}:{DQLITE_PORT}")} || {{ echo "dqlite does not list {address} yet"; exit 1; }}
found=$(printf '%s\\n' "$text" | grep -c 'role: voter')
[ "$found" -ge {voters} ] || {{ echo "dqlite has $found voters, and should have {voters}"; exit 1; }}
"""


def wait_for_controller(host: Host, minor: str) -> Wait:
    """Its services run, its own API is ready and has its Node, Ready."""
    script = PRELUDE + _services_check(services(host)) + _api_check() + _node_check(KUBECTL, host.name, minor)
    return Wait(script, START_DEADLINE, explain(host))


def wait_for_own_node(host: Host, minor: str) -> Wait:
    """As after an install: every host is a controller of its own, whatever it shall become."""
    script = PRELUDE + _services_check(CONTROLLER_SERVICES) + _api_check() + _node_check(KUBECTL, host.name, minor)
    return Wait(script, START_DEADLINE, explain(host))


def wait_for_services(host: Host) -> Wait:
    """What a worker can tell of itself."""
    return Wait(PRELUDE + _services_check(services(host)), START_DEADLINE, explain(host))


def wait_for_node(host: Host, minor: str) -> Wait:
    """Asked on a controller that was there before: the Node is Ready."""
    return Wait(PRELUDE + _node_check(KUBECTL, host.name, minor), NODE_DEADLINE, explain(host))


def wait_for_member(host: Host, minor: str, address: str, voters: int) -> Wait:
    """Asked there too: the Node is Ready, dqlite lists it, and has its voters."""
    script = PRELUDE + _node_check(KUBECTL, host.name, minor) + _member_check(address, voters)
    return Wait(script, NODE_DEADLINE, explain(host))


# --- add-ons -------------------------------------------------------------------------------------

WORKLOADS = {"deployment": "deployments", "daemonset": "daemonsets", "statefulset": "statefulsets"}
PATHS = {
    "storageclass": "/apis/storage.k8s.io/v1/storageclasses",
    "clusterrole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ingressclass": "/apis/networking.k8s.io/v1/ingressclasses",
    "apiservice": "/apis/apiregistration.k8s.io/v1/apiservices",
    "ipaddresspool": "/apis/metallb.io/v1beta1/namespaces/{namespace}/ipaddresspools",
}
READ = """
ask() { text=$(timeout 20 KUBECTL get --raw "$1" --request-timeout=10s 2>/dev/null </dev/null) || { echo "$2 is not there yet"; exit 1; }; }
number() { printf '%s' "$text" | tr ',{}' '\\n\\n\\n' | sed -n "s/^ *\\"$1\\": *\\([0-9]*\\)$/\\1/p" | head -n 1; }
seen() { [ "$(number observedGeneration)" = "$(number generation)" ] || { echo "$1 was not looked at yet"; exit 1; }; }
reach() { [ "${1:-0}" -ge "${2:-1}" ] || { echo "$3 has ${1:-0} of ${2:-1} ready"; exit 1; }; }
""".replace("KUBECTL", join(KUBECTL))


def wait_for_addon(proofs: Sequence[Ready]) -> Wait:
    """Every object that proves an add-on is there, and has all its replicas where it is a workload."""
    return Wait(PRELUDE + READ + "".join(map(_object_check, proofs)), ADDON_DEADLINE, explain_pods(proofs))


def _object_check(ready: Ready) -> str:
    shown = f"{ready.kind} {ready.namespace + '/' if ready.namespace else ''}{ready.name}"
    if ready.kind not in WORKLOADS:
        path = f"{PATHS[ready.kind].format(namespace=ready.namespace)}/{ready.name}"
        return f"ask {path} {quote(shown)}\n"
    path = f"/apis/apps/v1/namespaces/{ready.namespace}/{WORKLOADS[ready.kind]}/{ready.name}"
    counts = {
        "deployment": '"$(number availableReplicas)" "$(number replicas)"',
        "statefulset": '"$(number readyReplicas)" "$(number replicas)"',
        "daemonset": '"$(number numberReady)" "$(number desiredNumberScheduled)"',
    }[ready.kind]
    return f"ask {path} {quote(shown)}\nseen {quote(shown)}\nreach {counts} {quote(shown)}\n"


def explain_pods(proofs: Sequence[Ready]) -> str:
    """What keeps the add-on's pods."""
    namespaces = dict.fromkeys(ready.namespace for ready in proofs if ready.namespace)
    asked = [
        f"timeout 20 {join([*KUBECTL, '--namespace', name, 'get', 'pods', '--no-headers'])} 2>/dev/null </dev/null | grep -vE 'Running|Completed' | head -n 4"
        for name in namespaces
    ]
    return KUBECTL_PRELUDE.replace("set -eu", "set -u") + "\n".join(asked) + "\n"
