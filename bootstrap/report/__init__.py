"""Plans, results, checks and errors as text, Markdown and JSON. Returns strings; prints nothing."""

from bootstrap.report.json import (
    checks_to_json,
    plan_digest,
    plan_to_json,
    problems_to_json,
    report_to_json,
    status_to_json,
)
from bootstrap.report.markdown import format_plan_markdown
from bootstrap.report.plan import format_findings, format_plan, summarize_plan
from bootstrap.report.problems import format_error, format_problems
from bootstrap.report.results import StatusRow, format_checks, format_results, format_status

__all__ = [
    "StatusRow",
    "checks_to_json",
    "format_checks",
    "format_error",
    "format_findings",
    "format_plan",
    "format_plan_markdown",
    "format_problems",
    "format_results",
    "format_status",
    "plan_digest",
    "plan_to_json",
    "problems_to_json",
    "report_to_json",
    "status_to_json",
    "summarize_plan",
]
