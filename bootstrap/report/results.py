"""What came of a run: results, checks and the status table as text. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.model import Check, Report, Status, StepResult
from bootstrap.redact import escape_controls
from bootstrap.report.folding import name_step
from bootstrap.report.plan import summarize_plan
from bootstrap.report.text import (
    WIDTH,
    Paint,
    count,
    format_seconds,
    format_size,
    format_table,
    join_lines,
    list_hosts,
    wrap,
)

MAX_DETAIL = 40  # lines of a failed step that are shown; the log has all


@dataclass(frozen=True)
class StatusRow:
    """One host as `status` shows it; None and "" mean that nobody could say."""

    host: str
    role: str
    version: str = ""
    ready: bool | None = None
    age: float | None = None  # seconds
    disk_free_kb: int | None = None
    unit: str = ""


def format_results(report: Report, *, color: bool = False, width: int = WIDTH) -> str:
    """What failed and why first, then what was left out, the checks, what is left to do and where the logs are."""
    paint = Paint(color)
    lines = [_headline(report, paint)]
    for result in report.results:
        if result.status is not Status.DONE and not _never_began(result):
            lines += ["", *_trouble(result, paint, width)]
    lines += _not_begun(report.results)
    failed = [check for check in report.checks if not check.ok]
    if failed:
        lines += ["", f"{count(len(failed), 'check')} of {len(report.checks)} failed:"]
        lines += _check_table(failed, paint, width)
    lines += _remaining(report)
    if report.log_folder:
        lines += ["", f"logs: {report.log_folder}"]
    return join_lines(lines)


def format_checks(checks: Sequence[Check], *, color: bool = False, width: int = WIDTH) -> str:
    """Every check with its verdict; no checks at all is no success."""
    paint = Paint(color)
    if not checks:
        return join_lines([paint.red("FAILED  nothing was checked")])
    failed = sum(not check.ok for check in checks)
    total = f"{failed} of {count(len(checks), 'check')} FAILED" if failed else f"{count(len(checks), 'check')} ok"
    table = _check_table(checks, paint, width)
    return join_lines([*table, "", paint.red(total) if failed else paint.green(total)])


def format_status(rows: Sequence[StatusRow], *, color: bool = False, width: int = WIDTH) -> str:
    """One line for each host."""
    header = ("HOST", "ROLE", "VERSION", "READY", "AGE", "DISK FREE", "UNIT")
    lines = format_table(header, [_status_cells(row) for row in rows], width=width)
    paint = Paint(color)
    colored = [line if row.ready else paint.red(line) for row, line in zip(rows, lines[1:], strict=False)]
    return join_lines([paint.bold(lines[0]), *colored])


def _headline(report: Report, paint: Paint) -> str:
    done = sum(result.status is Status.DONE for result in report.results)
    hosts = {result.step.host for result in report.results}
    parts = [f"{done} of {count(len(report.results), 'step')} done on {count(len(hosts), 'host')}"] if hosts else []
    if report.checks:
        parts.append(f"{sum(check.ok for check in report.checks)} of {count(len(report.checks), 'check')} ok")
    else:
        parts.append("nothing was checked")
    verdict = paint.green("ok") if report.ok else paint.red("NOT ok")
    return f"{verdict}: {', '.join(parts)}"


def _trouble(result: StepResult, paint: Paint, width: int) -> Iterator[str]:
    time = f" after {format_seconds(result.seconds)}" if result.seconds else ""
    line = f"{result.status.upper()} {result.step.host}: {name_step(result.step)}{time}"
    yield paint.red(escape_controls(line))
    lines = [line for text in result.detail.splitlines() for line in wrap(text, indent="    ", width=width)]
    if len(lines) > MAX_DETAIL:
        yield f"    ... {count(len(lines) - MAX_DETAIL, 'line')} before these are in the log"
    yield from lines[-MAX_DETAIL:]


def _never_began(result: StepResult) -> bool:
    """Left out after a failure, or because the person ended the run before its turn."""
    return result.status is Status.SKIPPED or (result.status is Status.INTERRUPTED and not result.seconds)


def _not_begun(results: Sequence[StepResult]) -> list[str]:
    skipped = [result.step.host for result in results if _never_began(result)]
    if not skipped:
        return []
    hosts = list(dict.fromkeys(skipped))
    return ["", f"not begun: {count(len(skipped), 'step')} on {list_hosts(hosts)}"]


def _remaining(report: Report) -> list[str]:
    left = report.remaining
    if left is None or (left.is_empty and not left.unreachable):
        return []
    if left.is_empty:
        return ["", f"not reached, and so not as planned: {list_hosts(left.unreachable)}"]
    return ["", f"left to do: {summarize_plan(left)}"]


def _check_table(checks: Sequence[Check], paint: Paint, width: int) -> list[str]:
    rows = [("ok" if check.ok else "FAILED", check.name, check.subject, check.detail) for check in checks]
    lines = format_table(("", "CHECK", "ON", "DETAIL"), rows, width=width)
    return [_paint_verdict(line, paint) for line in lines]


def _paint_verdict(line: str, paint: Paint) -> str:
    if line.startswith("FAILED"):
        return paint.red("FAILED") + line[6:]
    return paint.green("ok") + line[2:] if line.startswith("ok ") else line


def _status_cells(row: StatusRow) -> tuple[str, ...]:
    return (
        row.host,
        row.role,
        row.version or "-",
        {True: "yes", False: "NO", None: "unknown"}[row.ready],
        "-" if row.age is None else _format_age(row.age),
        "-" if row.disk_free_kb is None else format_size(row.disk_free_kb),
        row.unit or "-",
    )


def _format_age(seconds: float) -> str:
    """As kubectl: one unit, two where it matters little."""
    whole = max(int(seconds), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
