"""Plans are short, complete, safe to print, and the same for the same input."""

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model import Disruption, Finding, Plan, Put, Report, Run, Stage, Step
from bootstrap.redact import escape_controls
from bootstrap.report import (
    checks_to_json,
    format_checks,
    format_findings,
    format_plan,
    format_plan_markdown,
    plan_digest,
    plan_to_json,
    report_to_json,
    status_to_json,
    summarize_plan,
)
from bootstrap.report.text import count, format_seconds, format_size, list_hosts, wrap

ROOT = Path(__file__).resolve().parents[2]


def step(host: str, title: str = "do it", reason: str = "why not", diff: str = "", **more: object) -> Step:
    return Step(host, title, reason, Run("true"), diff, **more)  # type: ignore[arg-type]


def plan(*steps: Step, at_once: int = 9) -> Plan:
    return Plan("home", "apply", (Stage("one", steps, at_once),))


# --- folding -------------------------------------------------------------------------------------


def test_equal_steps_of_many_hosts_are_told_once() -> None:
    text = format_plan(plan(*(step(f"pi-{number}") for number in range(1, 201))))
    assert text.count("do it") == 1
    assert "on pi-{1..200}:" in text


def test_a_host_with_other_steps_has_its_own_block() -> None:
    text = format_plan(plan(step("a"), step("b", "else"), step("c")))
    assert re.findall(r"on (.*):", text) == ["a, c", "b"]


def test_hosts_that_go_one_by_one_stay_in_their_order() -> None:
    text = format_plan(plan(step("a"), step("b", "else"), step("c"), at_once=1))
    assert re.findall(r"on (.*):", text) == ["a", "b", "c"]


def test_steps_stay_in_the_order_of_their_host() -> None:
    text = format_plan(plan(step("a", "x"), step("a", "z"), step("b", "x"), step("b", "y"), step("b", "z")))
    assert re.findall(r"\* (.)", text) == ["x", "z", "x", "y", "z"]


def test_titles_that_differ_only_by_the_hosts_name_fold() -> None:
    text = format_plan(plan(step("pi-1", "wait for pi-1"), step("pi-10", "wait for pi-10")))
    assert "wait for <host>" in text
    assert text.count("wait for") == 1


def test_a_disruptive_step_does_not_fold_with_a_harmless_one() -> None:
    text = format_plan(plan(step("a"), step("b", disruption=Disruption.RESTART)))
    assert "! do it  [restart]" in text
    assert "* do it" in text


def test_reasons_that_differ_are_all_told() -> None:
    text = format_plan(plan(step("a", reason="because"), step("b", reason="therefore")))
    assert "why: because" in text
    assert "why: therefore" in text


def test_a_step_done_elsewhere_names_the_place() -> None:
    assert "forget it (done on pi-1)" in format_plan(plan(step("pi-2", "forget it", on="pi-1")))


def test_a_plan_for_a_hundred_fresh_hosts_fits_on_two_screens() -> None:
    assert len(format_plan(samples.fresh(100)).splitlines()) < 80


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x1", "y2", "z3"])), min_size=1), st.integers(1, 9)
)
def test_folding_loses_no_step(work: list[tuple[str, str]], at_once: int) -> None:
    made = plan(*(step(host, title) for host, title in work), at_once=at_once)
    shown = []
    for line in format_plan(made).splitlines():
        if line.startswith("  on "):
            names = line[5:].rstrip(":").split(", ")
        elif line.startswith("    * "):
            shown += [(name, line[6:]) for name in names]
    assert sorted(shown) == sorted(work)


# --- summary -------------------------------------------------------------------------------------


def test_the_summary_counts_hosts_steps_and_restarts() -> None:
    made = plan(step("a"), step("b", disruption=Disruption.RESTART), step("c"))
    assert summarize_plan(made) == "plan for home: 3 hosts, 3 steps, restarts Kubernetes on 1 host"


def test_an_empty_plan_with_findings_that_stop_does_not_say_that_nothing_is_to_do() -> None:
    assert "nothing to do" not in format_plan(samples.STOPPED)


def test_an_empty_plan_with_a_host_that_is_away_does_not_speak_for_it() -> None:
    text = format_plan(replace(samples.EMPTY, unreachable=("pi-4",)), host_count=3)
    assert "that answered" in text
    assert "not reached: pi-4" in text


def test_the_worst_of_a_hosts_steps_counts() -> None:
    steps = [step("a", disruption=kind) for kind in (Disruption.RESTART, Disruption.REINSTALL, Disruption.NONE)]
    assert json.loads(plan_to_json(plan(*steps)))["hosts"] == [{"name": "a", "steps": 3, "disruption": "reinstall"}]


# --- safety --------------------------------------------------------------------------------------


def test_control_characters_of_a_host_never_reach_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\u202e"
    made = replace(
        plan(step("a", evil, evil, f"--- a\n+++ b\n+{evil}")), notes=(evil,), findings=(Finding("a", evil, evil),)
    )
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", format_plan(made))


def test_contents_and_standard_input_are_in_no_output() -> None:
    canary = "canary-4711"
    made = plan(
        Step("a", "t", "r", Put("/x", canary)),
        Step("a", "t", "r", Run("true", stdin=canary)),
    )
    for text in (format_plan(made), format_plan_markdown(made), plan_to_json(made), repr(made)):
        assert canary not in text


def test_markup_in_a_reason_does_not_become_markup() -> None:
    text = format_plan_markdown(plan(step("a", "@ada <b> *x* | $y$", "`code` _x_")))
    assert "@ada" not in text
    assert "<b>" not in text
    assert "\\*x\\*" in text
    assert "`code` \\_x\\_" in text


