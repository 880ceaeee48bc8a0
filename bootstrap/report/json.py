"""Plan, problems, checks, results and status as JSON with stable keys, documented in docs/json.md. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bootstrap.errors import InventoryError
from bootstrap.model import Action, Check, Fetch, Finding, Plan, Put, Report, Run, Stage, Step, StepResult, Wait, digest
from bootstrap.redact import mask_urls
from bootstrap.report.folding import hosts_by_disruption, plan_by_host, worst
from bootstrap.report.results import StatusRow

PLAN, PROBLEMS, CHECKS = "bootstrap/plan/v1", "bootstrap/problems/v1", "bootstrap/checks/v1"
REPORT, STATUS = "bootstrap/report/v1", "bootstrap/status/v1"


def plan_to_json(plan: Plan) -> str:
    """The plan with every script and diff, but with digests in place of file contents."""
    return _print(_describe_plan(plan))


def plan_digest(plan: Plan) -> str:
    """sha256 over all that would be done and where: two plans that share it do the same.

    Findings and notes are left out, for they may hold measurements that differ at every look.
    """
    work = {
        "cluster": plan.cluster,
        "operation": plan.operation,
        "stages": [_describe_stage(stage) for stage in plan.stages],
        "unreachable": list(plan.unreachable),
    }
    return digest(json.dumps(work, sort_keys=True, separators=(",", ":")))


def problems_to_json(error: InventoryError) -> str:
    """Problems as editors and CI read them."""
    return _print({"schema": PROBLEMS, "problems": [asdict(problem) for problem in error.problems]})


def checks_to_json(checks: Sequence[Check]) -> str:
    """Checks; `ok` is false when there are none."""
    ok = bool(checks) and all(check.ok for check in checks)
    return _print({"schema": CHECKS, "ok": ok, "checks": [_describe_check(check) for check in checks]})


def report_to_json(report: Report) -> str:
    """The end of an apply."""
    return _print(
        {
            "schema": REPORT,
            "ok": report.ok,
            "results": [_describe_result(result) for result in report.results],
            "checks": [_describe_check(check) for check in report.checks],
            "remaining": _describe_plan(report.remaining) if report.remaining else None,
            "log_folder": report.log_folder,
        }
    )


def status_to_json(rows: Sequence[StatusRow]) -> str:
    """The status table; what nobody could say is null."""
    hosts = [{**asdict(row), "version": row.version or None, "unit": row.unit or None} for row in rows]
    return _print({"schema": STATUS, "hosts": hosts})


def _print(described: Mapping[str, Any]) -> str:
    return json.dumps(described, indent=2) + "\n"


def _describe_plan(plan: Plan) -> dict[str, Any]:
    return {
        "schema": PLAN,
        "cluster": plan.cluster,
        "operation": plan.operation,
        "digest": plan_digest(plan),
        "empty": plan.is_empty,
        "hosts": _describe_hosts(plan),
        "disruption": {str(kind): list(hosts) for kind, hosts in hosts_by_disruption(plan).items()},
        "findings": [_describe_finding(finding) for finding in plan.findings],
        "unreachable": list(plan.unreachable),
        "notes": list(plan.notes),
        "stages": [_describe_stage(stage) for stage in plan.stages],
    }


def _describe_hosts(plan: Plan) -> list[dict[str, Any]]:
    found = plan_by_host(plan).items()
    return [{"name": host, "steps": len(steps), "disruption": str(worst(steps))} for host, steps in found]


def _describe_finding(finding: Finding) -> dict[str, Any]:
    return asdict(finding)


def _describe_stage(stage: Stage) -> dict[str, Any]:
    return {
        "title": stage.title,
        "at_once": stage.at_once,
        "critical": stage.critical,
        "steps": [_describe_step(step) for step in stage.steps],
    }


def _describe_step(step: Step) -> dict[str, Any]:
    return {
        "host": step.host,
        "on": step.place,
        "title": step.title,
        "reason": step.reason,
        "disruption": str(step.disruption),
        "diff": step.diff,
        "action": _describe_action(step.action),
    }


def _describe_action(action: Action) -> dict[str, Any]:
    """What the runner gets, with the sha256 of the text with references wherever a secret may be filled in."""
    match action:
        case Put(path, content, mode, owner):
            return {"kind": "put", "path": path, "mode": mode, "owner": owner, "sha256": digest(content)}
        case Fetch(file, path, mode):
            described = {**asdict(file), "url": mask_urls(file.url)}
            return {"kind": "fetch", "path": path, "mode": mode, "file": described}
        case Run(script, stdin, deadline, save_as):
            stdin_sha256 = None if stdin is None else digest(stdin)
            saved = {"stdin_sha256": stdin_sha256, "save_as": list(save_as)}
            return {"kind": "run", "script": script, "deadline": deadline, **saved}
        case Wait(script, deadline, explain):
            return {"kind": "wait", "script": script, "deadline": deadline, "explain": explain}
        case _:
            return {"kind": "run-locally", "script": action.script, "deadline": action.deadline}


def _describe_check(check: Check) -> dict[str, Any]:
    return {"name": check.name, "subject": check.subject, "ok": check.ok, "detail": check.detail}


def _describe_result(result: StepResult) -> dict[str, Any]:
    return {
        "host": result.step.host,
        "on": result.step.place,
        "title": result.step.title,
        "status": str(result.status),
        "detail": result.detail,
        "seconds": round(result.seconds, 3),
    }
