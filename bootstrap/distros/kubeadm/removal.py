"""Taking kubeadm's Kubernetes away again: one host (remove) or all (reset), with everything that kubeadm leaves behind. Pure."""

from collections.abc import Iterator

from bootstrap.distros.kubeadm import scripts
from bootstrap.distros.kubeadm.cluster import Cluster
from bootstrap.distros.kubeadm.host_state import CONFIG_BEFORE, WAS_DISABLED
from bootstrap.distros.kubeadm.layout import (
    BINARIES,
    CONTAINERD_CONFIG,
    CONTAINERD_UNIT,
    KUBELET_UNIT,
    RUNTIME_FILES,
    SERVICE,
    SWAP_WAS_ON,
    effective,
)
from bootstrap.distros.kubeadm.packages import remove
from bootstrap.distros.kubeadm.probes import etcd_folder, kubectl_on
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

# `kubeadm reset` leaves these (kubernetes/kubeadm#1822 and its own last lines); what others put into /etc/cni stays.
LEFTOVERS = (
    "/etc/kubernetes",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/etc/cni/net.d/10-flannel.conflist",
    "/etc/cni/net.d/10-calico.conflist",
    "/etc/cni/net.d/calico-kubeconfig",
    "/etc/cni/net.d/05-cilium.conflist",
    "/run/flannel",
    "/run/calico",
    "/var/lib/calico",
    "/var/log/pods",
    "/var/log/containers",
    "/var/log/calico",
    "/root/.kube/cache",
    "/usr/local/lib/bootstrap",
)
RELEASED = (
    "/usr/local/bin/containerd",
    "/usr/local/bin/containerd-shim-runc-v2",
    "/usr/local/bin/containerd-stress",
    "/usr/local/bin/ctr",
    "/usr/local/bin/crictl",
    "/opt/cni/bin",
    "/opt/containerd",
    "/var/lib/containerd",
    "/run/containerd",
    CONTAINERD_UNIT,
)
# Made by the kubelet and the network, gone with them when nothing else is in them.
EMPTIED = (
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/etc/cni/net.d",
    "/etc/systemd/system/kubelet.service.d",
    "/etc/containerd/certs.d",
    "/opt/cni",
    "/opt/containerd/bin",
    "/opt/containerd/lib",
    "/root/.kube",
)
LINKS = ("cni0", "flannel.1", "vxlan.calico", "kube-ipvs0", "cilium_host", "cilium_vxlan")


def plan_reset(plan_input: PlanInput) -> Plan:
    """Remove Kubernetes from every host that can be reached: workers first, controllers after."""
    return plan_removal_of("Kubernetes", plan_input, uninstall_steps)


def has_traces(facts: HostFacts) -> bool:
    """Whether anything of Kubernetes or of ours lies on the host; containerd's own configuration alone is neither."""
    ours = [
        path
        for path, file in facts.files.items()
        if "by bootstrap" in (file.content or "") or path in BINARIES.values()
    ]
    return bool("kubeadm" in facts.distributions or facts.record or ours or facts.values.get("traces"))


def uninstall_steps(plan_input: PlanInput, host: Host) -> Iterator[Step]:
    """kubeadm's own reset, then what it leaves."""
    facts = plan_input.facts[host.name]
    if not has_traces(facts):
        return
    if facts.values.get("traces") or any(unit.is_running for unit in facts.units.values()):
        script = scripts.reset()
        reason = "its pods, its etcd data and its certificates go"
        yield Step(
            host.name,
            "undo kubeadm's work (kubeadm reset)",
            reason,
            Run(script, deadline=300.0),
            disruption=Disruption.REMOVE,
        )
    yield Step(
        host.name,
        "remove programs, files and what kubeadm leaves",
        "the host shall be as it was before",
        Run(uninstall_script(plan_input, host), deadline=300.0),
        disruption=Disruption.REMOVE,
    )


