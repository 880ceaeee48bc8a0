"""Whole texts as people and programs get them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import samples

from bootstrap import report
from bootstrap.errors import PreflightError, TransportError

Golden = Callable[[str, str], None]

TEXTS = {
    "plan-fresh-3.txt": lambda: report.format_plan(samples.fresh(3)),
    "plan-fresh-100.txt": lambda: report.format_plan(samples.fresh(100)),
    "plan-changed.txt": lambda: report.format_plan(samples.CHANGED),
    "plan-changed-color.txt": lambda: report.format_plan(samples.CHANGED, color=True),
    "plan-changed-narrow.txt": lambda: report.format_plan(samples.CHANGED, width=50),
    "plan-stopped.txt": lambda: report.format_plan(samples.STOPPED, host_count=3),
    "plan-empty.txt": lambda: report.format_plan(samples.EMPTY, host_count=3),
    "plan-reset.txt": lambda: report.format_plan(samples.RESET),
    "plan-changed.md": lambda: report.format_plan_markdown(samples.CHANGED),
    "plan-fresh-3.md": lambda: report.format_plan_markdown(samples.fresh(3)),
    "plan-stopped.md": lambda: report.format_plan_markdown(samples.STOPPED),
    "plan-changed.json": lambda: report.plan_to_json(samples.CHANGED),
    "plan-fresh-2.json": lambda: report.plan_to_json(samples.fresh(2)),
    "findings.txt": lambda: report.format_findings(samples.STOPPED.findings),
    "problems.txt": lambda: report.format_problems(samples.PROBLEMS),
    "problems.json": lambda: report.problems_to_json(samples.PROBLEMS),
    "error-host.txt": lambda: report.format_error(
        TransportError(
            "pi-2",
            "its host key is not the pinned one",
            why="pinned   SHA256:aaaa\nanswered SHA256:bbbb\nThe machine was reinstalled, or another one answers.",
            next_step="bootstrap trust --replace pi-2 inventories/home.yaml",
        )
    ),
    "error-preflight.txt": lambda: report.format_error(PreflightError(["pi-1: no space", "pi-2: no sudo\nfor ops"])),
    "results-failed.txt": lambda: report.format_results(samples.REPORT),
    "results-done.txt": lambda: report.format_results(samples.DONE),
    "results-failed.json": lambda: report.report_to_json(samples.REPORT),
    "checks.txt": lambda: report.format_checks(samples.CHECKS),
    "checks.json": lambda: report.checks_to_json(samples.CHECKS),
    "status.txt": lambda: report.format_status(samples.ROWS),
    "status.json": lambda: report.status_to_json(samples.ROWS),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_the_golden_one(name: str, golden: Golden) -> None:
    golden(name, TEXTS[name]())


def test_every_golden_file_has_its_text() -> None:
    folder = Path(__file__).parent / "golden"
    assert {path.name for path in folder.iterdir()} == set(TEXTS)
