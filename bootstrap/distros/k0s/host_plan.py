"""The steps that one host of a k0s cluster needs, stage by stage. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from bootstrap.distros.k0s import scripts, waits
from bootstrap.distros.k0s.drift import load_document
from bootstrap.distros.k0s.dynamic import find_wide_differences, keep_text, make_object
from bootstrap.distros.k0s.host_state import HostState
from bootstrap.distros.k0s.layout import BINARY, CONFIG, TOKEN, kind
from bootstrap.distros.k0s.probes import kubectl_on, version_there
from bootstrap.distros.k0s.versions import GRAMMAR, parse_version
from bootstrap.facts import RECORD_PATH, format_record, has_trace
from bootstrap.model import Disruption, Fetch, Put, Run, Step
from bootstrap.plan import change_record, drain_node, filled_content, put_steps, uncordon_node

STARTED = "note what k0s was started with"


@dataclass(frozen=True)
class HostPlan(HostState):
    """The steps of one host, each list empty when there is nothing to do."""

    def prepare(self) -> list[Step]:
        """Hosts that are not in yet are made ready all at once; members are changed in their turn."""
        steps = [] if self.is_member else [*self._undo_steps(), *self._file_steps(), *self._sysinfo_steps()]
        return [*self.hooks("before-prepare"), *steps, *self.hooks("after-prepare")]

    def _undo_steps(self) -> Iterator[Step]:
        if not self.needs_reset:
            return
        if self.cluster.trusts_another(self.host) and not has_trace(self.facts, "unfinished"):
            reason = "its kubelet trusts the CA of a control plane that is gone, and a new token would not change that"
        elif has_trace(self.facts, "unfinished"):
            reason = "a founding or join did not end well here"
        else:
            reason = "it holds a membership that the cluster does not know"
        title = "undo what is left of an earlier membership (k0s reset)"
        yield self.run(title, reason, scripts.reset(self.host), Disruption.REMOVE, deadline=420.0)

    def _file_steps(self) -> Iterator[Step]:
        """The program, files and images: nothing here stops or starts k0s."""
        if not self.has_program:
            there = self.facts.files.get(BINARY)
            name = f"{self.program.name} {self.program.version}"
            reason = "does not exist yet" if there is None else f"is another file than {name} of the lock"
            disruption = Disruption.REINSTALL if there and self.is_member else Disruption.NONE
            title = f"bring {name} to {BINARY}"
            yield self.step(title, reason, Fetch(self.program, BINARY, "0755"), disruption)
        yield from put_steps(self.plan_input, self.plain_files)
        yield from self.removals()
        yield from self.image_steps()
        yield from self.config_steps

    def _sysinfo_steps(self) -> Iterator[Step]:
        if not self.is_installed and "--ignore-pre-flight-checks=true" not in self.flags:
            reason = "k0s would not start, and only its journal would tell why"
            yield self.run("ask k0s about the host (k0s sysinfo)", reason, scripts.sysinfo(self.host), deadline=90.0)

    def _install_step(self) -> Step:
        """A host that is new is undone by the next run if this one does not end well."""
        script = scripts.install(self.host, self.unit_flags, begins=not self.is_member)
        title = f"install the service (k0s install {kind(self.host)})"
        reason = self.install_reason or "a mark is set, so that a try that does not end well is undone"
        disruption = Disruption.REINSTALL if self.is_member and self.is_installed else Disruption.NONE
        return self.run(title, reason, script, disruption)

    # --- found and join ----------------------------------------------------------------------

    def found(self) -> list[Step]:
        return [
            *self.hooks("before-founder"),
            self._install_step(),
            self._start_step(),
            *self._wait_steps(),
            *self.mark_steps(),
            *self._keep_steps(),
            self.run("note that the founding ended well", "the next run must not undo it", scripts.end_join()),
            self.record_started(STARTED),
            *self.hooks("after-founder"),
        ]

    def join(self) -> list[Step]:
        return [
            *self.hooks("before-join"),
            *self._forget_steps(),
            *self._token_steps(),
            self._install_step(),
            self._start_step(),
            *self._wait_steps(),
            *self.mark_steps(),
            *self._keep_steps(),
            *self._end_steps(),
            self.record_started(STARTED),
            *self.hooks("after-join"),
        ]

    def _keep_steps(self) -> Iterator[Step]:
        """What lives in the cluster from now on leaves the file, which would only mislead."""
        file = self.artifact(CONFIG)
        if file and self.is_dynamic:
            action = Put(CONFIG, keep_text(file.content), file.mode, file.owner)
            yield self.step(f"keep this controller's own part of {CONFIG}", "the rest lives in the cluster", action)

    @property
    def _saved(self) -> tuple[str, str]:
        return f"join_token_{self.host.name}", f"join_token_id_{self.host.name}"

    def _token_steps(self) -> Iterator[Step]:
        """Each host has its own token, made when its turn comes: none grows old while others join."""
        asked, role = self.cluster.founder, kind(self.host)
        mint = Run(scripts.mint(asked, role), deadline=180.0, save_as=self._saved)
        reason = f"{self.host.name} joins with it; it lives {scripts.TOKEN_LIFE}"
        yield self.step(f"make a join token for a {role}", reason, mint, on=asked.name)
        put = Put(TOKEN, f"${{saved:{self._saved[0]}}}\n", "0600")
        yield self.step(f"write {TOKEN}", "it is overwritten as soon as the host has joined", put)

    def _end_steps(self) -> Iterator[Step]:
        yield self.run(f"overwrite {TOKEN}", "the host has joined", scripts.end_join())
        asked = self.cluster.founder
        script = scripts.invalidate(asked, f"${{saved:{self._saved[1]}}}")
        yield self.run("invalidate the join token", "nobody else shall use it", script, on=asked.name)

    def _forget_steps(self) -> Iterator[Step]:
        """The stale etcd member of a controller goes first, for k0s refuses the join of an address that etcd knows."""
        if self.cluster.is_new:
            return
        asked, address = self.cluster.founder, self.cluster.address(self.host)
        unknown = self.cluster.nodes is None
        member = next((name for name, each in self.cluster.etcd_members.items() if each == address), "")
        reason = (
            "the API did not answer, so it may know one of this name"
            if unknown
            else "the host is new, but the cluster still knows one of its name or address"
        )
        if self.host.role.controls and self.cluster.runs_etcd and (member or unknown):
            script = scripts.leave_etcd(asked, address)
            yield self.run("take its stale member out of etcd", reason, script, on=asked.name)
        if member or unknown or self.cluster.node(self.host):
            script = scripts.forget_node(asked, list(dict.fromkeys((self.host.name, member or self.host.name))))
            yield self.run("delete its stale node", reason, script, on=asked.name, deadline=420.0)

    # --- change ------------------------------------------------------------------------------

    def rise(self) -> list[Step]:
        """etcd answers only when a majority runs, so members that are down are started together before one is waited for."""
        return [*self._change_steps(), self._start_step()]

    def settle(self) -> list[Step]:
        """What comes after `rise`."""
        waits = [*self._wait_steps(), *self._finish_steps(), self.record_started(STARTED)]
        return [*waits, *self.mark_steps(), *self.late_hooks()]

    def update(self) -> list[Step]:
        """Change a running host: files first, then a restart only if k0s reads them at its start."""
        drains = self._drains
        steps = [*self._forget_start(), *(self._drain_steps() if drains else ()), *self._change_steps()]
        if self.start_reason:
            steps += [self._start_step(), *self._wait_steps(), self.record_started(STARTED)]
        steps += [*(self._uncordon_steps() if drains else ()), *self._finish_steps()]
        return [*steps, *self.mark_steps(), *self.late_hooks()]

    def _finish_steps(self) -> Iterator[Step]:
        """What a run left undone that was cut off when the host was in already."""
        if has_trace(self.facts, "unfinished"):
            title = "note that the join ended well, and leave no token behind"
            yield self.run(title, "an earlier run was cut off before it", scripts.end_join())

    def _change_steps(self) -> Iterator[Step]:
        yield from self._file_steps()
        if self.install_reason:
            yield self._install_step()

    def _forget_start(self) -> Iterator[Step]:
        """Once files are put right, a record that says so, or none at all, would hide a restart that is yet to come."""
        hides = self.is_adopted or self.applied.get("k0s") == self.wanted["k0s"]
        if self.start_reason and hides and list(self._change_steps()):
            record = change_record(self.facts.record, self.plan_input.inventory.cluster, applied={})
            reason = "the files are put right before it, and a run that is cut off between must not hide it"
            yield self.step("note that k0s is to be restarted", reason, Put(RECORD_PATH, format_record(record), "0600"))

    @property
    def _drains(self) -> bool:
        """Pods live on through a restart of k0s, but a kubelet of another minor wants an empty node."""
        runs = version_there(self.facts)
        changes = bool(GRAMMAR.fullmatch(runs)) and parse_version(runs).series != parse_version(self.version).series
        return changes and self.cluster.node(self.host) is not None and len(self.cluster.nodes or {}) > 1

    def _drain_steps(self) -> Iterator[Step]:
        asked = self.cluster.founder
        script = drain_node(kubectl_on(asked), self.host.name)
        yield self.run("drain the node", "its kubelet goes to another minor", script, on=asked.name, deadline=390.0)

    def _uncordon_steps(self) -> Iterator[Step]:
        asked = self.cluster.founder
        script = uncordon_node(kubectl_on(asked), self.host.name)
        yield self.run("let the node take pods again", "it was drained", script, on=asked.name)

    # --- the configuration that lives in the cluster -----------------------------------------

    def change_cluster(self) -> list[Step]:
        """With dynamic configuration its cluster-wide part goes through the API, and restarts nothing."""
        file = self.artifact(CONFIG)
        if not self.is_dynamic or file is None or self.cluster.is_new or self.cluster.nodes is None:
            return []
        document = load_document(filled_content(self.plan_input, file)) or {}
        found = find_wide_differences(document, self.facts.values.get("cluster_config"))
        if not found:
            return []
        text = yaml.safe_dump(make_object(load_document(file.content) or {}), sort_keys=False)
        action = Run(scripts.apply_config(self.host), stdin=text, deadline=120.0)
        return [
            self.step("change the configuration in the cluster", f"it has other settings: {', '.join(found)}", action)
        ]

    # --- start and wait ----------------------------------------------------------------------

    @property
    def _verb(self) -> str:
        """A k0s that tries in vain must be restarted to read its files again; `start` would change nothing."""
        unit = self.facts.units.get(self.service)
        there = unit is not None and unit.active not in ("inactive", "failed")
        return "restart" if there and not self.needs_reset else "start"

    def _start_step(self) -> Step:
        founds = self.cluster.is_new and self.host == self.cluster.founder
        reason = (
            self.start_reason if self.is_member else "it founds the cluster" if founds else "it is to join the cluster"
        )
        disruption = Disruption.RESTART if self._verb == "restart" else Disruption.NONE
        return self.run(f"{self._verb} {self.service}", reason, scripts.start(self.host, self._verb), disruption)

    def _wait_steps(self) -> Iterator[Step]:
        networked, asked = self.cluster.networked, self.cluster.founder
        version = self.version if self.runs_release else ""
        if self.host.role.controls:
            member = self.cluster.address(self.host) if self.cluster.runs_etcd else ""
            wait = waits.wait_for_controller(self.host, self.kubectl_here, version, networked=networked, member=member)
            yield self.step("wait until the control plane is ready", "/readyz decides, not a running service", wait)
            return
        wait = waits.wait_for_worker(self.host, version)
        yield self.step(f"wait until {self.service} is up", "a started service proves little", wait)
        wait = waits.wait_for_node(self.host, self.kubectl, version, networked=networked)
        title = "wait until the node is ready" if networked else "wait until the node is there"
        yield self.step(title, "the API decides", wait, on=asked.name)
