"""The steps that one host of a kubeadm cluster needs, stage by stage. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.distros.kubeadm import scripts, waits
from bootstrap.distros.kubeadm.host_state import HostState
from bootstrap.distros.kubeadm.layout import JOIN, SERVICE, effective
from bootstrap.distros.kubeadm.probes import kubectl_on
from bootstrap.distros.kubeadm.versions import parse_version
from bootstrap.facts import bracket
from bootstrap.model import Disruption, Put, Run, Step
from bootstrap.plan import drain_node, uncordon_node

IN_FORCE = "note what is in force here"


@dataclass(frozen=True)
class HostPlan(HostState):
    """The steps of one host, each list empty when there is nothing to do."""

    def prepare(self) -> list[Step]:
        """Hosts that are not in yet are made ready all at once; members are changed in their turn."""
        if self.is_member:
            return [*self.hooks("before-prepare", "after-prepare")]
        undo = [self.reset_step()] if self.needs_reset else []
        return [*self.hooks("before-prepare"), *undo, *self.install_steps, *self.hooks("after-prepare")]

    # --- found and join ----------------------------------------------------------------------

    def found(self) -> list[Step]:
        check = self.run("validate kubeadm.yaml", "kubeadm reads it strictly", scripts.validate())
        init = self.run("found the cluster (kubeadm init)", "no controller holds one", scripts.init(), deadline=600.0)
        return [
            *self.hooks("before-founder"),
            check,
            init,
            self.step(
                "wait until the API is ready", "the network is set up through it", waits.wait_for_api(self.kubectl)
            ),
            *self.bring_network(),
            *self._wait_steps(),
            *self.mark_steps(),
            self.record_started(IN_FORCE),
            *self.hooks("after-founder"),
        ]

    def mint(self, joiners: list["HostPlan"]) -> list[Step]:
        """What joiners need from a live controller; nothing when nobody joins."""
        if not joiners:
            return []
        controllers = any(each.host.role.controls for each in joiners)
        own_pki = bool(self.plan_input.inventory.native.get("pki"))
        script = scripts.mint(for_controllers=controllers and not own_pki)
        names = ", ".join(each.host.name for each in joiners)
        mint = Run(script, deadline=120.0, save_as=scripts.JOIN_SECRETS)
        found = waits.wait_for_discovery(self.kubectl)
        return [
            *self._endpoint_steps(),
            self.step("make a join token that lives two hours", f"{names} shall join with it", mint),
            self.step("wait until joiners can find the cluster", "kubeadm looks only every 5 s", found),
        ]

    def _endpoint_steps(self) -> Iterator[Step]:
        endpoint = self.plan_input.inventory.endpoint
        if endpoint:
            wait = waits.wait_for_endpoint(f"{bracket(endpoint.host)}:{endpoint.port}")
            yield self.step("wait until the API answers at the endpoint", "whoever joins asks there", wait)

    def join(self) -> list[Step]:
        return [
            *self.hooks("before-join"),
            *self._forget_steps(),
            *self._join_steps(),
            *self.late_files,
            *self._wait_steps(),
            *self.mark_steps(),
            self.record_started(IN_FORCE),
            *self.hooks("after-join"),
        ]

    def _join_steps(self) -> Iterator[Step]:
        file = self.join_file
        assert file is not None  # noqa: S101 - the driver renders one for every host
        reason = "it is deleted as soon as the host has joined, or failed to"
        yield self.step(f"write {JOIN}", reason, Put(JOIN, file.content, file.mode, file.owner))
        kind = "controller" if self.host.role.controls else "worker"
        title = f"join as a {kind} (kubeadm join)"
        yield self.run(title, "it is not in the cluster", scripts.join_cluster(), deadline=600.0)

    def _forget_steps(self) -> Iterator[Step]:
        """Its stale Node, and the etcd member of a controller: with either in place kubeadm refuses the join."""
        if self.cluster.is_new:
            return
        address = self.cluster.address(self.host)
        member = any(m.name == self.host.name or f"://{address}:" in m.peer for m in self.cluster.etcd_members)
        if self.cluster.nodes is not None and not self.cluster.node(self.host) and not member:
            return
        reason = (
            "the host is new, but the cluster still knows one of this name"
            if self.cluster.nodes is not None
            else "the API did not answer, so it may know one of this name"
        )
        stacked = self.host.role.controls and not self.cluster.is_external
        asked = self.cluster.founder.name
        script = scripts.forget_node(self.kubectl, asked, self.host.name, address, stacked=stacked)
        what = "its stale node and etcd member" if stacked else "its stale node"
        yield self.run(f"take away {what}", reason, script, on=asked)

    # --- change ------------------------------------------------------------------------------

    def rise(self) -> list[Step]:
        """etcd answers only when a majority runs, so members that are down are started together before one is waited for."""
        return [*self.install_steps, self._start_step()]

    def _start_step(self) -> Step:
        return self.run(f"start {SERVICE}", self.start_reason, scripts.start("start"))

    def settle(self) -> list[Step]:
        """What comes after `rise`; a kubelet that was down has read its files, but settings of the cluster may differ."""
        return [*self._wait_steps(), *self.late_files, *self._changes([]), *self.mark_steps(), *self.late_hooks()]

    def update(self) -> list[Step]:
        """Change a member: files first, then what reads them, waited for."""
        first = [self._start_step()] if self.is_down else []
        return [*self.install_steps, *self.late_files, *self._changes(first), *self.mark_steps(), *self.late_hooks()]

    def _changes(self, first: list[Step]) -> Iterator[Step]:
        changes = [*first, *self._upgrade_steps(), *self._control_plane_steps(), *self._kubelet_steps()]
        if changes:
            yield from changes
            yield from self._wait_steps()
            yield self.record_started(IN_FORCE)

    def _upgrade_steps(self) -> Iterator[Step]:
        if not self.upgrade_reason:
            return
        leads = self.host == self.cluster.founder
        drains = self._is_other_minor() and len(self.cluster.nodes or {}) > 1
        asked = self.cluster.founder.name
        if drains:
            drain = drain_node(self.kubectl, self.host.name)
            yield self.run("drain the node", "its kubelet goes to another minor", drain, deadline=330.0, on=asked)
        ignored = effective(self.host, "node").get("ignorePreflightErrors") or ()
        script = scripts.upgrade(self.version, leads=leads, patched=self.has_patches, ignored=ignored)
        title = f"go to {self.version} (kubeadm upgrade {'apply' if leads else 'node'})"
        yield self.run(title, self.upgrade_reason, script, Disruption.RESTART, deadline=900.0)
        yield self.run(f"restart {SERVICE}", "its program changed", scripts.reload(), Disruption.RESTART)
        if drains:
            uncordon = uncordon_node(self.kubectl, self.host.name)
            yield self.run("let the node take pods again", "it was drained", uncordon, on=asked)

    def _is_other_minor(self) -> bool:
        node = self.cluster.node(self.host) or {}
        runs = str((node.get("status", {}).get("nodeInfo") or {}).get("kubeletVersion") or self.version)
        return parse_version(runs).series != parse_version(self.version).series

    def _control_plane_steps(self) -> Iterator[Step]:
        if self.control_plane_reason:
            script = scripts.change_control_plane(external=self.cluster.is_external)
            title = "put the control plane's settings in force"
            yield self.run(title, self.control_plane_reason, script, Disruption.RESTART, deadline=300.0)
            wait = waits.wait_for_api(self.kubectl_here)
            yield self.step("wait until the API is ready", "its pods are started anew", wait)

    def _kubelet_steps(self) -> Iterator[Step]:
        if self.kubelet_reason:
            script = scripts.renew_kubelet(patched=self.has_patches)
            yield self.run("put the kubelet's settings in force", self.kubelet_reason, script, Disruption.RESTART)
        elif self.start_reason.startswith("its Node"):
            yield self.run(f"restart {SERVICE}", self.start_reason, scripts.start("restart"), Disruption.RESTART)

    # --- the pod network ---------------------------------------------------------------------

    def bring_network(self) -> list[Step]:
        """The CNI by its manifest from the lock; `bridge` needs files on hosts only, `none` comes from elsewhere."""
        from bootstrap.distros.kubeadm.network import network_steps

        return list(network_steps(self))

    @property
    def network_reason(self) -> str:
        if self.cluster.is_new:
            return "pods need a network"
        changed = self.applied.get("network") != self.wanted.get("network")
        return "it is not on record that this network is in force" if changed else ""

    # --- waits -------------------------------------------------------------------------------

    @property
    def kubectl_here(self) -> tuple[str, ...]:
        return kubectl_on(self.host)

    def _wait_steps(self) -> Iterator[Step]:
        networked = self.cluster.networked
        if self.host.role.controls:
            wait = waits.wait_for_controller(
                self.kubectl_here, self.host.name, self.version, networked=networked, voter=not self.cluster.is_external
            )
            yield self.step(
                "wait until the control plane and the node are ready", "the API decides, not an exit code", wait
            )
            return
        yield self.step(f"wait until {SERVICE} is up", "a joined host proves little", waits.wait_for_kubelet())
        wait = waits.wait_for_node(self.kubectl, self.host.name, self.version, networked=networked)
        title = "wait until the node is ready" if networked else "wait until the node is there"
        yield self.step(title, "the API decides", wait, on=self.cluster.founder.name)
