"""Asking hosts: one script each, all at once; garbage is an error of that host, never a crash."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootstrap.errors import AuthenticationError, BootstrapError, TransportError, UnreachableError
from bootstrap.facts import format_record, make_host_facts, parse_lease, parse_record
from bootstrap.model import CommandResult, Probe, Record
from bootstrap.observe import observe, observe_host, read_answers, write_script
from tests.fakes import Machine, RuleTransport
from tests.observe.test_recorded import HOSTS, MARK, RECORDED, make_inventory_of
from tests.plan.world import make_host

WORDS = Probe("words", "echo one two", str.split)
SILENT = Probe("silent", "exit 3", str)
NOISY = Probe("noisy", "echo out; echo err >&2; cat; printf 'no newline'", str)


def ask(machine: Machine, *probes: Probe) -> dict[str, object]:
    return read_answers(
        probes, "mark-1", machine.connect().run(write_script(probes, "mark-1"), stdin=b"typed ahead").stdout
    )


def all_probes():
    from bootstrap.distros import find_driver

    host = make_host("h1", HOSTS["debian-server"], 11)
    return find_driver("k3s").probes(make_inventory_of(host), host)


def test_each_probe_gets_its_own_answer(tmp_path: Path) -> None:
    found = ask(Machine("h1", tmp_path), WORDS, SILENT, NOISY, WORDS)
    assert found == {"words": ["one", "two"], "silent": "", "noisy": "out\nno newline"}


def test_a_probe_can_not_end_the_others_or_read_their_input(tmp_path: Path) -> None:
    rude = Probe("rude", "set -eu; cd /; exec 1>&1; x=1; kill -TERM $(sh -c 'echo $PPID') 2>/dev/null; exit 1", str)
    found = ask(Machine("h1", tmp_path), rude, WORDS)
    assert found["words"] == ["one", "two"]


def test_what_login_shells_print_before_and_after_does_not_matter(tmp_path: Path) -> None:
    result = Machine("h1", tmp_path).connect().run(write_script([WORDS], "mark-1"))
    noisy = f"Welcome!\nmark-begin-0\n{result.stdout}bye\n"
    assert read_answers([WORDS], "mark-1", noisy) == {"words": ["one", "two"]}


def test_marks_differ_from_look_to_look() -> None:
    host = RuleTransport("h1", [("", CommandResult(0, "", ""))])
    for _ in range(2):
        with pytest.raises(TransportError):
            observe_host(host, [WORDS])
    assert len(set(host.scripts)) == 2


# --- garbage -------------------------------------------------------------------------------------


def answering(text: str, code: int = 0, stderr: str = "") -> RuleTransport:
    """A host that prints `text`, in which MARK stands for the mark of the look."""

    def answer(script: str, stdin: bytes) -> CommandResult:
        mark = script.split("-begin-0", 1)[0].split()[-1]
        return CommandResult(code, text.replace(MARK, mark), stderr)

    return RuleTransport("h1", [("", answer)])


def test_a_whole_answer_makes_facts() -> None:
    facts = observe_host(answering((RECORDED / "debian-server.txt").read_text()), all_probes())
    assert facts.host == "h1"


@pytest.mark.parametrize(
    ("text", "code", "stderr", "why"),
    [
        ("", 255, "sh: not found", "exit code 255; last line: sh: not found"),
        ("This account is currently not available.\n", 1, "", "last line: This account is currently not available."),
        ("", 0, "", "last line: none"),
    ],
)
def test_no_answer_is_told_with_the_hosts_last_line(text: str, code: int, stderr: str, why: str) -> None:
    with pytest.raises(TransportError, match="the host's answers can't be read") as caught:
        observe_host(answering(text, code, stderr), all_probes())
    assert why in caught.value.why
    assert caught.value.host == "h1"


@pytest.mark.parametrize("name", HOSTS)
def test_an_answer_that_is_cut_off_anywhere_is_an_error_of_that_host(name: str) -> None:
    text = (RECORDED / f"{name}.txt").read_text()
    host = make_host("h1", HOSTS[name], 11)
    from bootstrap.distros import find_driver

    probes = find_driver("k3s").probes(make_inventory_of(host), host)
    lines = text.splitlines(keepends=True)
    for cut in range(len(lines) - 1):
        with pytest.raises(TransportError):
            observe_host(answering("".join(lines[:cut])), probes)


GARBAGE = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [
                "k=v",
                "=",
                "memory_kb=x",
                "free=",
                "listen=zz",
                "address=",
                "uptime=",
                "{}",
                "[1]",
                '{"items": [1]}',
                '{"items": {"a": 1}}',
                '{"items": [{}]}',
                '{"items": [{"metadata": null}]}',
                "null",
                "1 2 3 4 5",
                "Id=x",
                "NRestarts=many",
                "file 600 5 a:b /p",
                "file 600 x a:b /p",
                "content",
                "====",
                "é",
            ]
        ),
        max_size=6,
    ).map("\n".join),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(garbage=GARBAGE, number=st.integers(0, 10))
def test_garbage_in_any_answer_is_an_error_of_that_host_or_no_harm(garbage: str, number: int) -> None:
    probes = all_probes()
    text = "".join(f"{MARK}-begin-{n}\n{garbage if n == number else ''}\n{MARK}-end-{n}\n" for n in range(len(probes)))
    try:
        facts = observe_host(answering(text), probes)
    except TransportError:
        return
    assert facts.host == "h1"


# --- all hosts -----------------------------------------------------------------------------------


def test_hosts_that_fail_are_told_and_the_others_seen() -> None:
    text = (RECORDED / "debian-fresh.txt").read_text()

    def connect(name: str) -> RuleTransport:
        if name == "down":
            raise UnreachableError("down", "no answer")
        if name == "locked":
            raise AuthenticationError("locked", "it refuses our keys")
        return replace(answering("nonsense" if name == "odd" else text), host=name)

    names = ("down", "b", "locked", "odd", "a")
    facts, failed = observe(connect, {name: all_probes() for name in names})
    assert list(facts) == ["b", "a"]
    assert set(failed) == {"down", "locked", "odd"}
    assert isinstance(failed["down"], UnreachableError)


def test_an_error_that_is_no_hosts_own_ends_the_look() -> None:
    def connect(name: str) -> RuleTransport:
        raise BootstrapError("known_hosts can't be read")

    with pytest.raises(BootstrapError, match="known_hosts"):
        observe(connect, {"a": all_probes()})


def test_no_host_is_no_fact() -> None:
    assert observe(lambda name: answering(""), {}) == ({}, {})


@pytest.mark.parametrize(
    ("before", "after", "offset"),
    [
        (0.0, 0.2, 0.0),  # within the look
        (0.9, 1.1, 0.0),  # whole seconds: the clock may be almost a second further
        (-40.0, 3.0, 0.0),  # a look that took long says nothing against the clock
        (31.0, 32.0, -30.0),
        (-60.0, -20.0, 20.0),
    ],
)
def test_only_what_is_surely_off_counts_against_a_clock(before, after, offset) -> None:
    answers = read_answers(all_probes(), MARK, (RECORDED / "debian-fresh.txt").read_text())
    now = 1795582744.0
    assert make_host_facts("h1", answers, asked=(now + before, now + after)).clock_offset == offset


# --- records and leases --------------------------------------------------------------------------

NAMES = st.lists(st.text(min_size=1, max_size=8), max_size=4, unique=True).map(lambda names: tuple(sorted(names)))
RECORDS = st.builds(
    Record,
    cluster=st.text(max_size=8),
    applied=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    labels=NAMES,
    annotations=NAMES,
    taints=NAMES,
    hooks=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)


@given(RECORDS)
def test_a_record_reads_as_it_was_written(record: Record) -> None:
    assert parse_record(format_record(record)) == record


@given(RECORDS)
def test_equal_records_have_equal_bytes(record: Record) -> None:
    turned = replace(record, applied=dict(reversed(record.applied.items())), labels=tuple(reversed(record.labels)))
    assert format_record(turned) == format_record(record)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "cluster",
            "applied",
            "labels",
            "annotations",
            "taints",
            "hooks",
            "run",
            "owner",
            "uptime",
            "operation",
            "boot_id",
        ]
    ),
    JSON,
)


@given(FIELDS | JSON)
def test_json_of_any_form_is_a_record_and_a_lease_or_none(fields: object) -> None:
    text = json.dumps(fields)
    assert parse_record(text) is None or isinstance(parse_record(text), Record)
    lease = parse_lease(text, 10.0)
    assert lease is None or isinstance(lease.age, float)
