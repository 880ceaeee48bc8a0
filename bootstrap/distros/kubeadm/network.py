"""The pod network of a kubeadm cluster, brought through its API from locked files. Pure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bootstrap.distros.kubeadm import scripts
from bootstrap.distros.kubeadm.documents import network_of
from bootstrap.distros.kubeadm.layout import NETWORK_FILES, effective
from bootstrap.distros.kubeadm.upstream import network_parts, part_version
from bootstrap.model import Disruption, Step
from bootstrap.plan import fetch_step

if TYPE_CHECKING:
    from bootstrap.distros.kubeadm.host_plan import HostPlan


def network_steps(plan: "HostPlan") -> Iterator[Step]:
    """Fetch and apply on the founder; none for `bridge` (files on hosts) and `none`."""
    inventory, reason = plan.plan_input.inventory, plan.network_reason
    if not reason:
        return
    for name in network_parts(inventory):
        file = plan.locked(name, part_version(inventory, name))
        step = fetch_step(plan.facts, file, NETWORK_FILES[name], "0644", Disruption.NONE)
        if step:
            yield step
    script = network_script(plan)
    if script:
        title = f"bring the pod network ({effective(plan.host, 'cni')})"
        yield plan.run(title, reason, script, deadline=300.0)


def network_script(plan: "HostPlan") -> str:
    """What brings the network; empty when nothing has to be asked of the API."""
    inventory = plan.plan_input.inventory
    pods = network_of(inventory)[0]
    match effective(plan.host, "cni"):
        case "flannel":
            return scripts.flannel(plan.kubectl, NETWORK_FILES["flannel"], pods[0])
        case "calico":
            return scripts.calico(plan.kubectl, NETWORK_FILES["calico"])
        case "cilium":
            version = part_version(inventory, "cilium")
            return scripts.cilium(NETWORK_FILES["cilium-cli"], NETWORK_FILES["cilium"], version, pods)
        case _:
            return ""
