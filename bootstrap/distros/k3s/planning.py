"""From facts to the stages of an apply: install, found, update, join, reconcile, record. Pure."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from bootstrap.distros.k3s import waits
from bootstrap.distros.k3s.cluster import Cluster
from bootstrap.distros.k3s.files import join_artifact, kubelet_may_set
from bootstrap.distros.k3s.layout import (
    BINARY,
    CONFIG,
    INSTALLER,
    JOIN,
    KUBECTL,
    REGISTRIES,
    SCRIPT,
    data_folder,
    image_path,
    service,
)
from bootstrap.distros.k3s.refusals import refuse_impossible_changes
from bootstrap.driver import PlanInput
from bootstrap.errors import LockError, PlanRefusedError
from bootstrap.model import (
    Artifact,
    Disruption,
    Host,
    HostFacts,
    LockedFile,
    Plan,
    Record,
    Run,
    Stage,
    Step,
    digest,
)
from bootstrap.plan import (
    KUBECTL_PRELUDE,
    actual_marks,
    change_record,
    due_hooks,
    fetch_step,
    filled_content,
    hooks_at,
    is_current,
    make_stage,
    mark_commands,
    mark_step,
    own_marks,
    put_steps,
    record_step,
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
    _refuse_without_quorum(cluster, [hosts[host.name] for host in cluster.members])
    return Plan(plan_input.inventory.cluster, "apply", tuple(s for s in _stages(cluster, hosts) if s.steps))


def _refuse_without_quorum(cluster: Cluster, members: list["HostPlan"]) -> None:
    """Raises PlanRefusedError when etcd has lost its quorum, or would lose it by a restart."""
    controllers = len(cluster.plan_input.inventory.controllers)
    if cluster.has_etcd and cluster.nodes is None and len(members) < majority(controllers):
        raise PlanRefusedError(
            f"etcd has lost its quorum: {len(members)} of {controllers} members can be asked, {majority(controllers)} are needed",
            why="joining hosts to it can't succeed, and founding anew would lose what it holds",
            next_step=f"bring the missing controllers back, or on {members[0].host.name}: "
            "systemctl stop k3s; k3s server --cluster-reset; systemctl start k3s - then apply again",
        )
    reasons = [refuse_stop(member.host.name, cluster.voters) for member in members if member.start_reason]
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
    members = [each for each in controllers if each.is_member and each is not founder]
    yield make_stage("before the first change", _each(everyone, HostPlan.first_hooks), at_once=HOSTS_AT_ONCE)
    yield make_stage("prepare new hosts", _each(everyone, HostPlan.prepare), at_once=HOSTS_AT_ONCE)
    if cluster.is_new:
        yield make_stage(f"found the cluster on {founder.host.name}", founder.found(), critical=True)
    else:
        members.insert(0, founder)
    yield make_stage("start stopped controllers", _each(members, HostPlan.start_stopped), at_once=HOSTS_AT_ONCE)
    yield make_stage("update controllers, one at a time", _each(members, HostPlan.update), critical=True)
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

    def _join_files(self) -> Iterator[Artifact]:
        becomes_etcd = self.cluster.wants_etcd and self.facts.values.get("datastore") == "sqlite"
        if self.is_member and JOIN in self.facts.files and not becomes_etcd:
            return
        if self.is_member and self.host.role.controls and not becomes_etcd:
            return
        founds = self.host == self.cluster.founder and (self.cluster.is_new or becomes_etcd)
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

    # --- what differs ------------------------------------------------------------------------

    @cached_property
    def install_steps(self) -> tuple[Step, ...]:
        """Files, binary, installer: nothing here stops or starts k3s."""
        disruption = Disruption.REINSTALL if self.is_installed else Disruption.NONE
        fetched = [
            fetch_step(self.facts, self.locked("k3s"), BINARY, "0755", disruption),
            fetch_step(self.facts, self.locked("install.sh"), INSTALLER, "0755", Disruption.NONE),
            *self._image_steps(),
        ]
        puts = list(put_steps(self.plan_input, self.artifacts))
        steps = [*(step for step in fetched if step), *puts]
        script_changed = any(step.title.endswith((SCRIPT, INSTALLER, BINARY)) for step in steps)
        if script_changed or not self.is_installed:
            reason = (
                "the binary, the installer or its call changed"
                if self.is_installed
                else f"{self.service} is not installed"
            )
            steps.append(
                self.step(
                    f"install the {self.service} service", reason, Run(f"exec sh {SCRIPT}", deadline=300.0), disruption
                )
            )
        return tuple(steps)

    def _image_steps(self) -> Iterator[Step | None]:
        images = self.plan_input.lock.find("k3s-airgap-images", self.version, self.facts.arch)
        if images:
            yield fetch_step(self.facts, images, image_path(self.host, self.facts.arch), "0644", Disruption.NONE)

    @property
    def is_installed(self) -> bool:
        unit = self.facts.units.get(self.service)
        return unit is not None and unit.load == "loaded"

    @cached_property
    def start_digest(self) -> str:
        """Over all that k3s reads at its start only."""
        contents = {
            a.path: digest(filled_content(self.plan_input, a)) for a in self.artifacts if a.path in RESTARTED_BY
        }
        binaries = {name: self.locked(name).sha256 for name in ("k3s", "install.sh")}
        return digest(json.dumps({**contents, **binaries, "service": self.service}, sort_keys=True))

    @cached_property
    def start_reason(self) -> str:
        """Why k3s must be started or restarted; empty when it runs with what is wanted."""
        unit = self.facts.units.get(self.service)
        if unit is None or not unit.is_running:
            return f"{self.service} is {unit.active if unit and unit.load == 'loaded' else 'not installed'}"
        changed = [a.path for a in self.artifacts if a.path in (*RESTARTED_BY, JOIN) and not self._lies_there(a)]
        if changed:
            return f"{', '.join(path.rsplit('/', 1)[-1] for path in changed)} changed, which k3s reads at its start"
        if any(step.disruption is Disruption.REINSTALL for step in self.install_steps):
            return "the binary or its service changed"
        applied = self.facts.record.applied.get("k3s") if self.facts.record else None
        if applied != self.start_digest:
            return "it is not on record that the running k3s has read these files"
        return ""

    def _lies_there(self, artifact: Artifact) -> bool:
        return is_current(artifact, filled_content(self.plan_input, artifact), self.facts.files.get(artifact.path))

    # --- steps, by stage ---------------------------------------------------------------------

    def step(
        self, title: str, reason: str, action: Run, disruption: Disruption = Disruption.NONE, on: str = ""
    ) -> Step:
        return Step(self.host.name, title, reason, action, disruption=disruption, on=on)

    def first_hooks(self) -> list[Step]:
        return list(hooks_at(self.plan_input, self.host, "after-connect", "before-apply"))

    def prepare(self) -> list[Step]:
        """Hosts that do not run yet are made ready all at once; running ones are changed in their turn."""
        steps = [] if self.is_member else [*self._forget_steps(), *self.install_steps]
        before, after = (hooks_at(self.plan_input, self.host, point) for point in ("before-prepare", "after-prepare"))
        return [*before, *steps, *after]

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
            *hooks_at(self.plan_input, self.host, "before-founder"),
            *self._start_steps("start"),
            *self._mark_steps(),
            self._record_started(),
            *hooks_at(self.plan_input, self.host, "after-founder"),
        ]

    def join(self) -> list[Step]:
        return [
            *hooks_at(self.plan_input, self.host, "before-join"),
            *self._forget_node(),
            *self._start_steps("start"),
            *self._mark_steps(),
            self._record_started(),
            *hooks_at(self.plan_input, self.host, "after-join"),
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

    def start_stopped(self) -> Iterator[Step]:
        """etcd answers only when a majority runs, so stopped members are started together before one is waited for."""
        unit = self.facts.units.get(self.service)
        if self.is_installed and unit is not None and unit.active in ("inactive", "failed") and not self.install_steps:
            yield self.step(
                f"start {self.service}", f"it is {unit.active}", Run(waits.start_script(self.service, "start"))
            )

    def update(self) -> list[Step]:
        """Change a running host: files first, then a restart only if k3s reads them at its start."""
        steps = list(self.install_steps)
        if self.start_reason:
            verb = "restart" if self.is_installed else "start"
            steps += self._start_steps(verb)
            steps.append(self._record_started())
        hooks = hooks_at(self.plan_input, self.host, "before-founder", "after-founder", "before-join", "after-join")
        return [*steps, *self._mark_steps(), *hooks]

    def _start_steps(self, verb: str) -> Iterator[Step]:
        founds = self.cluster.is_new and self.host == self.cluster.founder
        reason = (
            self.start_reason if self.is_member else "it founds the cluster" if founds else "it is to join the cluster"
        )
        disruption = Disruption.RESTART if verb == "restart" else Disruption.NONE
        yield self.step(f"{verb} {self.service}", reason, Run(waits.start_script(self.service, verb)), disruption)
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
        node = self.cluster.node(self.host) if self.is_member else None
        wanted, owned = wanted_marks(self.host), self.facts.record or Record()
        if not self.is_member:
            owned = Record()
            labels = {name: value for name, value in wanted.labels.items() if not kubelet_may_set(name)}
            wanted = replace(
                wanted, labels=labels, taints={}
            )  # the rest the kubelet registers itself, before any pod comes
        step = mark_step(self.host.name, self.cluster.founder.name, KUBECTL, wanted, node, owned)
        if step and (node is not None or not self.is_member):
            yield step

    def _record_started(self) -> Step:
        before = self.facts.record if self.is_member else None
        record = change_record(before, self.plan_input.inventory.cluster, applied={"k3s": self.start_digest})
        step = record_step(replace(self.facts, record=None), record)
        assert step is not None  # noqa: S101 - a record compared with none always differs
        return replace(step, title="note what k3s was started with")

    def last_steps(self) -> list[Step]:
        wanted = own_marks(
            Record(
                self.plan_input.inventory.cluster,
                applied={"k3s": self.start_digest},
                hooks=due_hooks(self.plan_input, self.host),
            ),
            wanted_marks(self.host),
        )
        hooks = list(hooks_at(self.plan_input, self.host, "after-apply"))
        step = record_step(self.facts, wanted)
        return [*hooks, *([step] if step else [])]


def marks_differ(cluster: Cluster, host: Host) -> bool:
    """Whether the Node's marks are not as the inventory says."""
    record = cluster.facts(host).record or Record()
    return bool(mark_commands(KUBECTL, host.name, wanted_marks(host), actual_marks(cluster.node(host)), record))
