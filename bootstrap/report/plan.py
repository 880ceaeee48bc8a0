"""A plan as terminal text. Pure, and the same bytes for the same plan."""

import re
from collections.abc import Iterable, Iterator, Sequence

from bootstrap.model import Disruption, Finding, Plan, Stage
from bootstrap.redact import escape_controls
from bootstrap.report.folding import Block, FoldedStep, Variant, diff_body, fold_stage, hosts_by_disruption, own_lines
from bootstrap.report.text import PLAIN, WIDTH, Paint, count, join_lines, list_hosts, wrap

MAX_DIFF = 40  # lines of one diff
MAX_VARIANTS = 8  # hosts whose own lines are shown beside the first host's diff

DOES = {
    Disruption.RESTART: "restarts Kubernetes on {}",
    Disruption.REINSTALL: "reinstalls Kubernetes on {}",
    Disruption.LOSS: "loses data by a step on {}",
    Disruption.REMOVE: "removes Kubernetes from {}",
}
NAMES = {"apply": "plan for {}", "reset": "plan to reset {}", "remove": "plan to remove from {}"}
EMPTY = {"reset": "nothing is left of {} on {}", "remove": "nothing is left to remove from {} on {}"}


def format_plan(plan: Plan, *, color: bool = False, width: int = WIDTH, host_count: int = 0) -> str:
    """The whole plan: what stops it, what it disturbs, then each stage with reasons and diffs.

    `host_count` is the number of hosts looked at; an empty plan names it.
    """
    paint = Paint(color)
    lines = [paint.bold(summarize_plan(plan, host_count)), *_disturbed(plan, paint)]
    lines += _section(_findings(plan.findings, paint, width))
    lines += _section(_unreachable(plan, paint, width))
    lines += _section(line for note in plan.notes for line in wrap(note, indent="", first="note: ", width=width))
    for number, stage in enumerate(_filled(plan), 1):
        lines += _section(_stage(number, stage, paint, width))
    return join_lines(lines)


def summarize_plan(plan: Plan, host_count: int = 0) -> str:
    """One line: `plan for home: 3 hosts, 7 steps, restarts Kubernetes on 1 host`."""
    if plan.is_empty:
        return _summarize_empty(plan, host_count)
    steps = sum(len(stage.steps) for stage in plan.stages)
    parts = [count(len(plan.hosts()), "host"), count(steps, "step")]
    found = hosts_by_disruption(plan)
    does = [DOES[kind].format(count(len(hosts), "host")) for kind, hosts in found.items() if kind in DOES]
    name = NAMES.get(plan.operation, f"{plan.operation} {{}}").format(plan.cluster)
    return f"{name}: {', '.join(parts + (does or ['restarts nothing']))}"


def format_findings(findings: Sequence[Finding], *, color: bool = False, width: int = WIDTH) -> str:
    """Findings by host: those that stop first, then those to know."""
    return join_lines(_findings(findings, Paint(color), width))


def _summarize_empty(plan: Plan, host_count: int) -> str:
    stops = sum(finding.stops for finding in plan.findings)
    if stops:
        return f"no plan for {plan.cluster} yet: {count(stops, 'finding')} must be settled first"
    hosts = count(host_count, "host") if host_count else "the hosts"
    if plan.operation in EMPTY:
        return "nothing to do: " + EMPTY[plan.operation].format(plan.cluster, hosts)
    if plan.unreachable:
        return f"nothing to do on the hosts of {plan.cluster} that answered"
    return f"nothing to do: {hosts} {'is' if host_count == 1 else 'are'} as the inventory says"