def uninstall_script(plan_input: PlanInput, host: Host) -> str:
    """Everything of Kubernetes and of ours; the packaged runtime gets its own configuration back."""
    inventory = plan_input.inventory
    ours = [a.path for a in plan_input.artifacts if a.host == host.name]
    released = effective(host, "runtime") == "release"
    runtime = [*RELEASED, *RUNTIME_FILES.values()] if released else []
    repository = inventory.native.get("repository") or {}
    packages = remove(str(repository.get("url") or ""))
    removed = [*LEFTOVERS, *BINARIES.values(), etcd_folder(host), *runtime, *ours, STATE_FOLDER]
    return f"""
set -u
systemctl disable --now --quiet {SERVICE} bootstrap-routes 2>/dev/null || true
[ ! -x /usr/local/lib/bootstrap/kubeadm-routes.sh ] || /usr/local/lib/bootstrap/kubeadm-routes.sh remove || true
pods=$(ctr --namespace k8s.io tasks list -q 2>/dev/null || true)
for pod in $pods; do ctr --namespace k8s.io tasks kill -s KILL "$pod" 2>/dev/null || true; done
if [ -S /run/containerd/containerd.sock ]; then
  ctr --namespace k8s.io containers list -q | xargs -r ctr --namespace k8s.io containers delete 2>/dev/null || true
  ctr --namespace k8s.io images list -q | xargs -r ctr --namespace k8s.io images remove --sync >/dev/null 2>&1 || true
fi
{_stop_runtime(released=released)}
[ ! -e {SWAP_WAS_ON} ] || {{ systemctl unmask --quiet swap.target; swapon -a || true; }}
for link in {join(LINKS)}; do ip link delete "$link" 2>/dev/null || true; done
for table in "ip kube-proxy" "ip6 kube-proxy"; do nft delete table $table 2>/dev/null || true; done
{remove_rules("KUBE-|CNI-|FLANNEL", also="bootstrap-routes")}
{unmount("/var/lib/kubelet/*|/run/netns/cni-*|/run/containerd/io.containerd.*")}
{packages}rm -f {KUBELET_UNIT} /etc/systemd/system/multi-user.target.wants/{SERVICE}.service /etc/systemd/system/multi-user.target.wants/bootstrap-routes.service
{remove_paths(removed)}
systemctl daemon-reload
systemctl reset-failed {SERVICE} bootstrap-routes 2>/dev/null || true
for path in {join(EMPTIED)}; do rmdir -p "$path" 2>/dev/null || true; done
{refuse_remains(removed)}
[ ! -e {CONFIG_BEFORE} ] || mv {CONFIG_BEFORE} {CONTAINERD_CONFIG}
"""


def _stop_runtime(*, released: bool) -> str:
    if released:
        return "systemctl disable --now --quiet containerd 2>/dev/null || true"
    return f"[ ! -e {WAS_DISABLED} ] || systemctl disable --now --quiet containerd 2>/dev/null || true"


def plan_remove(plan_input: PlanInput, name: str) -> Plan:
    """Drain, forget, stop, uninstall: the etcd member goes while its quorum holds, the Node with it."""
    cluster = Cluster(plan_input)
    leaving = find_leaving(cluster, name)
    return plan_leaving(cluster, leaving, _remove_steps(cluster, leaving))


def _remove_steps(cluster: Cluster, leaving: Leaving) -> Iterator[Step]:
    name, host, asked = leaving.name, leaving.host, leaving.asked
    kubectl = kubectl_on(asked)

    def asked_step(title: str, reason: str, script: str, deadline: float) -> Step:
        return Step(name, title, reason, Run(script, deadline=deadline), on=asked.name, disruption=Disruption.REMOVE)

    if leaving.can_be_drained(cluster):
        yield asked_step("drain the node", "its pods shall go elsewhere first", drain_node(kubectl, name), 330.0)
    reachable = leaving.is_seen(cluster)
    if reachable:
        stop = Run(scripts.stop(), deadline=120.0)
        yield Step(name, f"stop {SERVICE}", "a running one would register again", stop, disruption=Disruption.REMOVE)
    member = next((m for m in cluster.etcd_members if m.name == name), None)
    address = member.peer.partition("://")[2].rpartition(":")[0] if member else "none"
    script = scripts.forget_node(kubectl, asked.name, name, address, stacked=member is not None)
    yield asked_step(
        "delete its etcd membership and its node" if member else "delete the node", "it is to leave", script, 180.0
    )
    if host is not None and reachable:
        yield from uninstall_steps(cluster.plan_input, host)
