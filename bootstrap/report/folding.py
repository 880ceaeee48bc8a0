"""A plan in the shape that people read: equal steps of many hosts told once, worst disruption first. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bootstrap.model import Disruption, Plan, Stage, Step

ANY_HOST = "<host>"  # stands for the host's own name in a line that speaks of several
ORDER = tuple(Disruption)


@dataclass(frozen=True)
class Variant:
    """Hosts on which a step has the same reason and diff."""

    hosts: tuple[str, ...]
    reason: str
    diff: str


@dataclass(frozen=True)
class FoldedStep:
    """One step on all hosts of its block."""

    title: str
    disruption: Disruption
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Block:
    """Hosts that do the same steps in the same order."""

    hosts: tuple[str, ...]
    steps: tuple[FoldedStep, ...]


def fold_stage(stage: Stage) -> tuple[Block, ...]:
    """The stage's hosts in blocks. Where hosts go one by one only neighbours fold, so that the order stays visible."""
    keyed = [(_signature(steps), steps) for steps in steps_by_host(stage.steps).values()]
    if stage.at_once > 1:
        first = {key: index for index, (key, _) in reversed(list(enumerate(keyed)))}
        keyed.sort(key=lambda item: first[item[0]])
    groups = groupby(keyed, key=lambda item: item[0])
    return tuple(_make_block([steps for _, steps in group]) for _, group in groups)


def name_step(step: Step) -> str:
    """Its title, with the place where that is another host than the one it is done for."""
    return step.title if step.place == step.host else f"{step.title} (done on {step.place})"


def _signature(steps: Sequence[Step]) -> tuple[tuple[str, Disruption], ...]:
    return tuple((_without_name(name_step(step), step.host), step.disruption) for step in steps)


def _make_block(hosts: Sequence[Sequence[Step]]) -> Block:
    names = tuple(steps[0].host for steps in hosts)
    return Block(names, tuple(_fold_step(row) for row in zip(*hosts, strict=True)))


def _fold_step(steps: Sequence[Step]) -> FoldedStep:
    """Steps of several hosts with one title as one step."""
    title = _common([name_step(step) for step in steps], steps)
    reasons = [step.reason for step in steps]
    if len({_without_name(step.reason, step.host) for step in steps}) == 1:
        reasons = [_common(reasons, steps)] * len(steps)
    hosts: dict[tuple[str, str], list[str]] = {}
    for step, reason in zip(steps, reasons, strict=True):
        hosts.setdefault((reason, step.diff), []).append(step.host)
    variants = tuple(Variant(tuple(names), reason, diff) for (reason, diff), names in hosts.items())
    return FoldedStep(title, steps[0].disruption, variants)


def _common(texts: Sequence[str], steps: Sequence[Step]) -> str:
    """The text that all have, the host's name left open where it is part of it."""
    return texts[0] if len(set(texts)) == 1 else _without_name(texts[0], steps[0].host)


def _without_name(text: str, host: str) -> str:
    return re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", ANY_HOST, text)


# --- diffs beside each other ---------------------------------------------------------------------


def diff_body(diff: str) -> list[str]:
    """A diff's lines without the two that name the file."""
    lines = diff.splitlines()
    return lines[2:] if lines[:1] and lines[0].startswith("--- ") else lines


def own_lines(first: str, other: str) -> list[str] | None:
    """What `other` has in place of some lines of `first`; None when they differ in more than a few lines."""
    before, after = ([line for line in diff_body(diff) if not line.startswith("@@")] for diff in (first, other))
    if len(before) != len(after):
        return None
    pairs = list(zip(before, after, strict=True))
    changed = [new for old, new in pairs if old != new]
    same_signs = all(old[:1] == new[:1] for old, new in pairs)
    return changed if same_signs and 2 * len(changed) <= len(after) else None


# --- by host -------------------------------------------------------------------------------------


def steps_by_host(steps: Iterable[Step]) -> dict[str, list[Step]]:
    """Each host's steps in their order, hosts in the order in which they first appear."""
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.host, []).append(step)
    return found


def plan_by_host(plan: Plan) -> dict[str, list[Step]]:
    return steps_by_host(step for stage in plan.stages for step in stage.steps)


def worst(steps: Iterable[Step]) -> Disruption:
    """The worst that these steps do; none of no steps."""
    return max((step.disruption for step in steps), key=ORDER.index, default=Disruption.NONE)


def hosts_by_disruption(plan: Plan) -> dict[Disruption, tuple[str, ...]]:
    """Every host of the plan under the worst that happens to it, worst first."""
    worst_of = {host: worst(steps) for host, steps in plan_by_host(plan).items()}
    found = {kind: tuple(host for host, worst_kind in worst_of.items() if worst_kind is kind) for kind in ORDER[::-1]}
    return {kind: hosts for kind, hosts in found.items() if hosts}
