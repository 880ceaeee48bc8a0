"""A distribution made for measuring: it wants what benchmarks/state.py put there, so its plan is empty.

Everything round it is the product: inventory, templates, transport, shared probes, comparing, the command line.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

from bootstrap.driver import NativeProblem, PlanInput, TemplateUse
from bootstrap.facts import shared_probes
from bootstrap.model import Disruption, Facts, Finding, Host, Inventory, Lock, Plan, Probe, Run, Step
from bootstrap.plan import fetch_step, make_stage, put_steps

STATE = json.loads(os.environ["BENCHMARK_STATE"])


class NoopDriver:
    """As much of a driver as `bootstrap plan` asks."""

    name = "k3s"

    def check(self, inventory: Inventory) -> list[NativeProblem]:  # noqa: ARG002
        return []

    def check_token(self, token: str) -> str:  # noqa: ARG002
        return ""

    def check_hosts(self, plan_input: PlanInput) -> Sequence[Finding]:  # noqa: ARG002
        return ()

    def templates(
        self,
        inventory: Inventory,
        facts: Facts | None = None,  # noqa: ARG002
        lock: Lock | None = None,  # noqa: ARG002
    ) -> Sequence[TemplateUse]:
        return [
            TemplateUse(host.name, "text", path, {"text": text}, mode)
            for host in inventory.hosts
            for path, (text, mode) in STATE["files"].items()
        ]

    def probes(self, inventory: Inventory, host: Host) -> Sequence[Probe]:  # noqa: ARG002
        paths = " ".join("/proc/sys/" + name.replace(".", "/") for name in STATE["settings"])
        settings = Probe("settings", f"grep -H '' {paths}", read_settings)
        return (*shared_probes(tuple(STATE["files"]), (STATE["binary"],), ("k3s",)), settings)

    def plan_apply(self, plan_input: PlanInput) -> Plan:
        steps = [*put_steps(plan_input, plan_input.artifacts)]
        for name, facts in plan_input.facts.items():
            file = plan_input.lock.files[0]
            steps += [step for step in [fetch_step(facts, file, STATE["binary"], "0755", Disruption.NONE)] if step]
            unit = facts.units.get("k3s")
            wanted = {"ActiveState=active": "active", "ActiveState=inactive": "inactive"}.get(STATE["service"])
            if (unit.active if unit else None) != wanted:
                steps.append(Step(name, "start the service", "it is in another state", Run("exit 1")))
            if facts.values["settings"] != STATE["settings"]:
                steps.append(Step(name, "set kernel settings", "they differ", Run("exit 1")))
        return Plan(plan_input.inventory.cluster, "apply", (make_stage("converge", steps),))


def read_settings(text: str) -> dict[str, Any]:
    """`/proc/sys/vm/swappiness:60` to {"vm.swappiness": "60"}."""
    pairs = (line.partition(":") for line in text.splitlines() if line)
    return {path.removeprefix("/proc/sys/").replace("/", "."): value for path, _, value in pairs}


DRIVER = NoopDriver()
