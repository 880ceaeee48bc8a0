"""Taking k0s away again: one host (remove) or all (reset), with everything that k0s leaves behind. Pure."""

from collections.abc import Iterator

from bootstrap.distros.k0s import scripts
from bootstrap.distros.k0s.cluster import Cluster
from bootstrap.distros.k0s.layout import BINARY, FOLDER, data_folder, environment_path, kubelet_folder
from bootstrap.distros.k0s.probes import SERVICES, kubectl_on
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
)
from bootstrap.shell import join

# `k0s reset` leaves these, and its own last line advises a reboot for the rest (k0sctl#892).
LEFTOVERS = (
    FOLDER,
    BINARY,
    "/run/k0s",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",  # the kubelet's, wherever its root is
    "/var/lib/calico",
    "/run/calico",
    "/etc/cni/net.d/10-kuberouter.conflist",
    "/etc/cni/net.d/10-calico.conflist",
    "/etc/cni/net.d/calico-kubeconfig",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/k0s.log",
    "/var/log/k0s.err",
    "/root/.kube/cache",
    "/usr/local/lib/bootstrap",
    *(f"/etc/systemd/system/{name}.service.d" for name in SERVICES),
    *(f"/etc/systemd/system/multi-user.target.wants/{name}.service" for name in SERVICES),
    *(f"/etc/conf.d/{name}" for name in SERVICES),
)
# Made by k0s and the network, gone with them when nothing else is in them.
EMPTIED = (
    "/usr/libexec/k0s/kubelet-plugins/volume/exec",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/etc/cni/net.d",
    "/opt/cni/bin",
    "/opt/containerd/bin",
    "/opt/containerd/lib",
    "/var/lib/kubelet",
    "/root/.kube",
)
LINKS = ("kube-bridge", "cni0", "vxlan.calico", "kube-ipvs0", "dummyvip0", "kube-dummy-if")


def plan_reset(plan_input: PlanInput) -> Plan:
    """Remove k0s from every host that can be reached: workers first, controllers after."""
    return plan_removal_of("k0s", plan_input, uninstall_steps)


def has_traces(facts: HostFacts) -> bool:
    """Whether anything of k0s or of ours lies on the host."""
    return bool("k0s" in facts.distributions or facts.record or facts.files or facts.values.get("traces"))


def uninstall_steps(plan_input: PlanInput, host: Host) -> Iterator[Step]:
    """Stop, k0s' own reset, then what it leaves."""
    facts = plan_input.facts[host.name]
    if not has_traces(facts):
        return
    if any(unit.load == "loaded" or unit.is_running for unit in facts.units.values()):
        yield _step(host, "stop k0s", "`k0s reset` refuses while it runs", scripts.stop(host), 300.0)
    reason = "the host shall be as it was before"
    title = "remove k0s (k0s reset), its data, and what it leaves"
    yield _step(host, title, reason, uninstall_script(plan_input, host), 420.0)


def _step(host: Host, title: str, reason: str, script: str, deadline: float, on: str = "") -> Step:
    return Step(host.name, title, reason, Run(script, deadline=deadline), on=on, disruption=Disruption.REMOVE)


def uninstall_script(plan_input: PlanInput, host: Host) -> str:
    """Everything of k0s and of ours."""
    ours = [a.path for a in plan_input.artifacts if a.host == host.name]
    init = plan_input.facts[host.name].init
    removed = list(
        dict.fromkeys(
            [*LEFTOVERS, environment_path(host, init), data_folder(host), kubelet_folder(host), *ours, STATE_FOLDER]
        )
    )
    return f"""
set -u
{scripts.end_children(host)}{scripts.reset_data(host)}
for link in {join(LINKS)}; do ip link delete "$link" 2>/dev/null || true; done
for table in "ip kube-proxy" "ip6 kube-proxy"; do nft delete table $table 2>/dev/null || true; done
{remove_rules("KUBE-|CNI-")}
{remove_paths(removed)}
for path in {join(EMPTIED)}; do rmdir -p "$path" 2>/dev/null || true; done
[ ! -d /run/systemd/system ] || systemctl daemon-reload
{refuse_remains(removed)}
"""


def plan_remove(plan_input: PlanInput, name: str) -> Plan:
    """Drain, leave etcd, stop, forget, uninstall: the member goes while it still votes, for of two both must."""
    cluster = Cluster(plan_input)
    leaving = find_leaving(cluster, name)
    return plan_leaving(cluster, leaving, _remove_steps(cluster, leaving))


def _remove_steps(cluster: Cluster, leaving: Leaving) -> Iterator[Step]:
    name, host, asked = leaving.name, leaving.host, leaving.asked
    subject = host or Host(name, asked.connection)
    if leaving.can_be_drained(cluster):
        reason = "its pods shall go elsewhere first"
        yield _step(subject, "drain the node", reason, drain_node(kubectl_on(asked), name), 390.0, asked.name)
    member, address = _find_member(cluster, leaving)
    if member:
        reason = "etcd counts it for its majority until then"
        yield _step(
            subject, "take its member out of etcd", reason, scripts.leave_etcd(asked, address), 120.0, asked.name
        )
    reachable = host is not None and leaving.is_seen(cluster)
    if host is not None and reachable:
        yield _step(host, "stop k0s", "a running one would register again", scripts.stop(host), 300.0)
    script = scripts.forget_node(asked, list(dict.fromkeys((name, member or name))))
    yield _step(subject, "delete its node and what controllers know of it", "it is to leave", script, 420.0, asked.name)
    if host is not None and reachable:
        yield from (step for step in uninstall_steps(cluster.plan_input, host) if step.title != "stop k0s")


def _find_member(cluster: Cluster, leaving: Leaving) -> tuple[str, str]:
    """etcd's own name of the host's member and its address, both empty when it is none."""
    wanted = cluster.address(leaving.host) if leaving.host is not None and leaving.host.role.controls else ""
    found = (pair for pair in cluster.etcd_members.items() if pair[1] == wanted or pair[0] == leaving.name)
    return next(found, ("", ""))