def test_a_fence_in_a_diff_can_not_close_its_block() -> None:
    text = format_plan_markdown(plan(step("a", diff="--- a\n+++ b\n+```\n+# huge\n")))
    assert "````diff" in text


def test_a_comment_that_would_be_too_long_leaves_diffs_out_and_says_so() -> None:
    diff = "--- a\n+++ b\n" + "+x\n" * 30_000
    text = format_plan_markdown(plan(step("a", diff=diff)))
    assert len(text) < 60_000
    assert "Diffs are left out" in text
    assert "- do it" in text


def test_a_comment_with_too_many_steps_keeps_its_head() -> None:
    text = format_plan_markdown(
        plan(*(step(f"h{number}", f"step {number * 7919}") for number in range(3000))), limit=9000
    )
    assert len(text) <= 9000
    assert text.startswith("### plan for home: 3000 hosts")


def test_details_are_closed_as_often_as_opened() -> None:
    text = format_plan_markdown(samples.CHANGED)
    assert text.count("<details>") == text.count("</details>") == 3


# --- the same bytes ------------------------------------------------------------------------------

PRINT = """
import sys; sys.path[:0] = [{root!r}, {here!r}]
import samples, bootstrap.report as report
for plan in (samples.fresh(30), samples.CHANGED, samples.STOPPED):
    print(report.format_plan(plan), report.format_plan_markdown(plan), report.plan_to_json(plan), report.plan_digest(plan))
"""


def test_plans_are_the_same_bytes_whatever_the_hash_seed_and_locale() -> None:
    script = PRINT.format(root=str(ROOT), here=str(Path(__file__).parent))
    outputs = set()
    for seed, locale in (("0", "C"), ("1", "C.UTF-8"), ("4711", "POSIX")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "PYTHONIOENCODING": "utf-8"}
        found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
        outputs.add(hashlib.sha256(found.stdout).hexdigest())
        assert found.stdout
    assert len(outputs) == 1


CHANGES = {
    "a content": lambda made: plan(Step("a", "t", "r", Put("/x", "other"))),
    "a mode": lambda made: plan(Step("a", "t", "r", Put("/x", "content", "0600"))),
    "a script": lambda made: plan(Step("a", "t", "r", Run("false"))),
    "the pace": lambda made: plan(*made.stages[0].steps, at_once=1),
    "the operation": lambda made: replace(made, operation="reset"),
    "a host away": lambda made: replace(made, unreachable=("b",)),
    "the order": lambda made: replace(made, stages=(*made.stages, *made.stages)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_changes_with(change: str) -> None:
    made = plan(Step("a", "t", "r", Put("/x", "content")))
    assert plan_digest(CHANGES[change](made)) != plan_digest(made)


def test_the_digest_does_not_change_with_what_is_only_said() -> None:
    made = samples.CHANGED
    assert plan_digest(
        replace(made, notes=("x",), findings=(Finding("a", "clock 0.3 s off", stops=False),))
    ) == plan_digest(made)


# --- verdicts ------------------------------------------------------------------------------------


def test_no_checks_are_no_success() -> None:
    assert "FAILED" in format_checks(())
    assert json.loads(checks_to_json(()))["ok"] is False
    assert json.loads(report_to_json(Report()))["ok"] is False


def test_findings_of_many_hosts_are_told_once() -> None:
    text = format_findings([Finding(f"pi-{number}", "swap is on", stops=False) for number in range(1, 9)])
    assert text == "to know:\n  pi-{1..8}\n    - swap is on\n"


# --- the documented keys -------------------------------------------------------------------------


def keys(described: object) -> set[str]:
    if isinstance(described, dict):
        return set(described) | {key for value in described.values() for key in keys(value)}
    return {key for value in described for key in keys(value)} if isinstance(described, list) else set()


def test_every_json_key_is_documented() -> None:
    documents = [
        plan_to_json(samples.CHANGED),
        plan_to_json(samples.fresh(2)),
        report_to_json(samples.REPORT),
        checks_to_json(samples.CHECKS),
        status_to_json(samples.ROWS),
    ]
    documented = set(re.findall(r"`([a-z0-9_-]+)`", (ROOT / "docs" / "json.md").read_text("utf-8")))
    for document in documents:
        assert keys(json.loads(document)) - documented == set()
        assert f"`{json.loads(document)['schema']}`" in (ROOT / "docs" / "json.md").read_text("utf-8")


# --- words and numbers ---------------------------------------------------------------------------


def test_runs_of_numbered_hosts_are_folded() -> None:
    assert list_hosts(["a", "b"]) == "a, b"
    assert list_hosts(["pi-1", "pi-2", "pi-3", "pi-5", "nas", "w08", "w09", "w10"]) == "pi-{1..3}, pi-5, nas, w{08..10}"
    assert list_hosts(["w9", "w10", "w11", "w012", "x"]) == "w{9..11}, w012, x"


def test_numbers_have_their_nouns() -> None:
    assert [count(1, "host"), count(2, "host"), count(2, "entry"), count(2, "day")] == [
        "1 host",
        "2 hosts",
        "2 entries",
        "2 days",
    ]


def test_times_and_sizes_are_for_people() -> None:
    assert [format_seconds(value) for value in (0.04, 59.96, 3599.6, 7200, 200_000)] == [
        "0.0 s", "1 min 00 s", "1 h 00 min", "2 h 00 min", "2 d",
    ]  # fmt: skip
    assert [format_size(value) for value in (5, 40_000, 13_000_000)] == ["5 kB", "39 MB", "12.4 GB"]


@given(st.text(), st.integers(10, 100))
def test_wrapped_text_keeps_its_words(text: str, width: int) -> None:
    lines = list(wrap(text, indent="  ", first="- ", width=width))
    assert lines[0].startswith("  - ")
    assert " ".join(lines)[4:].split() == escape_controls(text).split()
