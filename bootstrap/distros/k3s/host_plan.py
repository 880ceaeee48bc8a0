"""The steps that one host needs, stage by stage. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from bootstrap.distros.k3s import waits
from bootstrap.distros.k3s.host_state import HostState
from bootstrap.distros.k3s.layout import (
    KUBECTL,
    data_folder,
)
from bootstrap.facts import RECORD_PATH, format_record
from bootstrap.model import (
    Disruption,
    Put,
    Run,
    Step,
)
from bootstrap.plan import (
    KUBECTL_PRELUDE,
    change_record,
)
from bootstrap.shell import join, quote

STARTED = "note what k3s was started with"


@dataclass(frozen=True)
class HostPlan(HostState):
    """The steps of one host, each list empty when there is nothing to do."""

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
            *self.mark_steps(),
            self.record_started(STARTED),
            *self.hooks("after-founder"),
        ]

    def join(self) -> list[Step]:
        return [
            *self.hooks("before-join"),
            *self._forget_node(),
            self._start_step(),
            *self._wait_steps(),
            *self.mark_steps(),
            self.record_started(STARTED),
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
        return [*self._wait_steps(), self.record_started(STARTED), *self.mark_steps(), *self.late_hooks()]

    def update(self) -> list[Step]:
        """Change a running host: files first, then a restart only if k3s reads them at its start."""
        steps = [*self._forget_start(), *self.install_steps]
        if self.start_reason:
            steps += [self._start_step(), *self._wait_steps(), self.record_started(STARTED)]
        return [*steps, *self.mark_steps(), *self.late_hooks()]

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
                self.plan_input.inventory.version,
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
            wait = waits.wait_for_node(
                self.host.name, self.plan_input.inventory.version, waits.explain_script(self.service)
            )
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
