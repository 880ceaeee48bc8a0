"""Mistakes and errors as text: file:line:column with the source line, what, where, why, what next. Pure."""

from collections.abc import Iterator

from bootstrap.errors import BootstrapError, InventoryError, PreflightError, Problem
from bootstrap.redact import escape_controls
from bootstrap.report.text import WIDTH, Paint, count, join_lines, measure, wrap

MARGIN = 4  # columns before the source line


def format_problems(error: InventoryError, *, color: bool = False, width: int = WIDTH) -> str:
    """Every problem with its source line, a caret below the place, and a hint; the number of them last."""
    paint = Paint(color)
    lines = [line for problem in error.problems for line in _problem(problem, paint, width)]
    files = ", ".join(dict.fromkeys(problem.file for problem in error.problems))
    total = f"{count(len(error.problems), 'problem')}{f' in {files}' if files else ''}"
    return join_lines([*lines, paint.red(escape_controls(total))])


def format_error(error: BootstrapError, *, color: bool = False, width: int = WIDTH) -> str:
    """Any error of ours, in as many lines as it needs. Never a traceback."""
    if isinstance(error, InventoryError):
        return format_problems(error, color=color, width=width)
    paint = Paint(color)
    place = f"{error.where}: " if error.where else ""
    what = list(wrap(f"{place}{error.what}", indent="", first="error: ", width=width))
    lines = [paint.red(what[0]), *what[1:]]
    if isinstance(error, PreflightError):
        lines += [line for finding in error.findings for line in wrap(finding, indent="  ", first="- ", width=width)]
    if error.why:
        lines += wrap(error.why, indent="  ", first="why:  ", width=width)
    if error.next_step:
        lines += wrap(error.next_step, indent="  ", first="next: ", width=width)
    return join_lines(lines)


def _problem(problem: Problem, paint: Paint, width: int) -> Iterator[str]:
    place = f"{problem.file}:{problem.line}:{problem.column}:"
    yield f"{paint.bold(escape_controls(place))} {escape_controls(problem.message)}"
    if problem.source.strip():
        yield from _source(problem, paint, width)
    if problem.hint:
        yield from wrap(problem.hint, indent="  ", first="hint: ", width=width)


def _source(problem: Problem, paint: Paint, width: int) -> Iterator[str]:
    """The source line and the caret; of a long line the part around the place."""
    before, after = _visible(problem.source[: problem.column - 1]), _visible(problem.source[problem.column - 1 :])
    room = max(width - MARGIN, 20)
    start = max(len(before) - room // 2, 0) if measure(before + after) > room else 0
    before = ("..." if start else "") + before[start:]
    line = before + after
    if measure(line) > room:
        line = line[: room - 3] + "..."
    yield " " * MARGIN + line.rstrip()
    yield " " * (MARGIN + measure(before)) + paint.red("^")


def _visible(text: str) -> str:
    """One character stays one place: a tab becomes a blank, what would steer the terminal an escape."""
    return escape_controls(text.rstrip("\r\n").replace("\t", " "))
