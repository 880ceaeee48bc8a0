"""Conditions that k3s is waited on with, and how a host explains that they did not come. Scripts only, pure."""

from bootstrap.distros.k3s.layout import BINARY
from bootstrap.model import Wait
from bootstrap.plan import KUBECTL_PRELUDE, expect_ready
from bootstrap.shell import quote

MOST_RESTARTS = 6  # k3s restarts itself every 5 s: after half a minute of that it will not come any more

START_DEADLINE = 420.0
NODE_DEADLINE = 240.0


def start_script(service: str, verb: str) -> str:
    """Start or restart without waiting: Type=notify with TimeoutStartSec=0 would block for ever."""
    return f"""
if [ -d /run/systemd/system ]; then
  systemctl reset-failed {service} 2>/dev/null || true
  systemctl {verb} --no-block {service}
else
  rc-service --quiet {service} {verb}
fi
"""


def stop_script(service: str) -> str:
    return f"""
if [ -d /run/systemd/system ]; then
  if systemctl cat {service} >/dev/null 2>&1; then systemctl stop {service}; systemctl reset-failed {service} 2>/dev/null || true; fi
elif [ -e /etc/init.d/{service} ]; then rc-service --quiet {service} stop || true
fi
"""


def explain_script(service: str) -> str:
    """The lines in which k3s says why: those with which it ends or hangs, else its errors, else its last words."""
    decisive = "level=fatal|Waiting to retrieve|Failed to validate|Shutdown request received|exited:|^Error: |panic:"
    return f"""
log=/run/bootstrap/journal
if [ -d /run/systemd/system ]; then journalctl -u {service} -n 2000 --no-pager -o cat > $log 2>/dev/null
else tail -n 2000 /var/log/{service}.log > $log 2>/dev/null
fi
for cause in {quote(decisive)} 'level=error|^E[0-9]' 'level=|Main process exited'; do
  said=$(grep -E "$cause" $log | awk '{{ line = $0; sub(/^time="[^"]*" /, "", line); if (line != last) print; last = line }}' | tail -n 4)
  [ -z "$said" ] || break
done
printf '%s\\n' "${{said:-{service} has written nothing to its log}}"
rm -f $log
"""


def _unit_check(service: str) -> str:
    return f"""
if [ -d /run/systemd/system ]; then
  eval "$(systemctl show -p ActiveState -p SubState -p Job -p NRestarts {service} | sed 's/=\\(.*\\)/="\\1"/')"
  [ "${{NRestarts:-0}}" -lt {MOST_RESTARTS} ] || {{ echo "{service} has restarted itself $NRestarts times"; exit 2; }}
  if [ "${{Job:-0}}" != 0 ] || [ "${{ActiveState:-unknown}}" != active ]; then echo "{service} is ${{ActiveState:-unknown}} (${{SubState:-}})"; exit 1; fi
else
  rc-service {service} status >/dev/null 2>&1 || {{ echo "{service} is not started"; exit 1; }}
fi
"""


def _node_check(node: str, version: str, *, voter: bool) -> str:
    lines = f"""
text=$(timeout 15 {BINARY} kubectl get --raw /api/v1/nodes/{quote(node)} --request-timeout=10s 2>&1) || {{ echo "node {node} is not there yet"; exit 1; }}
{expect_ready(node)}printf '%s' "$text" | grep -qF {quote(f'"kubeletVersion":"{version}"')} || {{ echo "node {node} does not run {version} yet"; exit 1; }}
"""
    if voter:
        lines += f'has EtcdIsVoter || {{ echo "{node} is no etcd voter yet"; exit 1; }}\n'
    return lines


def wait_for_server(service: str, node: str, version: str, *, networked: bool, voter: bool) -> Wait:
    """The API of this very host is ready, its Node is Ready with the version, and it votes in etcd.

    With `networked` false the cluster has no CNI yet: the Node can't be Ready, so only the API is asked.
    """
    ready = f"""
timeout 15 {BINARY} kubectl get --raw /readyz --request-timeout=10s >/dev/null 2>&1 || {{ echo "the API is not ready"; exit 1; }}
"""
    script = KUBECTL_PRELUDE.replace("set -eu", "set -u") + _unit_check(service) + ready
    if networked:
        script += _node_check(node, version, voter=voter)
    return Wait(script, START_DEADLINE, explain_script(service))


def wait_for_agent(service: str) -> Wait:
    """The agent's service is up, which only says that it reached a server."""
    return Wait(_unit_check(service), START_DEADLINE, explain_script(service))


def wait_for_node(node: str, version: str, agent_explanation: str = "") -> Wait:
    """Asked on a live controller: the Node is Ready and runs the version (the old one stays for seconds after a restart)."""
    return Wait(
        KUBECTL_PRELUDE.replace("set -eu", "set -u") + _node_check(node, version, voter=False),
        NODE_DEADLINE,
        agent_explanation,
    )


def wait_steady(service: str) -> Wait:
    """READY came while the kubelet was already dying: look again when the service is 10 s old (seen with k3s 1.36)."""
    script = f"""
if [ -d /run/systemd/system ]; then
  eval "$(systemctl show -p ActiveState -p SubState -p ActiveEnterTimestampMonotonic {service} | sed 's/=\\(.*\\)/="\\1"/')"
  [ "${{ActiveState:-unknown}}" = active ] || {{ echo "{service} is ${{ActiveState:-unknown}} (${{SubState:-}})"; exit 1; }}
  age=$(( $(cut -d. -f1 /proc/uptime) - ActiveEnterTimestampMonotonic / 1000000 ))
  [ "$age" -ge 10 ] || {{ echo "{service} is up for $age s"; exit 1; }}
else
  rc-service {service} status >/dev/null 2>&1 || {{ echo "{service} is not started"; exit 1; }}
fi
"""
    return Wait(script, 60.0, explain_script(service))
