"""Conditions that k0s is waited on with, and how a host explains that they did not come. Scripts only, pure.

An empty version stands for a program of the person's own: any will do.
"""

import re
from collections.abc import Sequence

from bootstrap.distros.k0s.layout import BINARY, data_folder, service
from bootstrap.distros.k0s.versions import kubelet_version
from bootstrap.model import Host, Wait
from bootstrap.plan import KUBECTL_PRELUDE, expect_ready
from bootstrap.shell import join, quote

START_DEADLINE = 300.0
NODE_DEADLINE = 240.0
RUN_FOLDER = "/run/k0s"  # of k0s: its socket, and a file for each program that it runs
MOST_RESTARTS = 5  # systemd starts k0s again every 10 s: after that it will not come any more
PRELUDE = KUBECTL_PRELUDE.replace("set -eu", "set -u")


def explain(host: Host) -> str:
    """The lines in which k0s says why: those with which it ends, else its errors, else its last words."""
    name = service(host)
    return f"""
log=/run/bootstrap/journal
if [ -d /run/systemd/system ]; then journalctl -u {name} -n 3000 --no-pager -o cat > $log 2>/dev/null
else tail -n 3000 /var/log/{name}.err /var/log/{name}.log /var/log/k0s.err /var/log/k0s.log > $log 2>/dev/null
fi
for cause in '^Error: |level=fatal|panic:' 'level=error' 'level=|Main process exited'; do
  said=$(grep -E "$cause" $log | awk '{{ line = $0; sub(/^time="[^"]*" /, "", line); if (line != last) print; last = line }}' | tail -n 4 | cut -c 1-400)
  [ -z "$said" ] || break
done
rm -f $log
printf '%s\\n' "${{said:-{name} has written nothing to its log}}"
case $said in *'pre-flight checks failed'*) timeout 20 {BINARY} sysinfo 2>&1 | grep -E '\\(rejected|: error' | sed 's/^ */  /';; esac
"""


def _unit_check(host: Host) -> str:
    name = service(host)
    return f"""
if [ -d /run/systemd/system ]; then
  eval "$(systemctl show -p ActiveState -p SubState -p Job -p NRestarts -p MainPID {name} | sed 's/=\\(.*\\)/="\\1"/')"
  [ "${{NRestarts:-0}}" -lt {MOST_RESTARTS} ] || {{ echo "{name} has restarted itself $NRestarts times"; exit 2; }}
  if [ "${{Job:-0}}" != 0 ] || [ "${{ActiveState:-unknown}}" != active ]; then echo "{name} is ${{ActiveState:-unknown}} (${{SubState:-}})"; exit 1; fi
else
  rc-service {name} status >/dev/null 2>&1 || {{ echo "{name} is not started"; exit 1; }}
fi
"""


def _expect(pattern: str, otherwise: str) -> str:
    return f"printf '%s' \"$text\" | grep -qE {quote(pattern)} || {{ echo {quote(otherwise)}; exit 1; }}"


def _process_check(host: Host, version: str) -> str:
    """k0s itself answers with the version, and is the one that was started; on a worker, it reaches the API."""
    expected = _expect(f'"Version": *"{re.escape(version)}"', f"k0s does not run {version} yet") if version else ""
    reaches = (
        "" if host.role.controls else _expect('"Success": *true', "k0s does not reach the API with its certificate yet")
    )
    return f"""
text=$(timeout 5 {BINARY} status -o json 2>/dev/null) || {{ echo "k0s does not answer yet"; exit 1; }}
{expected}
main=$(printf '%s\\n' "$text" | sed -n 's/.*"Pid": *\\([0-9]*\\).*/\\1/p' | head -n 1)
[ "${{MainPID:-$main}}" = "$main" ] || {{ echo "k0s is restarting"; exit 1; }}
{reaches or API_PROCESS_CHECK}
"""


# After a restart the API of before can go on for a while: it must be a child of the k0s that runs.
API_PROCESS_CHECK = f"""
process=$(cat {RUN_FOLDER}/kube-apiserver.pid 2>/dev/null)
grep -q "^PPid:[[:space:]]*$main$" "/proc/${{process:-none}}/status" 2>/dev/null || {{ echo "kube-apiserver does not run yet"; exit 1; }}"""


def _api_check(kubectl: Sequence[str]) -> str:
    asked = join([*kubectl, "get", "--raw", "/readyz", "--request-timeout=10s"])
    return f'[ "$(timeout 15 {asked} 2>/dev/null)" = ok ] || {{ echo "the API is not ready"; exit 1; }}\n'


def _node_check(kubectl: Sequence[str], node: str, version: str, *, networked: bool) -> str:
    asked = join([*kubectl, "get", "--raw", f"/api/v1/nodes/{node}", "--request-timeout=10s"])
    script = f"""
text=$(timeout 15 {asked} 2>&1) || {{ echo "node {node} is not there yet"; exit 1; }}
{_expect(f'"kubeletVersion":"{re.escape(kubelet_version(version))}"', f"node {node} does not run {version} yet") if version else ""}
"""
    if networked:
        script += expect_ready(node)
    return script


def _voter_check(host: Host, address: str) -> str:
    asked = f"timeout 15 {BINARY} etcd member-list --data-dir={quote(data_folder(host))}"
    member = quote(f"//{f'[{address}]' if ':' in address else address}:")
    return f'{asked} 2>/dev/null | grep -qF {member} || {{ echo "{host.name} is no member of etcd yet"; exit 1; }}\n'


def wait_for_controller(host: Host, kubectl: Sequence[str], version: str, *, networked: bool, member: str = "") -> Wait:
    """The API of this very host is ready, its Node (where it takes work) has the version, and etcd counts `member`.

    An API is ready only when its own etcd is no learner any more: a learner answers no reads.
    """
    script = PRELUDE + _unit_check(host) + _process_check(host, version) + _api_check(kubectl)
    if member:
        script += _voter_check(host, member)
    if host.role.takes_work:
        script += _node_check(kubectl, host.name, version, networked=networked)
    return Wait(script, START_DEADLINE, explain(host))


def wait_for_worker(host: Host, version: str) -> Wait:
    """k0s and its kubelet run, which only says that the host reached a controller."""
    return Wait(PRELUDE + _unit_check(host) + _process_check(host, version), START_DEADLINE, explain(host))


def wait_for_node(host: Host, kubectl: Sequence[str], version: str, *, networked: bool) -> Wait:
    """Asked on a live controller: the Node is Ready and runs the version."""
    return Wait(PRELUDE + _node_check(kubectl, host.name, version, networked=networked), NODE_DEADLINE, explain(host))
