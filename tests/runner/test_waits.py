"""The conditions that k3s is waited on with, in real shells, with what the real k3s and systemd answer."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bootstrap.distros.k3s import waits
from bootstrap.model import CommandResult, Wait
from tests.fakes import Machine

VERSION = "v1.36.3+k3s1"
RECORDED = Path(__file__).parent.parent / "observe" / "recorded" / "debian-server.txt"
UP = "ActiveState=active\nSubState=running\nJob=\nNRestarts=0\nActiveEnterTimestampMonotonic=0"


def recorded_node(name: str) -> dict[str, Any]:
    (line,) = [line for line in RECORDED.read_text().splitlines() if line.startswith('{"kind":"NodeList"')]
    return next(item for item in json.loads(line)["items"] if item["metadata"]["name"] == name)


class K3sHost:
    """A host whose k3s and systemctl are scripts that print what they are told to."""

    def __init__(self, machine: Machine, *, init: str = "systemd") -> None:
        self.machine = machine
        self.bin = machine.root / "bin"
        self.bin.mkdir(parents=True)
        if init == "systemd":
            machine.place("/run/systemd/system").mkdir()
        machine.place("/run/bootstrap").mkdir(exist_ok=True)
        words = ("env", f"PATH={self.bin}:{machine.applets or ''}:/usr/bin:/bin")
        machine.shell = (*words, *machine.shell)
        self.place("systemctl", f"cat <<'END'\n{UP}\nEND")
        self.answer(recorded_node("h1"))

    def place(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def unit(self, **states: str) -> None:
        text = "\n".join(f"{name}={value}" for name, value in states.items())
        self.place("systemctl", f"cat <<'END'\n{text}\nEND")

    def answer(self, node: object, readyz: str = "echo ok") -> None:
        (self.bin / "node.json").write_text(node if isinstance(node, str) else json.dumps(node, separators=(",", ":")))
        self.place("k3s", f'case "$*" in *readyz*) {readyz};; *nodes/*) cat {self.bin}/node.json;; *) exit 1;; esac')

    def look(self, wait: Wait) -> CommandResult:
        """One look; how often it is made again is no matter here."""
        return self.machine.connect().run(wait.script.replace("/usr/local/bin/k3s", str(self.bin / "k3s")))

    def seen(self, wait: Wait) -> tuple[int, str]:
        result = self.look(wait)
        return result.exit_code, result.stdout.strip()


@pytest.fixture
def host(tmp_path: Path, shell: tuple[tuple[str, ...], Path | None]) -> K3sHost:
    return K3sHost(Machine("h1", tmp_path / "h1", *shell))


SERVER = waits.wait_for_server("k3s", "h1", VERSION, networked=True, voter=True)
NODE = waits.wait_for_node("h1", VERSION)


def test_a_server_that_is_ready_votes_and_runs_the_version(host: K3sHost) -> None:
    assert host.seen(SERVER) == (0, "")


@pytest.mark.parametrize(
    ("states", "seen"),
    [
        (
            {"ActiveState": "activating", "SubState": "start", "Job": "12", "NRestarts": "0"},
            (1, "k3s is activating (start)"),
        ),
        (
            {"ActiveState": "active", "SubState": "running", "Job": "12", "NRestarts": "0"},
            (1, "k3s is active (running)"),
        ),
        ({"ActiveState": "failed", "SubState": "failed", "Job": "", "NRestarts": "0"}, (1, "k3s is failed (failed)")),
        (
            {"ActiveState": "activating", "SubState": "auto-restart", "Job": "", "NRestarts": "9"},
            (2, "k3s has restarted itself 9 times"),
        ),
        ({}, (1, "k3s is unknown ()")),
    ],
)
def test_a_unit_that_is_not_up(host: K3sHost, states: dict[str, str], seen: tuple[int, str]) -> None:
    host.unit(**states)
    assert host.seen(SERVER) == seen
    assert host.seen(waits.wait_for_agent("k3s")) == seen


def test_an_api_that_is_not_ready(host: K3sHost) -> None:
    host.answer(recorded_node("h1"), readyz="exit 1")
    assert host.seen(SERVER) == (1, "the API is not ready")


def without(node: dict[str, Any], kind: str, status: str = "False") -> dict[str, Any]:
    for condition in node["status"]["conditions"]:
        if condition["type"] == kind:
            condition["status"] = status
    return node


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_a_node_that_is_not_ready(host: K3sHost, status: str) -> None:
    host.answer(without(recorded_node("h1"), "Ready", status))
    assert host.seen(SERVER) == (1, "node h1 is not Ready")
    assert host.seen(NODE) == (1, "node h1 is not Ready")


def test_a_member_that_does_not_vote_yet(host: K3sHost) -> None:
    host.answer(without(recorded_node("h1"), "EtcdIsVoter"))
    assert host.seen(SERVER) == (1, "h1 is no etcd voter yet")
    assert host.seen(NODE) == (0, "")


def test_a_node_that_still_runs_the_old_version(host: K3sHost) -> None:
    wait = waits.wait_for_node("h1", "v1.36.4+k3s1")
    assert host.seen(wait) == (1, "node h1 does not run v1.36.4+k3s1 yet")


@pytest.mark.parametrize("answer", ["", "Error from server (NotFound)", "{}", '{"kind":"Status","status":"Failure"}'])
def test_an_api_that_answers_something_else(host: K3sHost, answer: str) -> None:
    host.answer(answer)
    code, seen = host.seen(NODE)
    assert (code, "h1" in seen) == (1, True)


def test_a_node_that_is_not_there(host: K3sHost) -> None:
    host.place("k3s", 'case "$*" in *readyz*) echo ok;; *) echo NotFound >&2; exit 1;; esac')
    assert host.seen(SERVER) == (1, "node h1 is not there yet")


def test_without_a_network_only_the_api_counts(host: K3sHost) -> None:
    host.answer(without(recorded_node("h1"), "Ready"))
    assert host.seen(waits.wait_for_server("k3s", "h1", VERSION, networked=False, voter=True)) == (0, "")


def test_a_service_is_steady_when_it_is_ten_seconds_old(host: K3sHost) -> None:
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    host.unit(ActiveState="active", SubState="running", ActiveEnterTimestampMonotonic=f"{(uptime - 60) * 1_000_000}")
    assert host.seen(waits.wait_steady("k3s")) == (0, "")
    host.unit(ActiveState="active", SubState="running", ActiveEnterTimestampMonotonic=f"{(uptime - 2) * 1_000_000}")
    code, seen = host.seen(waits.wait_steady("k3s"))
    assert code == 1
    assert re.fullmatch(r"k3s is up for \d+ s", seen)
    host.unit(ActiveState="activating", SubState="auto-restart", ActiveEnterTimestampMonotonic="0")
    assert host.seen(waits.wait_steady("k3s")) == (1, "k3s is activating (auto-restart)")


def test_openrc_is_asked_where_there_is_no_systemd(tmp_path: Path, shell: tuple[tuple[str, ...], Path | None]) -> None:
    host = K3sHost(Machine("h1", tmp_path / "h1", *shell), init="openrc")
    host.place("rc-service", "exit 3")
    assert host.seen(SERVER) == (1, "k3s is not started")
    host.place("rc-service", "exit 0")
    assert host.seen(SERVER) == (0, "")


LOG = """\
time="2026-01-01T00:00:01Z" level=info msg="Starting k3s"
time="2026-01-01T00:00:02Z" level=info msg="Waiting to retrieve agent configuration; server is not ready: 401"
time="2026-01-01T00:00:07Z" level=info msg="Waiting to retrieve agent configuration; server is not ready: 401"
time="2026-01-01T00:00:12Z" level=fatal msg="starting kubernetes: wrong token"
"""


def test_the_reason_is_the_lines_that_tell_it_each_once(host: K3sHost) -> None:
    (host.bin / "log").write_text(LOG)
    host.place("journalctl", f"cat {host.bin}/log")
    said = host.machine.connect().run(waits.explain_script("k3s-agent")).stdout
    assert said.splitlines() == [LOG.splitlines()[1], LOG.splitlines()[3]]
    assert list(host.machine.place("/run/bootstrap").iterdir()) == []


def test_a_log_without_a_word_says_so(host: K3sHost) -> None:
    host.place("journalctl", "exit 1")
    assert (
        host.machine.connect().run(waits.explain_script("k3s")).stdout.strip() == "k3s has written nothing to its log"
    )


@pytest.mark.parametrize(("verb", "words"), [("start", "start --no-block k3s"), ("restart", "restart --no-block k3s")])
def test_a_start_waits_for_nothing(host: K3sHost, verb: str, words: str) -> None:
    host.place("systemctl", f'echo "$*" >> {host.bin}/calls')
    assert host.machine.connect().run(waits.start_script("k3s", verb)).exit_code == 0
    assert (host.bin / "calls").read_text().splitlines() == ["reset-failed k3s", words]


def test_stopping_what_is_not_there_is_well(host: K3sHost) -> None:
    host.place("systemctl", "[ $1 != cat ]")
    assert host.machine.connect().run("set -eu\n" + waits.stop_script("k3s")).exit_code == 0