def _section(lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return ["", *found] if found else []


def _filled(plan: Plan) -> list[Stage]:
    return [stage for stage in plan.stages if stage.steps]


def _disturbed(plan: Plan, paint: Paint) -> Iterator[str]:
    """Which hosts feel it, by name."""
    words = {
        Disruption.RESTART: "restart",
        Disruption.REINSTALL: "reinstall",
        Disruption.LOSS: "lose data by",
        Disruption.REMOVE: "remove",
    }
    found = hosts_by_disruption(plan)
    if set(found) <= {Disruption.NONE}:
        return
    for kind, hosts in found.items():
        line = f"  {words.get(kind, 'undisturbed')}: {list_hosts(hosts)}"
        yield paint.yellow(line) if kind in words else line


def _unreachable(plan: Plan, paint: Paint, width: int) -> Iterator[str]:
    if plan.unreachable:
        text = f"{list_hosts(plan.unreachable)} (nothing is planned there)"
        yield from map(paint.red, wrap(text, indent="", first="not reached: ", width=width))


# --- findings ------------------------------------------------------------------------------------


def _findings(findings: Sequence[Finding], paint: Paint, width: int) -> Iterator[str]:
    stops = [finding for finding in findings if finding.stops]
    notes = [finding for finding in findings if not finding.stops]
    if stops:
        yield paint.red(f"{count(len(stops), 'finding')} to settle before anything is changed:")
        yield from _by_host(stops, paint, width)
    if notes:
        yield paint.yellow("to know:")
        yield from _by_host(notes, paint, width)


def _by_host(findings: Sequence[Finding], paint: Paint, width: int) -> Iterator[str]:
    """The same message of several hosts once."""
    named: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        named.setdefault((finding.message, finding.hint), []).append(finding.host)
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for message, names in named.items():
        groups.setdefault(tuple(names), []).append(message)
    for hosts, messages in groups.items():
        yield f"  {paint.bold(list_hosts([host for host in hosts if host]) or 'cluster')}"
        for text, hint in messages:
            yield from wrap(text, indent="    ", first="- ", width=width)
            if hint:
                yield from wrap(hint, indent="      ", first="next: ", width=width)


# --- stages --------------------------------------------------------------------------------------


def _stage(number: int, stage: Stage, paint: Paint, width: int) -> Iterator[str]:
    yield paint.bold(f"{number}. {stage.title}{describe_pace(stage)}")
    for block in fold_stage(stage):
        yield from _block(block, paint, width)


def describe_pace(stage: Stage) -> str:
    """How many hosts go together, when that is a question at all."""
    hosts = len(stage.hosts())
    if hosts == 1:
        return ""
    return " (one host after the other)" if stage.at_once == 1 else f" ({min(stage.at_once, hosts)} hosts at a time)"


def _block(block: Block, paint: Paint, width: int) -> Iterator[str]:
    yield from wrap(f"{list_hosts(block.hosts)}:", indent="  ", first="on ", width=width)
    for step in block.steps:
        disturbs = step.disruption is not Disruption.NONE
        line = f"    {'!' if disturbs else '*'} {escape_controls(step.title)}{f'  [{step.disruption}]' if disturbs else ''}"
        yield paint.yellow(line) if disturbs else line
        yield from _variants(step, paint, width)


def _variants(step: FoldedStep, paint: Paint, width: int) -> Iterator[str]:
    first = step.variants[0]
    if len(step.variants) == 1:
        yield from _reason(first, "      ", paint, width)
        yield from format_diff(first.diff, "        ", paint)
        return
    reasons = {variant.reason for variant in step.variants}
    if len(reasons) == 1:
        yield from _reason(first, "      ", paint, width)
    for variant in step.variants[:MAX_VARIANTS]:
        yield from _variant(variant, first, paint, width, shows_reason=len(reasons) > 1)
    yield from _left_out(step.variants[MAX_VARIANTS:])


def _variant(variant: Variant, first: Variant, paint: Paint, width: int, *, shows_reason: bool) -> Iterator[str]:
    own = own_lines(first.diff, variant.diff) if variant is not first and first.diff else None
    like = f" as on {first.hosts[0]}, but" if own else ""
    yield from wrap(f"{list_hosts(variant.hosts)}:{like}", indent="      ", width=width)
    if shows_reason:
        yield from _reason(variant, "        ", paint, width)
    shown = "\n".join(own) if own else variant.diff
    yield from format_diff(shown, "        ", paint)


def _reason(variant: Variant, indent: str, paint: Paint, width: int) -> Iterator[str]:
    if variant.reason:
        yield from map(paint.dim, wrap(variant.reason, indent=indent, first="why: ", width=width))


def _left_out(variants: Sequence[Variant]) -> Iterator[str]:
    hosts = [host for variant in variants for host in variant.hosts]
    if hosts:
        yield f"      {list_hosts(hosts)}: {count(len(hosts), 'more host')}, each with its own lines (all with -o json)"


def format_diff(diff: str, indent: str, paint: Paint = PLAIN) -> Iterator[str]:
    """A diff's lines, at most `MAX_DIFF` of them; that a new or a removed file is one hunk goes without saying."""
    lines = [line for line in diff_body(diff) if not re.match("@@ (-0,0|.* [+]0,0) ?", line)]
    for line in lines[:MAX_DIFF]:
        yield indent + _paint_line(escape_controls(line), paint)
    if len(lines) > MAX_DIFF:
        yield f"{indent}... {count(len(lines) - MAX_DIFF, 'more line')} (all with -o json)"


def _paint_line(line: str, paint: Paint) -> str:
    colors = {"+": paint.green, "-": paint.red, "@": paint.cyan}
    return colors[line[0]](line) if line[:1] in colors else line
