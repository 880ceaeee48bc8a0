"""Taking k3s away again: one host (remove) or all (reset), with everything the uninstaller leaves behind. Pure."""

from collections.abc import Iterator

from bootstrap.distros.k3s import waits
from bootstrap.distros.k3s.cluster import Cluster
from bootstrap.distros.k3s.layout import KUBECTL, data_folder, service
from bootstrap.driver import PlanInput
from bootstrap.facts import STATE_FOLDER
from bootstrap.model import Disruption, Host, HostFacts, Plan, Run, Step
from bootstrap.plan import KUBECTL_PRELUDE, drain_node
from bootstrap.removal import (
    Leaving,
    find_leaving,
    plan_leaving,
    plan_removal_of,
    refuse_remains,
    remove_paths,
    unmount,
)
from bootstrap.shell import join, quote

# k3s-uninstall.sh leaves these; /etc/rancher/node holds the node password, which blocks a rejoin if only the Node went.
LEFTOVERS = (
    "/etc/rancher",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/run/k3s",
    "/run/flannel",
    "/etc/cni",
    "/opt/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/root/.kube/cache",
    "/usr/local/lib/bootstrap",
)
# The kubelet makes this folder at its start; with a driver of somebody's in it, it stays.
VOLUME_PLUGINS = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"


def plan_reset(plan_input: PlanInput) -> Plan:
    """Remove k3s from every host that can be reached: workers first, controllers after."""
    return plan_removal_of("k3s", plan_input, uninstall_steps)


def has_traces(facts: HostFacts, data: str) -> bool:
    """Whether anything of k3s or of ours lies on the host."""
    return bool(
        "k3s" in facts.distributions
        or facts.record
        or facts.files
        or facts.values.get("traces")
        or data in facts.free_kb
    )


def uninstall_steps(plan_input: PlanInput, host: Host) -> Iterator[Step]:
    """Stop, uninstall with upstream's own script where it is, remove what it leaves."""
    facts = plan_input.facts[host.name]
    data = data_folder(host)
    if not has_traces(facts, data):
        return
    running = any(unit.is_running for unit in facts.units.values())
    if any(unit.load == "loaded" for unit in facts.units.values()) or running:
        script = "".join(waits.stop_script(name) for name in ("k3s-agent", "k3s"))
        yield Step(
            host.name, "stop k3s", "it is installed here", Run(script, deadline=180.0), disruption=Disruption.REMOVE
        )
    yield Step(
        host.name,
        "uninstall k3s and remove its data",
        f"{data} and everything k3s made on the host go, volumes of local-path included",
        Run(uninstall_script(plan_input, host), deadline=300.0),
        disruption=Disruption.REMOVE,
    )


def uninstall_script(plan_input: PlanInput, host: Host) -> str:
    """Upstream's scripts first; a half-made installation may lack them, so their work is done again by hand."""
    ours = [a.path for a in plan_input.artifacts if a.host == host.name]
    removed = [*LEFTOVERS, data_folder(host), *ours, STATE_FOLDER]
    mounted = f"{data_folder(host)}/*|/run/k3s/*|/var/lib/kubelet/*|/run/netns/cni-*"
    return f"""
set -u
for script in k3s-killall.sh k3s-agent-uninstall.sh k3s-uninstall.sh; do
  [ ! -x "/usr/local/bin/$script" ] || "/usr/local/bin/$script" || true
done
for name in k3s k3s-agent; do
  rm -f "/etc/systemd/system/$name.service" "/etc/systemd/system/$name.service.env" "/etc/systemd/system/multi-user.target.wants/$name.service"
  rm -f "/etc/init.d/$name" "/etc/logrotate.d/$name" "/var/log/$name.log" "/etc/runlevels/default/$name"
done
rm -f /usr/local/bin/k3s /usr/local/bin/k3s-killall.sh /usr/local/bin/k3s-uninstall.sh /usr/local/bin/k3s-agent-uninstall.sh
for name in kubectl crictl ctr; do
  [ ! -L "/usr/local/bin/$name" ] || case $(readlink "/usr/local/bin/$name") in k3s|*/k3s) rm -f "/usr/local/bin/$name";; esac
done
[ ! -d /run/systemd/system ] || systemctl daemon-reload
{unmount(mounted)}
{remove_paths(removed)}
rmdir /var/lib/rancher /root/.kube /run/bootstrap/kube-cache 2>/dev/null || true
rmdir -p {VOLUME_PLUGINS} 2>/dev/null || true
{refuse_remains(removed)}
"""


def plan_remove(plan_input: PlanInput, name: str) -> Plan:
    """Drain, stop, delete the Node, uninstall: in this order, for a running server rejoins when only its Node goes."""
    cluster = Cluster(plan_input)
    leaving = find_leaving(cluster, name)
    return plan_leaving(cluster, leaving, _remove_steps(cluster, leaving))


def _remove_steps(cluster: Cluster, leaving: Leaving) -> Iterator[Step]:
    name, host, asked = leaving.name, leaving.host, leaving.asked.name
    node, kubectl = quote(name), join(KUBECTL)
    if leaving.can_be_drained(cluster):
        yield Step(
            name,
            "drain the node",
            "its pods shall go elsewhere first",
            Run(drain_node(KUBECTL, name), deadline=330.0),
            on=asked,
            disruption=Disruption.REMOVE,
        )
    if host is not None and leaving.is_seen(cluster):
        stop = Run(waits.stop_script(service(host)), deadline=180.0)
        yield Step(
            name,
            f"stop {service(host)}",
            "a running one would register again within seconds",
            stop,
            disruption=Disruption.REMOVE,
        )
    script = KUBECTL_PRELUDE + (
        f"{kubectl} delete node {node} --ignore-not-found --timeout=90s\n"
        f"{kubectl} -n kube-system delete secret {node}.node-password.k3s --ignore-not-found --timeout=60s\n"
    )
    yield Step(
        name,
        "delete the node, its etcd membership and its password",
        "it is to leave",
        Run(script, deadline=180.0),
        on=asked,
        disruption=Disruption.REMOVE,
    )
    if host is not None and leaving.is_seen(cluster):
        yield from (step for step in uninstall_steps(cluster.plan_input, host) if step.title != "stop k3s")
