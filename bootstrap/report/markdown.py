"""A plan as a comment for a pull request: one line, a table of hosts, folded stages with diffs. Pure."""

import re
from collections.abc import Iterator, Sequence

from bootstrap.model import Disruption, Finding, Plan, Stage
from bootstrap.report.folding import FoldedStep, Variant, fold_stage, own_lines, plan_by_host, worst
from bootstrap.report.plan import describe_pace, summarize_plan
from bootstrap.report.text import count, join_lines, list_hosts

LIMIT = 60_000  # characters; GitHub and Forgejo refuse comments above 65,536


def format_plan_markdown(plan: Plan, *, host_count: int = 0, limit: int = LIMIT) -> str:
    """The comment. When it would pass `limit` the diffs are left out, then the stages, and it says so."""
    full = join_lines([*_head(plan, host_count), *_stages(plan, shows_diffs=True)])
    if len(full) <= limit:
        return full
    note = "Diffs are left out: the comment would be too long. `bootstrap plan -o json` has them."
    short = join_lines([*_head(plan, host_count), note, "", *_stages(plan, shows_diffs=False)])
    if len(short) <= limit:
        return short
    return join_lines([*_head(plan, host_count), "Stages are left out: the comment would be too long."])[:limit]


def _head(plan: Plan, host_count: int) -> Iterator[str]:
    yield f"### {_escape(summarize_plan(plan, host_count))}"
    yield ""
    yield from _alert("CAUTION", [finding for finding in plan.findings if finding.stops])
    yield from _alert("NOTE", [finding for finding in plan.findings if not finding.stops])
    if plan.unreachable:
        yield from (
            "> [!WARNING]",
            f"> not reached: {_escape(list_hosts(plan.unreachable))} (nothing is planned there)",
        )
        yield ""
    if plan.notes:
        yield from [*(f"- {_escape(note)}" for note in plan.notes), ""]
    yield from _host_table(plan)


def _alert(kind: str, findings: Sequence[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield f"> [!{kind}]"
    for finding in findings:
        hint = f" Next: {_escape(finding.hint)}" if finding.hint else ""
        place = f"**{_escape(finding.host)}**: " if finding.host else ""
        yield f"> - {place}{_escape(finding.message).rstrip('.')}.{hint}"
    yield ""


def _host_table(plan: Plan) -> Iterator[str]:
    """Hosts with the same number of steps and the same disruption share a row."""
    if plan.is_empty:
        return
    rows: dict[tuple[int, Disruption], list[str]] = {}
    for host, steps in plan_by_host(plan).items():
        rows.setdefault((len(steps), worst(steps)), []).append(host)
    yield from ("| host | steps | disruption |", "|---|---:|---|")
    for (number, disruption), hosts in rows.items():
        word = f"**{disruption}**" if disruption is not Disruption.NONE else "none"
        yield f"| {_escape(list_hosts(hosts))} | {number} | {word} |"
    yield ""


def _stages(plan: Plan, *, shows_diffs: bool) -> Iterator[str]:
    filled = [stage for stage in plan.stages if stage.steps]
    for number, stage in enumerate(filled, 1):
        yield from _stage(number, stage, shows_diffs=shows_diffs)


def _stage(number: int, stage: Stage, *, shows_diffs: bool) -> Iterator[str]:
    title = f"{number}. {stage.title}: {count(len(stage.steps), 'step')}{describe_pace(stage)}"
    yield from (f"<details><summary>{_escape_html(title)}</summary>", "")
    for block in fold_stage(stage):
        yield from (f"**{_escape(list_hosts(block.hosts))}**", "")
        for step in block.steps:
            yield from _step(step, shows_diffs=shows_diffs)
        yield ""
    yield from ("</details>", "")


def _step(step: FoldedStep, *, shows_diffs: bool) -> Iterator[str]:
    word = f" **[{step.disruption}]**" if step.disruption is not Disruption.NONE else ""
    reasons = list(dict.fromkeys(variant.reason for variant in step.variants if variant.reason))
    reason = f": {_escape(reasons[0])}" if len(reasons) == 1 else ""
    yield f"- {_escape(step.title)}{word}{reason}"
    if len(step.variants) == 1:
        yield from _fence(step.variants[0].diff if shows_diffs else "", "  ")
        return
    for variant in step.variants:
        own = _own_lines(step, variant)
        reason = f": {_escape(variant.reason)}" if len(reasons) > 1 and variant.reason else ""
        like = f" (as on {_escape(step.variants[0].hosts[0])}, but)" if own and shows_diffs else ""
        yield f"  - {_escape(list_hosts(variant.hosts))}{reason}{like}"
        yield from _fence((own or variant.diff) if shows_diffs else "", "    ")


def _own_lines(step: FoldedStep, variant: Variant) -> str:
    first = step.variants[0]
    return "\n".join(own_lines(first.diff, variant.diff) or ()) if variant is not first else ""


def _fence(diff: str, indent: str) -> Iterator[str]:
    """A block of diff that nothing inside can close; nothing for no diff."""
    if not diff:
        return
    longest = max((len(run) for run in re.findall("`+", diff)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from ("", f"{indent}{fence}diff", *(indent + line for line in diff.splitlines()), f"{indent}{fence}", "")


def _escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no formula, no mention of a person; `code` stays code."""
    words = re.split("(`[^`]+`)", " ".join(text.split()))
    return "".join(word if index % 2 else _escape_plain(word) for index, word in enumerate(words))


def _escape_plain(text: str) -> str:
    escaped = re.sub(r"([\\`*_{}\[\]<>|~#$])", r"\\\1", text)
    return escaped.replace("&", "&amp;").replace("@", "&#64;")


def _escape_html(text: str) -> str:
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
