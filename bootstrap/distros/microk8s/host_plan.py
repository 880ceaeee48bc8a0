"""The steps that one host of a MicroK8s cluster needs, stage by stage. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.control_plane import is_running
from bootstrap.distros.microk8s import scripts, waits
from bootstrap.distros.microk8s.addons import Chosen, split_name
from bootstrap.distros.microk8s.host_state import ADDON, HostState
from bootstrap.distros.microk8s.layout import FRAGMENTS, PKI, READERS, is_ha
from bootstrap.distros.microk8s.scripts import arguments_input
from bootstrap.facts import RECORD_PATH, format_record, has_trace
from bootstrap.model import Disruption, Put, Record, Run, Step
from bootstrap.plan import drain_node, fetch_step, put_steps, uncordon_node
from bootstrap.shell import quote

VOTERS = 3  # dqlite has so many of any number of members
IN_FORCE = "note what is in force here"
TOKEN = "join_token"  # noqa: S105 - the name under which the run keeps it


@dataclass(frozen=True)
class HostPlan(HostState):
    """The steps of one host, each list empty when there is nothing to do."""

    def prepare(self) -> list[Step]:
        """Hosts that are not in yet get the snap all at once: each is a node of its own then."""
        if self.is_member:
            return self.hooks("before-prepare", "after-prepare")
        return [*self.hooks("before-prepare"), *self._install_steps(), *self.hooks("after-prepare")]

    def _install_steps(self) -> Iterator[Step]:
        yield from self._begin_steps()
        yield from put_steps(self.plan_input, self.early_files)
        if not self.is_installed or self.needs_purge:
            yield from self._bring_steps()
            yield self._snap_step()
        else:
            if not is_running(self.facts, self.cluster.service):
                yield self.run("start MicroK8s", "its services do not run", scripts.start(), deadline=300.0)
            if self.hold_reason:
                yield self._hold_step()
        if self.needs_purge or not has_trace(self.facts, "launched"):
            reason = "snap ends well before its agent has read it, and a failure there is in a journal alone"
            yield self.step("wait until the launch configuration is applied", reason, waits.wait_for_launch())
        wait = waits.wait_for_own_node(self.host, self.minor)
        yield self.step("wait until the node of its own is ready", "only a node that is whole can join", wait)

    def _begin_steps(self) -> Iterator[Step]:
        """The record is begun first: what follows is ours to undo, should it not end well."""
        begun = Record(self.plan_input.inventory.cluster)
        if self.needs_purge or self.facts.record != begun:
            reason = "what follows may be undone by the next run, if it does not end well"
            yield self.step("begin the record of this host", reason, Put(RECORD_PATH, format_record(begun), "0600"))
        if self.needs_purge:
            title = "remove what is left of an earlier membership (snap remove --purge)"
            yield self.run(title, self.purge_reason, scripts.purge(), Disruption.REMOVE, deadline=480.0)

    @property
    def purge_reason(self) -> str:
        if has_trace(self.facts, "joining"):
            return "a join did not end well here"
        if self.series_there != self.series:
            return "it is of another minor, and belongs to no cluster"
        return "it holds a membership that the cluster does not know"

    def _bring_steps(self) -> Iterator[Step]:
        for file, path in (*self.snap_files, *self.sideloads):
            step = fetch_step(self.facts, file, path, "0644", Disruption.NONE)
            if step:
                yield step

    def _snap_step(self) -> Step:
        if self.snap_files:
            script = scripts.install_files(is_strict=self.is_strict)
            return self.run("install the snap from its file", self._absent, script, deadline=1800.0)
        script = scripts.install(self.channel, self.revision, is_strict=self.is_strict)
        pin = f", revision {self.revision}" if self.revision else ""
        return self.run(f"install the snap from {self.channel}{pin}", self._absent, script, deadline=1800.0)

    @property
    def _absent(self) -> str:
        return "it is not there any more" if self.needs_purge else "it is not there"

    def _hold_step(self) -> Step:
        return self.run("hold refreshes of the snap", self.hold_reason, f"set -eu\n{scripts.hold()}")

    # --- found and join ----------------------------------------------------------------------

    def found(self) -> list[Step]:
        return [
            *self.hooks("before-founder"),
            *self._first_settings(),
            *self._new_arguments(),
            *self._registry_steps(),
            *self._own_wait("it founds the cluster"),
            *self._node_addon_steps(),
            *self.mark_steps(),
            self.record_started(IN_FORCE),
            *self.hooks("after-founder"),
        ]

    def _first_settings(self) -> Iterator[Step]:
        inventory = self.plan_input.inventory
        if inventory.native.get("pki"):
            reason = "the secrets hold the cluster's authority"
            title = f"take the authority in {PKI} (refresh-certs)"
            yield self.run(title, reason, scripts.take_authority(), Disruption.RESTART, deadline=360.0)
        if not is_ha(inventory) and (has_trace(self.facts, "ha") or not self.is_installed):
            reason = "the inventory says `ha: false`"
            title = "go from dqlite to etcd (disable ha-cluster)"
            yield self.run(title, reason, scripts.disable_ha(), Disruption.RESTART, deadline=660.0)

    def mint(self, joiners: Sequence["HostPlan"]) -> list[Step]:
        """A token for those who join next; nothing when nobody joins."""
        if not joiners:
            return []
        names = ", ".join(each.host.name for each in joiners)
        token = self.plan_input.inventory.token
        stdin = f"{token.text}\n" if token else None
        script = scripts.mint(self.cluster.address(self.host))
        mint = Run(script, stdin=stdin, deadline=90.0, save_as=(TOKEN,))
        return [self.step("make a join token that lives an hour (add-node)", f"{names} shall join with it", mint)]

    def join(self) -> list[Step]:
        return [
            *self.hooks("before-join"),
            *self._forget_steps(),
            self._join_step(),
            *self._new_arguments(),
            *self._join_waits(),
            *self._registry_steps(),
            *self._node_addon_steps(),
            *self.mark_steps(),
            self.record_started(IN_FORCE),
            *self.hooks("after-join"),
        ]

    def _join_step(self) -> Step:
        asked = self.cluster.address(self.cluster.founder)
        works_only = not self.host.role.controls
        script = scripts.join_cluster(asked, works_only=works_only)
        action = Run(script, stdin=f"${{saved:{TOKEN}}}\n", deadline=960.0)
        kind = "worker" if works_only else "controller"
        return self.step(f"join as a {kind} (microk8s join)", f"it is not in the cluster of {asked}", action)

    def _join_waits(self) -> Iterator[Step]:
        """A join that tells of success proves nothing: the host itself is looked at, then who was there before it."""
        yield from self._own_wait("a join that tells of success proves nothing")
        asked = self.cluster.founder.name
        if self.host.role.controls and is_ha(self.plan_input.inventory):
            title = "wait until the cluster counts it in: node ready, listed by dqlite"
            wait = waits.wait_for_member(self.host, self.minor, self.cluster.address(self.host), self._voters_then)
        else:
            title = "wait until the cluster counts it in: node ready"
            wait = waits.wait_for_node(self.host, self.minor)
        yield self.step(title, f"{asked} decides", wait, on=asked)

    @property
    def _voters_then(self) -> int:
        """How many voters dqlite has once this controller is in: of two members one votes, the third makes it three."""
        names = [host.name for host in self.cluster.controllers]
        before = names[: names.index(self.host.name) + 1]
        there = {self.cluster.founder.name, *before, *(host.name for host in self.cluster.members)}
        return VOTERS if len(there) >= VOTERS else 1

    def _own_wait(self, reason: str) -> Iterator[Step]:
        if self.host.role.controls:
            wait = waits.wait_for_controller(self.host, self.minor)
            yield self.step("wait until the control plane and the node are ready", reason, wait)
            return
        yield self.step("wait until its services run", reason, waits.wait_for_services(self.host))

    def _forget_steps(self) -> Iterator[Step]:
        """Its stale Node, and its entry in dqlite: with that in place the join is refused."""
        if self.cluster.is_new or (self.cluster.nodes is not None and not self.cluster.is_known(self.host)):
            return
        reason = (
            "the host is new, but the cluster still knows one of its name or address"
            if self.cluster.nodes is not None
            else "the API did not answer, so it may know one of its name or address"
        )
        yield self.forget_step(reason)

    def forget_step(self, reason: str) -> Step:
        addresses = self.cluster.known_addresses(self.host) if self.host.role.controls else ()
        script = scripts.forget(self.host.name, addresses, self.kubectl)
        title = "make the cluster forget it (remove-node --force)"
        return self.run(title, reason, script, Disruption.NONE, deadline=600.0, on=self.cluster.founder.name)

    def _new_arguments(self) -> Iterator[Step]:
        """A join takes kubelet's arguments from the node that it asked; after an install there may be nothing to do."""
        lines = dict(self.fragments)
        if not self.is_founder and self.foreign_arguments:
            lines["kubelet"] = [*lines.get("kubelet", []), *(f"~{name}" for name in self.foreign_arguments)]
        if not lines:
            return
        reason = (
            "the launch configuration has set them, which is looked at"
            if self.is_founder
            else "a join takes kubelet's arguments from another node"
        )
        action = Run(scripts.put_arguments(), stdin=arguments_input(lines), deadline=600.0)
        yield self.step("see that its arguments stand in their files", reason, action)

    def _registry_steps(self) -> Iterator[Step]:
        """containerd reads these at each pull."""
        yield from put_steps(self.plan_input, self.registry_files)
        for path in self.stale_registries:
            reason = "the inventory has this registry no more"
            folder = path.rpartition("/")[0]
            yield self.run(
                f"remove {path}", reason, f"rm -f {quote(path)}\nrmdir {quote(folder)} 2>/dev/null || true\n"
            )

    # --- change ------------------------------------------------------------------------------

    def rise(self) -> list[Step]:
        """dqlite answers only when a majority runs, so members that are down are started together before one is waited for."""
        title, reason = "start MicroK8s", self.start_reason
        return [*put_steps(self.plan_input, self.early_files), self.run(title, reason, scripts.start(), deadline=300.0)]

    def settle(self) -> list[Step]:
        """What comes after `rise`."""
        return [*self._own_wait("started services prove little"), *self._change_steps(), *self._end_steps()]

    def update(self) -> list[Step]:
        """Change a running member: what restarts it is waited for, and noted."""
        start = [self._restart_step()] if self.stopped_services or self._missing_node else []
        return [*put_steps(self.plan_input, self.early_files), *start, *self._change_steps(start), *self._end_steps()]

    def _restart_step(self) -> Step:
        if self.stopped_services:
            return self.run("start MicroK8s", self.start_reason, scripts.start(), deadline=300.0)
        script = scripts.restart(["kubelite"])
        return self.run("restart kubelite", self._missing_node, script, Disruption.RESTART, deadline=300.0)

    def _change_steps(self, first: Sequence[Step] = ()) -> Iterator[Step]:
        changes = [*self._refresh_steps(), *self._argument_steps(), *self._name_steps(), *self._launch_steps()]
        yield from changes
        if changes or first:
            yield from self._own_wait("its services were restarted")
            asked = self.cluster.founder
            wait = waits.wait_for_node(self.host, self.minor)
            if not self.host.role.controls:
                yield self.step("wait until the node is ready", "the API decides", wait, on=asked.name)
        if self.drains:
            script = uncordon_node(self.kubectl, self.host.name)
            asked_name = self.cluster.founder.name
            yield self.run("let the node take pods again", "it was drained", script, on=asked_name)
        if changes or first:
            yield from put_steps(self.plan_input, self.fragment_files)
            yield self.record_started(IN_FORCE)

    def _end_steps(self) -> list[Step]:
        hold = [self._hold_step()] if self.hold_reason and not self.snap_reason else []
        files = put_steps(self.plan_input, self.fragment_files) if not self.start_reason else ()
        return [
            *hold,
            *files,
            *self._registry_steps(),
            *self._node_addon_steps(),
            *self.mark_steps(),
            *self.late_hooks(),
        ]

    @property
    def drains(self) -> bool:
        """Another snap restarts containerd under its pods, so they go elsewhere first, where there is such a place."""
        known = self.cluster.node(self.host) is not None
        return bool(self.snap_reason) and known and len(self.cluster.nodes or {}) > 1

    def _refresh_steps(self) -> Iterator[Step]:
        if not self.snap_reason:
            return
        asked = self.cluster.founder.name
        if self.drains:
            script = drain_node(self.kubectl, self.host.name)
            yield self.run("drain the node", "its containers are restarted", script, on=asked, deadline=330.0)
        if self.snap_files:
            yield from self._bring_steps()
            title, script = "refresh the snap from its file", scripts.install_files(is_strict=self.is_strict)
        else:
            title, script = f"refresh the snap to {self.channel}", scripts.refresh(self.channel, self.revision)
        yield self.run(title, self.snap_reason, script, Disruption.RESTART, deadline=1800.0)
        if self.host.role.controls and self.changes_minor:
            yield from self._own_wait("add-ons are asked for through it")
            reason = "a refresh of the snap leaves them as they were"
            yield self.run("bring the list of add-ons up to date", reason, scripts.update_core_addons())

    def _argument_steps(self) -> Iterator[Step]:
        for service, reason in self.argument_reasons.items():
            files = [file for file, reader in READERS.items() if reader == service]
            lines = {
                file: [*self.fragments.get(file, []), *(f"~{name}" for name in self.stale_arguments.get(file, ()))]
                for file in files
            }
            wanted = {file: found for file, found in lines.items() if found}
            action = Run(scripts.put_arguments([service]), stdin=arguments_input(wanted), deadline=600.0)
            yield self.step(f"change arguments and restart {service}", reason, action, Disruption.RESTART)
            for file in self.stale_arguments:
                if READERS[file] == service and file not in self.fragments:
                    path = f"{FRAGMENTS}/{file}"
                    yield self.run(f"remove {path}", "it has no lines any more", f"rm -f {quote(path)}\n")

    def _name_steps(self) -> Iterator[Step]:
        if self.names_reason:
            script = scripts.add_names(self.missing_names)
            title = "put names into the API's certificate (refresh-certs)"
            yield self.run(title, self.names_reason, script, Disruption.RESTART, deadline=300.0)

    def _launch_steps(self) -> Iterator[Step]:
        if self.launch_reason:
            title, script = "hand the launch configuration over again", scripts.hand_over()
            yield self.run(title, self.launch_reason, script, Disruption.RESTART)
            reason = "only the agent's journal tells when it can't"
            yield self.step(
                "wait until the launch configuration is applied", reason, waits.wait_for_launch(scripts.HANDED_OVER)
            )

    # --- add-ons of one node -----------------------------------------------------------------

    def _node_addon_steps(self) -> Iterator[Step]:
        listed = {each.full_name for each in self.node_addons}
        for word in self.applied:
            full_name = word.removeprefix(ADDON)
            if word.startswith(ADDON) and full_name not in listed and self.is_member:
                chosen = Chosen(*split_name(full_name))
                yield self._node_addon("disable", chosen, "the inventory has it no more")
        for chosen in self.node_addons:
            word = f"{ADDON}{chosen.full_name}"
            before = self.applied.get(word) if self.is_member else None
            if before == self.wanted[word]:
                continue
            if before is not None:
                yield self._node_addon("disable", chosen, "its arguments changed: it is enabled with others next")
            yield self._node_addon("enable", chosen, "this node has it not, as far as is on record")

    def _node_addon(self, verb: str, chosen: Chosen, reason: str) -> Step:
        words = chosen.enable if verb == "enable" else chosen.disable
        script = (
            scripts.enable(words, chosen.full_name) if verb == "enable" else scripts.disable(words, chosen.full_name)
        )
        title = f"{verb} {chosen.name} on this node"
        return self.run(title, reason, script, Disruption.RESTART, deadline=1900.0)
