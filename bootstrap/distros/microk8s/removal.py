"""Taking MicroK8s away again: one host (remove) or all (reset), with everything that it leaves behind. Pure."""

from collections.abc import Iterator

from bootstrap.distros.microk8s import scripts
from bootstrap.distros.microk8s.cluster import Cluster, is_installed
from bootstrap.distros.microk8s.layout import DOWNLOADS, FOLDER, LAUNCH_CONFIG
from bootstrap.driver import PlanInput
from bootstrap.facts import STATE_FOLDER
from bootstrap.model import Disruption, Host, HostFacts, Plan, Run, Step
from bootstrap.plan import drain_node
from bootstrap.removal import (
    Leaving,
    find_leaving,
    plan_leaving,
    plan_removal_of,
    refuse_remains,
    remove_paths,
    remove_rules,
    unmount,
)
from bootstrap.shell import join

# What the snap's own hook can't be trusted with; the base snap and the group `microk8s` stay (docs/microk8s.md).
LEFTOVERS = (
    LAUNCH_CONFIG,
    FOLDER,
    DOWNLOADS,
    "/var/snap/microk8s",
    "/snap/microk8s",
    "/root/snap/microk8s",
    "/var/lib/calico",
    "/run/calico",
    "/run/flannel",
    "/var/log/calico",
    "/var/log/pods",
    "/var/log/containers",
    "/etc/sysctl.d/10-microk8s.conf",
    "/root/.kube/cache",
)
EMPTIED = ("/root/snap", "/root/.kube", "/var/lib/bootstrap/microk8s")
LINKS = ("vxlan.calico", "flannel.1", "cni0", "kube-ipvs0")


def plan_reset(plan_input: PlanInput) -> Plan:
    """Remove MicroK8s from every host that can be reached: workers first, controllers after."""
    return plan_removal_of("MicroK8s", plan_input, uninstall_steps)


def has_traces(facts: HostFacts) -> bool:
    """Whether anything of MicroK8s or of ours lies on the host."""
    return bool(is_installed(facts) or "microk8s" in facts.distributions or facts.record or facts.files)


def uninstall_steps(plan_input: PlanInput, host: Host) -> Iterator[Step]:
    """snapd's own removal, then what it leaves. `microk8s reset` would take minutes, and keep most of it."""
    facts = plan_input.facts[host.name]
    if not has_traces(facts):
        return
    if is_installed(facts):
        reason = "its pods, its data and its certificates go, and no snapshot of them is kept"
        yield _step(host.name, "remove the snap (snap remove --purge)", reason, scripts.purge(), 480.0)
    title, reason = "remove files and what MicroK8s leaves", "the host shall be as it was before"
    yield _step(host.name, title, reason, uninstall_script(plan_input, host), 180.0)


def _step(name: str, title: str, reason: str, script: str, deadline: float, on: str = "") -> Step:
    return Step(name, title, reason, Run(script, deadline=deadline), on=on, disruption=Disruption.REMOVE)


def uninstall_script(plan_input: PlanInput, host: Host) -> str:
    """Everything of MicroK8s and of ours."""
    ours = [a.path for a in plan_input.artifacts if a.host == host.name]
    removed = list(dict.fromkeys([*LEFTOVERS, *ours, STATE_FOLDER]))
    return f"""
set -u
for link in {join(LINKS)} $(ip -o link show 2>/dev/null | awk -F': ' '$2 ~ /^cali/ {{ sub(/@.*/, "", $2); print $2 }}'); do
  ip link delete "$link" 2>/dev/null || true
done
{unmount("/var/snap/microk8s/*|/run/netns/cni-*")}
{remove_rules("KUBE-|CNI-|cali-")}
{remove_paths(removed)}
for path in {join(EMPTIED)}; do rmdir "$path" 2>/dev/null || true; done
{refuse_remains(removed)}
"""


def plan_remove(plan_input: PlanInput, name: str) -> Plan:
    """Drain, leave, forget, uninstall: a node that can be reached leaves by itself, so that its votes move first."""
    cluster = Cluster(plan_input)
    leaving = find_leaving(cluster, name)
    return plan_leaving(cluster, leaving, _remove_steps(cluster, leaving))


def _remove_steps(cluster: Cluster, leaving: Leaving) -> Iterator[Step]:
    name, host, asked = leaving.name, leaving.host, leaving.asked
    kubectl = cluster.kubectl()
    if leaving.can_be_drained(cluster):
        reason = "its pods shall go elsewhere first"
        yield _step(name, "drain the node", reason, drain_node(kubectl, name), 330.0, asked.name)
    is_seen = leaving.is_seen(cluster)
    if is_seen and host is not None and is_installed(cluster.facts(host)) and cluster.is_member(host):
        reason = "dqlite moves its votes, and its services stop"
        yield _step(name, "leave the cluster (microk8s leave)", reason, scripts.leave(), 450.0)
    subject = host or Host(name, asked.connection)
    addresses = cluster.known_addresses(subject) if host is None or host.role.controls else ()
    script = scripts.forget(name, addresses if host is not None else (), kubectl)
    yield _step(name, "take it out of dqlite and Kubernetes (remove-node)", "it is to leave", script, 600.0, asked.name)
    if is_seen and host is not None:
        yield from uninstall_steps(cluster.plan_input, host)
