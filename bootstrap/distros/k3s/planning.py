"""From facts to the stages of an apply: install, found, update, join, reconcile, record. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bootstrap.diffs import diff_removed_file
from bootstrap.distros.k3s import waits
from bootstrap.distros.k3s.cluster import Cluster, is_running
from bootstrap.distros.k3s.files import join_artifact, kubelet_may_set
from bootstrap.distros.k3s.layout import (
    BINARY,
    CONFIG,
    INSTALLER,
    JOIN,
    KUBECTL,
    REGISTRATION,
    REGISTRIES,
    SCRIPT,
    data_folder,
    image_path,
    service,
)
from bootstrap.distros.k3s.probes import answers_api
from bootstrap.distros.k3s.refusals import refuse_impossible_changes
from bootstrap.driver import PlanInput
from bootstrap.errors import LockError, PlanRefusedError
from bootstrap.facts import RECORD_PATH, format_record
from bootstrap.model import (
    Artifact,
    Disruption,
    Host,
    HostFacts,
    LockedFile,
    Plan,
    Put,
    Record,
    Run,
    Stage,
    Step,
    digest,
)
from bootstrap.plan import (
    KUBECTL_PRELUDE,
    change_record,
    due_hooks,
    fetch_step,
    filled_content,
    hooks_at,
    is_current,
    make_stage,
    mark_step,
    own_marks,
    put_steps,
    record_step,
    unknown_node,
    wanted_marks,
)
from bootstrap.quorum import majority, refuse_stop
from bootstrap.shell import join, quote

AGENTS_AT_ONCE = 10
HOSTS_AT_ONCE = 32
RESTARTED_BY = (CONFIG, REGISTRIES)  # files that k3s reads at its start only


def plan_apply(plan_input: PlanInput) -> Plan:
    """The whole way from what is there to what the inventory says. Raises PlanRefusedError, LockError."""
    cluster = Cluster(plan_input)
    cluster.founder  # noqa: B018 - refuses first of all when founding would be a guess
    refuse_impossible_changes(cluster)
    hosts = {host.name: HostPlan(cluster, host) for host in (*cluster.controllers, *cluster.workers)}
    _refuse_without_quorum(cluster, list(hosts.values()))
    return Plan(plan_input.inventory.cluster, "apply", tuple(s for s in _stages(cluster, hosts) if s.steps))


def _refuse_without_quorum(cluster: Cluster, hosts: list["HostPlan"]) -> None:
    """Raises PlanRefusedError when etcd has lost its quorum, or would lose it by a restart."""
    controllers = len(cluster.plan_input.inventory.controllers)
    members = [each for each in hosts if each.is_member and each.host.role.controls]
    # A founder that is still starting for the first time has no quorum to lose, and nothing on record.
    were_up = all(each.applied for each in members)
    if cluster.has_etcd and cluster.nodes is None and were_up and len(members) < majority(controllers):
        raise PlanRefusedError(
            f"etcd has lost its quorum: {len(members)} of {controllers} members can be asked, {majority(controllers)} are needed",
            why="joining hosts to it can't succeed, and founding anew would lose what it holds",
            next_step=f"bring the missing controllers back, or on {members[0].host.name}: "
            "systemctl stop k3s; k3s server --cluster-reset; systemctl start k3s - then apply again",
        )
    mended = {each.host.name for each in hosts if each.is_mended}
    healthy = {name: works or name in mended for name, works in cluster.voters.items()}
    reasons = [refuse_stop(each.host.name, healthy) for each in members if each.start_reason and not each.is_mended]
    if any(reasons):
        raise PlanRefusedError(
            "the control plane can't be restarted now",
            why="\n        ".join(reason for reason in reasons if reason),
            next_step="bring the controller that is down back first, or `bootstrap remove` it",
        )


def _stages(cluster: Cluster, hosts: dict[str, "HostPlan"]) -> Iterator[Stage]:
    controllers = [hosts[host.name] for host in cluster.controllers]
    workers = [hosts[host.name] for host in cluster.workers]
    everyone = [*controllers, *workers]
    founder = hosts[cluster.founder.name]
    joining = [each for each in controllers if not each.is_member and each is not founder]
    replaced = [each for each in joining if each.is_mended]
    members = [each for each in (founder, *(each for each in controllers if each is not founder)) if each.is_member]
    down = [each for each in members if each.is_down]
    up = sorted((each for each in members if not each.is_down), key=lambda each: not each.is_mended)
    yield make_stage("before the first change", _each(everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("prepare new hosts", _each(everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {founder.host.name}", founder.found(), critical=True)
    # What lost votes is brought back before a vote that is there is touched.
    yield make_stage("start controllers that are down", _each(down, HostPlan.rise), at_once=HOSTS_AT_ONCE)
    yield make_stage("see that they serve", _each(down, HostPlan.settle), critical=True)
    yield make_stage("replace lost controllers, one at a time", _each(replaced, HostPlan.join), critical=True)
    yield make_stage("update controllers, one at a time", _each(up, HostPlan.update), critical=True)
    joining = [each for each in joining if each not in replaced]
    yield make_stage("join controllers, one at a time", _each(joining, HostPlan.join), critical=True)
    yield make_stage(
        "update workers", _each([w for w in workers if w.is_member], HostPlan.update), at_once=AGENTS_AT_ONCE
    )
    yield make_stage(
        "join workers", _each([w for w in workers if not w.is_member], HostPlan.join), at_once=AGENTS_AT_ONCE
    )
    yield make_stage("look again after ten seconds", _each(everyone, HostPlan.look_again), at_once=HOSTS_AT_ONCE)
    yield make_stage("after the last change", _each(everyone, HostPlan.last_steps), at_once=HOSTS_AT_ONCE)


def _each(plans: Iterable["HostPlan"], steps: "object") -> list[Step]:
    return [step for plan in plans for step in steps(plan)]  # type: ignore[operator]


@dataclass(frozen=True)
class HostPlan:
    """The steps that one host needs, each list empty when there is nothing to do."""

    cluster: Cluster
    host: Host

    @property
    def plan_input(self) -> PlanInput:
        return self.cluster.plan_input

    @property
    def facts(self) -> HostFacts:
        return self.cluster.facts(self.host)

    @property
    def service(self) -> str:
        return service(self.host)

    @cached_property
    def is_member(self) -> bool:
        return self.cluster.is_member(self.host)

    @cached_property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Rendered files of the host; the join file depends on facts and is not compared once the host is in."""
        rendered = [a for a in self.plan_input.artifacts if a.host == self.host.name and a.path != JOIN]
        return (*rendered, *self._join_files())

    @property
    def becomes_etcd(self) -> bool:
        return self.cluster.wants_etcd and self.facts.values.get("datastore") == "sqlite"

    def _join_files(self) -> Iterator[Artifact]:
        if self.is_member and (JOIN in self.facts.files or self.host.role.controls) and not self.becomes_etcd:
            return
        founds = self.host == self.cluster.founder and (self.cluster.is_new or self.becomes_etcd)
        yield join_artifact(
            self.host,
            founds_etcd=founds and self.cluster.wants_etcd,
            server_url=""
            if founds or (self.cluster.is_external and self.host.role.controls)
            else self.cluster.server_url(),
        )

    @cached_property
    def version(self) -> str:
        return self.plan_input.inventory.version

    def locked(self, name: str) -> LockedFile:
        file = self.plan_input.lock.find(name, self.version, self.facts.arch)
        if file is None:
            raise LockError(
                f"artifacts.lock has no {name} {self.version} for {self.facts.arch}",
                where=self.host.name,
                next_step="bootstrap lock",
            )
        return file

    @property
    def is_down(self) -> bool:
        """A member that serves nobody, so that there is nothing to lose by starting it."""
        return self.is_member and not is_running(self.facts, self.service)

    @property
    def is_mended(self) -> bool:
        """A voter that does not work, and that this plan brings back before it touches one that does."""
        if self.is_member:
            return bool(self.start_reason) and not answers_api(self.facts)
        unknown = self.cluster.has_etcd and self.cluster.nodes is None
        return self.host.role.controls and (unknown or self.host.name in self.cluster.voters)

    @property
    def applied(self) -> Mapping[str, str]:
        return self.facts.record.applied if self.facts.record else {}

    # --- what differs ------------------------------------------------------------------------

    @cached_property
    def install_steps(self) -> tuple[Step, ...]:
        """Files, binary, installer: nothing here stops or starts k3s."""
        disruption = Disruption.REINSTALL if self.is_installed and self.is_member else Disruption.NONE
        fetched = [
            fetch_step(self.facts, self.locked("k3s"), BINARY, "0755", disruption),
            fetch_step(self.facts, self.locked("install.sh"), INSTALLER, "0755", Disruption.NONE),
            *self._image_steps(),
        ]
        puts = list(put_steps(self.plan_input, self.artifacts))
        steps = [*(step for step in fetched if step), *puts, *self._removals()]
        changed = any(step.title.endswith((SCRIPT, INSTALLER, BINARY)) for step in steps)
        reason = self._install_reason(changed)
        if reason:
            run = Run(f"exec sh {SCRIPT}", deadline=300.0)
            steps.append(
                self.step(
                    f"install the {self.service} service", reason, run, disruption if changed else Disruption.NONE
                )
            )
        return tuple(steps)

    def _install_reason(self, changed: bool) -> str:  # noqa: FBT001
        if not self.is_installed:
            return f"{self.service} is not installed"
        if changed:
            return "the binary, the installer or its call changed"
        return (
            ""
            if self.applied.get("install") == self.wanted["install"]
            else "it is not on record that the installer ended well"
        )

    def _removals(self) -> Iterator[Step]:
        """Files that the inventory has no content for any more; k3s would go on reading them."""
        for path in self.stale_files:
            diff = diff_removed_file(path, self.facts.files[path].content or "", self.plan_input.secrets)
            run = Run(f"rm -f {quote(path)}")
            yield replace(self.step(f"remove {path}", "the inventory has nothing for it any more", run), diff=diff)

    @cached_property
    def stale_files(self) -> tuple[str, ...]:
        wanted = {artifact.path for artifact in self.artifacts}
        return tuple(path for path in (REGISTRIES, REGISTRATION) if path in self.facts.files and path not in wanted)

    def _image_steps(self) -> Iterator[Step | None]:
        images = self.plan_input.lock.find("k3s-airgap-images", self.version, self.facts.arch)
        if images:
            yield fetch_step(self.facts, images, image_path(self.host, self.facts.arch), "0644", Disruption.NONE)

    @property
    def is_installed(self) -> bool:
        unit = self.facts.units.get(self.service)
        return unit is not None and unit.load == "loaded"

    @cached_property
    def wanted(self) -> Mapping[str, str]:
        """What the record shall say: digests over all that k3s reads at its start only, and over its installation."""
        contents = {a.path: digest(filled_content(self.plan_input, a)) for a in self.artifacts}
        binaries = {name: self.locked(name).sha256 for name in ("k3s", "install.sh")}
        read = {path: contents[path] for path in RESTARTED_BY if path in contents}
        started = {**read, **binaries, "service": self.service}
        installed = {**binaries, "script": contents.get(SCRIPT, "")}
        return {
            "k3s": digest(json.dumps(started, sort_keys=True)),
            "install": digest(json.dumps(installed, sort_keys=True)),
        }

    @cached_property
    def start_reason(self) -> str:
        """Why k3s must be started or restarted; empty when it runs with what is wanted."""
        unit = self.facts.units.get(self.service)
        if unit is None or not unit.is_running:
            return f"{self.service} is {unit.active if unit and unit.load == 'loaded' else 'not installed'}"
        changed = [a.path for a in self.artifacts if a.path in (*RESTARTED_BY, JOIN) and not self._lies_there(a)]
        changed += [path for path in self.stale_files if path in RESTARTED_BY]
        if changed:
            return f"{', '.join(path.rsplit('/', 1)[-1] for path in changed)} changed, which k3s reads at its start"
        if any(step.disruption is Disruption.REINSTALL for step in self.install_steps):
            return "the binary or its service changed"
        if self.applied.get("k3s") != self.wanted["k3s"]:
            return "it is not on record that the running k3s has read these files"
        return "its datastore is to become etcd" if self.becomes_etcd else ""

    def _lies_there(self, artifact: Artifact) -> bool:
        return is_current(artifact, filled_content(self.plan_input, artifact), self.facts.files.get(artifact.path))

    # --- steps, by stage ---------------------------------------------------------------------

    def step(
        self, title: str, reason: str, action: Run, disruption: Disruption = Disruption.NONE, on: str = ""
    ) -> Step:
        return Step(self.host.name, title, reason, action, disruption=disruption, on=on)

    def first_hooks(self) -> list[Step]:
        return self.hooks("after-connect", "before-apply")

    def hooks(self, *points: str) -> list[Step]:
        return list(hooks_at(self.plan_input, self.host, *points, founder=self.cluster.founder.name))

    def prepare(self) -> list[Step]:
        """Hosts that do not run yet are made ready all at once; running ones are changed in their turn."""
        steps = [] if self.is_member else [*self._forget_steps(), *self.install_steps]
        return [*self.hooks("before-prepare"), *steps, *self.hooks("after-prepare")]

    def _forget_steps(self) -> Iterator[Step]:
        """A host that is no member must hold nothing of an earlier membership."""
        if not self.facts.values.get("traces") and self.facts.values.get("datastore") != "removed":
            return
        if (
            self.cluster.node(self.host)
            and self.facts.units.get(self.service, None)
            and self.facts.units[self.service].is_running
        ):
            return
        data = quote(data_folder(self.host))
        script = waits.stop_script(self.service) + (
            f"rm -rf {data}/server/db {data}/server/cred {data}/server/tls {data}/server/token\n"
            f"find {data}/agent -maxdepth 1 \\( -name '*.crt' -o -name '*.key' -o -name '*.kubeconfig' \\) -delete 2>/dev/null || true\n"
            f"rm -rf {data}/agent/etc\n"
        )
        reason = "certificates of an earlier membership would make the join hang"
        yield self.step("forget the earlier cluster", reason, Run(script), Disruption.RESTART)

    def found(self) -> list[Step]:
        return [
            *self.hooks("before-founder"),
            self._start_step(),
            *self._wait_steps(),
            *self._mark_steps(),
            self._record_started(),
            *self.hooks("after-founder"),
        ]

    def join(self) -> list[Step]:
        return [
            *self.hooks("before-join"),
            *self._forget_node(),
            self._start_step(),
            *self._wait_steps(),
            *self._mark_steps(),
            self._record_started(),
            *self.hooks("after-join"),
        ]

    def _forget_node(self) -> Iterator[Step]:
        """Its stale Node takes the node password along, and the etcd member of a server: else the join is refused."""
        if self.cluster.is_new:
            return
        name = quote(self.host.name)
        script = KUBECTL_PRELUDE + (
            f"{join(KUBECTL)} delete node {name} --ignore-not-found --timeout=90s\n"
            f"{join(KUBECTL)} -n kube-system delete secret {name}.node-password.k3s --ignore-not-found --timeout=60s\n"
        )
        if self.cluster.nodes is None or self.cluster.node(self.host):
            there = self.cluster.nodes is not None
            reason = (
                "the host is new, but the cluster still has a node of this name"
                if there
                else "the API did not answer, so one may be there"
            )
            yield self.step(
                "delete its stale node and node password",
                reason,
                Run(script, deadline=180.0),
                on=self.cluster.founder.name,
            )

    def rise(self) -> list[Step]:
        """etcd answers only when a majority runs, so members that are down are started together before one is waited for."""
        return [*self.install_steps, self._start_step()]

    def settle(self) -> list[Step]:
        """What comes after `rise`."""
        return [*self._wait_steps(), self._record_started(), *self._mark_steps(), *self.late_hooks()]

    def update(self) -> list[Step]:
        """Change a running host: files first, then a restart only if k3s reads them at its start."""
        steps = [*self._forget_start(), *self.install_steps]
        if self.start_reason:
            steps += [self._start_step(), *self._wait_steps(), self._record_started()]
        return [*steps, *self._mark_steps(), *self.late_hooks()]

    def late_hooks(self) -> list[Step]:
        """Hooks of points that a member has passed long ago."""
        return self.hooks("before-founder", "after-founder", "before-join", "after-join")

    def _forget_start(self) -> Iterator[Step]:
        """Files were changed behind the record's back: once they are put right, it would hide a restart that is yet to come."""
        if self.start_reason and self.install_steps and self.applied.get("k3s") == self.wanted["k3s"]:
            record = change_record(self.facts.record, self.plan_input.inventory.cluster, applied={})
            reason = "files were changed since, and the record would hide a restart that failed"
            action = Put(RECORD_PATH, format_record(record), "0600")
            yield Step(self.host.name, "note that k3s is to be restarted", reason, action)

    @property
    def _verb(self) -> str:
        """A k3s that tries in vain must be restarted to read its files again; `start` would change nothing."""
        unit = self.facts.units.get(self.service)
        return "restart" if unit is not None and unit.active not in ("inactive", "failed") else "start"

    def _start_step(self) -> Step:
        verb = self._verb
        founds = self.cluster.is_new and self.host == self.cluster.founder
        reason = (
            self.start_reason if self.is_member else "it founds the cluster" if founds else "it is to join the cluster"
        )
        disruption = Disruption.RESTART if verb == "restart" else Disruption.NONE
        return self.step(f"{verb} {self.service}", reason, Run(waits.start_script(self.service, verb)), disruption)

    def _wait_steps(self) -> Iterator[Step]:
        if self.host.role.controls:
            wait = waits.wait_for_server(
                self.service,
                self.host.name,
                self.version,
                networked=self.cluster.networked,
                voter=self.cluster.wants_etcd,
            )
            yield Step(
                self.host.name, "wait until the API and the node are ready", "a started service proves little", wait
            )
            return
        yield Step(
            self.host.name,
            f"wait until {self.service} is up",
            "a started service proves little",
            waits.wait_for_agent(self.service),
        )
        if self.cluster.networked:
            wait = waits.wait_for_node(self.host.name, self.version, waits.explain_script(self.service))
            yield Step(
                self.host.name, "wait until the node is ready", "the API decides", wait, on=self.cluster.founder.name
            )

    @property
    def starts(self) -> bool:
        return not self.is_member or bool(self.start_reason)

    def look_again(self) -> Iterator[Step]:
        if self.starts:
            yield Step(
                self.host.name,
                f"see that {self.service} stays up",
                "it can die seconds after it was ready",
                waits.wait_steady(self.service),
            )

    def _mark_steps(self) -> Iterator[Step]:
        """Labels and the like; a Node that joins in this run has what the kubelet registers, and no more."""
        node = self._seen_node()
        wanted, owned = wanted_marks(self.host), self.facts.record or Record()
        if not self.is_member:
            owned = Record()
            labels = {name: value for name, value in wanted.labels.items() if not kubelet_may_set(name)}
            wanted = replace(
                wanted, labels=labels, taints={}
            )  # the rest the kubelet registers itself, before any pod comes
        step = mark_step(self.host.name, self.cluster.founder.name, KUBECTL, wanted, node, owned)
        if step and self._marks_are_set:
            yield step

    def _seen_node(self) -> Mapping[str, Any] | None:
        """The Node as the API gives it; while it is down, one that has what is on record, with values that nobody knows."""
        if not self.is_member:
            return None
        return self.cluster.node(self.host) or unknown_node(self.facts.record or Record())

    @property
    def _marks_are_set(self) -> bool:
        """Whether this run knows what the Node has, or brings the Node up itself."""
        known = not self.is_member or self.cluster.node(self.host) is not None
        return known or self.cluster.rises or bool(self.start_reason)

    def _record_started(self) -> Step:
        before = self.facts.record if self.is_member else None
        record = change_record(before, self.plan_input.inventory.cluster, applied=self.wanted)
        step = record_step(replace(self.facts, record=None), record)
        assert step is not None  # noqa: S101 - a record compared with none always differs
        return replace(step, title="note what k3s was started with")

    def last_steps(self) -> list[Step]:
        founder = self.cluster.founder.name
        hooks = due_hooks(self.plan_input, self.host, founder)
        record = Record(self.plan_input.inventory.cluster, applied=self.wanted, hooks=hooks)
        before = Record() if self._marks_are_set else self.facts.record or Record()
        step = record_step(self.facts, own_marks(record, wanted_marks(self.host), before))
        return [*self.hooks("after-apply"), *([step] if step else [])]
