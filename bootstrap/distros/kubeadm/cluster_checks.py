"""Whether a host fits the cluster that it shall be part of: whose it is, what it runs, and what holds the endpoint. Pure."""

from collections.abc import Iterator

from bootstrap.distros.kubeadm.cluster import Cluster
from bootstrap.distros.kubeadm.layout import effective
from bootstrap.distros.kubeadm.probes import API_MANIFEST, CA, KUBELET_CONF, UNFINISHED, etcd_folder
from bootstrap.distros.kubeadm.versions import GRAMMAR, parse_version
from bootstrap.driver import PlanInput
from bootstrap.facts import has_trace, live_nodes
from bootstrap.model import Finding, Host
from bootstrap.preflight import TAKEN_OVER


def check_cluster(plan_input: PlanInput) -> Iterator[Finding]:
    """Findings that one host alone does not tell."""
    yield from _check_membership(plan_input)
    yield from _check_kubelets(plan_input)
    yield from _check_endpoint(plan_input)
    yield from _check_virtual_ip(plan_input)
    yield from _check_images(plan_input)


def _check_membership(plan_input: PlanInput) -> Iterator[Finding]:
    """A node of a cluster that this inventory does not know is nobody's leftover: an apply would reset it."""
    cluster = Cluster(plan_input)
    for host in (*cluster.controllers, *cluster.workers):
        facts = cluster.facts(host)
        if facts.record or has_trace(facts, UNFINISHED) or not any(has_trace(facts, each) for each in _proofs(host)):
            continue
        if host in cluster.unproven:  # founding is refused for it, with words of its own
            continue
        problem = _find_stranger(cluster, host)
        if problem:
            hint = "correct the address; or, if that cluster can do without it, drain it there and `kubeadm reset` here"
            yield Finding(host.name, problem, hint)
        else:
            yield Finding(host.name, TAKEN_OVER.format("kubeadm"), stops=False)


def _find_stranger(cluster: Cluster, host: Host) -> str:
    """Why a node is not one of this cluster; empty when it is, or when nothing speaks against it."""
    authorities = {cluster.facts(member).values.get("ca") for member in cluster.members}
    facts = cluster.facts(host)
    if not authorities:
        trace = next(each for each in _proofs(host) if has_trace(facts, each))
        return f"it is a node of a cluster already ({trace}), and no controller of this inventory holds one"
    if host not in cluster.members and facts.values.get("ca") and facts.values["ca"] not in authorities:
        return f"it is a node of another cluster: its {CA} is not the one of {cluster.members[0].name}"
    return ""


def _proofs(host: Host) -> tuple[str, ...]:
    return (KUBELET_CONF, API_MANIFEST, f"{etcd_folder(host)}/member")


def _check_kubelets(plan_input: PlanInput) -> Iterator[Finding]:
    """A kubelet may be older than the API, and never newer (kubernetes.io/releases/version-skew-policy)."""
    version = plan_input.inventory.version
    if not GRAMMAR.fullmatch(version):
        return
    for name, node in (live_nodes(plan_input.facts) or {}).items():
        runs = str((node.get("status", {}).get("nodeInfo") or {}).get("kubeletVersion") or "")
        labels = node["metadata"].get("labels") or {}
        if "node-role.kubernetes.io/control-plane" in labels or not GRAMMAR.fullmatch(runs):
            continue  # of a control plane that shall go down, the plan tells
        if parse_version(runs).series > parse_version(version).series:
            message = f"its kubelet is {runs}, newer than {version}: an API must not be older than its kubelets"
            hint = f"`version: {runs}` in the inventory, one minor at a time; or `bootstrap remove {name}`, then apply"
            yield Finding(name, message, hint)


def _check_endpoint(plan_input: PlanInput) -> Iterator[Finding]:
    """Without an endpoint all nodes reach the API through the first controller alone."""
    controllers = plan_input.inventory.controllers
    if len(controllers) > 1 and plan_input.inventory.endpoint is None:
        message = "there is no `endpoint`: workers reach the API through this controller alone, also while it is down"
        hint = "give a virtual IP, or a name that stands for all controllers; it can't be added later"
        yield Finding(controllers[0].name, message, hint, stops=False)


def _check_virtual_ip(plan_input: PlanInput) -> Iterator[Finding]:
    """kube-vip gives it to one controller at a time; on any other machine it answers for nobody."""
    endpoint, vip = plan_input.inventory.endpoint, plan_input.inventory.native.get("vip")
    if endpoint is None or not vip:
        return
    name = str(vip.get("interface") or "")
    for host in plan_input.inventory.hosts:
        facts = plan_input.facts.get(host.name)
        if facts is None or not facts.interfaces:  # a host without the `ip` command tells none
            continue
        holding = [each.name for each in facts.interfaces if endpoint.host in each.addresses]
        serves = host.role.controls and (has_trace(facts, API_MANIFEST) or has_trace(facts, UNFINISHED))
        if holding and not serves:
            message = f"it has the virtual IP {endpoint.host} already ({holding[0]}), and serves no API"
            hint = f"`ip address del {endpoint.host} dev {holding[0]}` there, or take a free address as `endpoint`"
            yield Finding(host.name, message, hint)
        if host.role.controls and "${" not in name and name not in [each.name for each in facts.interfaces]:
            message = f"it has no interface {name} with an address, and kube-vip shall put {endpoint.host} there"
            hint = f"it has {', '.join(each.name for each in facts.interfaces)}: correct `kubeadm.vip.interface`"
            yield Finding(host.name, message, hint)


def _check_images(plan_input: PlanInput) -> Iterator[Finding]:
    """A mirror is mostly there because hosts can't reach upstream; its image archive is optional all the same."""
    inventory = plan_input.inventory
    own_registry = (inventory.native.get("cluster") or {}).get("imageRepository")
    for host in inventory.hosts:
        facts = plan_input.facts.get(host.name)
        if not inventory.mirror or own_registry or facts is None or has_trace(facts, KUBELET_CONF):
            continue
        if effective(host, "registries") or plan_input.lock.find("kubernetes-images", inventory.version, facts.arch):
            continue
        message = f"artifacts.lock has no kubernetes-images for {facts.arch}: the host will pull from registry.k8s.io"
        hint = f"without internet: lay kubernetes-images-{facts.arch}.tar into the mirror's {inventory.version}, `bootstrap lock`"
        yield Finding(host.name, message, hint, stops=False)
