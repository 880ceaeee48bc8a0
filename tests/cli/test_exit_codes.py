"""How the program ends: each documented code, talk and data apart, and never a traceback."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootstrap.errors import ExitCode
from tests.cli.conftest import ROOT, Program

BROKEN = "schema: bootstrap/v1\ncluster: home\ndistro: k3s\nversion: 1.30\nhosts:\n  c1: {adress: 127.0.0.1}\n"
LOCK = """\
schema: bootstrap-lock/v1
locked_by: bootstrap 0.1.0
files:
  - {name: install.sh, version: v1.36.3+k3s1, arch: any, url: "https://example.com/install.sh", size: 5, sha256: 1111111111111111111111111111111111111111111111111111111111111111}
  - {name: k3s, version: v1.36.3+k3s1, arch: amd64, url: "https://example.com/k3s", size: 5, sha256: 2222222222222222222222222222222222222222222222222222222222222222}
"""


def test_the_documented_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert sorted(map(int, rows)) == sorted(code.value for code in ExitCode)


# --- no host -------------------------------------------------------------------------------------


def test_a_valid_inventory_is_0(bootstrap: Program) -> None:
    answer = bootstrap("validate")
    assert (answer.code, answer.err) == (0, "")
    assert "valid: cluster home, k3s v1.36.3+k3s1" in answer.out


def test_the_only_inventory_is_found_and_another_may_be_named(bootstrap: Program, repository: Path) -> None:
    assert bootstrap("validate", "inventories/home.yaml").code == 0
    (repository / "inventories" / "other.yaml").write_text(BROKEN)
    answer = bootstrap("validate")
    assert answer.code == ExitCode.USAGE
    assert "home.yaml" in answer.err
    assert "other.yaml" in answer.err


@pytest.mark.parametrize("words", [("validate",), ("render",), ("plan",), ("apply", "--yes"), ("status",), ("lock",)])
def test_a_bad_inventory_is_3_whatever_is_asked(bootstrap: Program, repository: Path, words: tuple[str, ...]) -> None:
    (repository / "inventories" / "home.yaml").write_text(BROKEN)
    answer = bootstrap(*words)
    assert (answer.code, answer.out) == (ExitCode.INVALID_INVENTORY, "")
    assert "inventories/home.yaml:4:" in answer.err
    assert "did you mean `address`?" in answer.err


def test_problems_as_json_are_data(bootstrap: Program, repository: Path) -> None:
    assert json.loads(bootstrap("validate", "-o", "json").out)["problems"] == []
    (repository / "inventories" / "home.yaml").write_text(BROKEN)
    answer = bootstrap("validate", "-o", "json")
    assert answer.code == ExitCode.INVALID_INVENTORY
    assert len(json.loads(answer.out)["problems"]) >= 2
    assert answer.err == ""


def test_rendered_files_are_written_once_and_checked(bootstrap: Program, repository: Path) -> None:
    stale = bootstrap("render", "--check")
    assert stale.code == ExitCode.DIFFERENCES
    assert not (repository / "rendered").exists()
    assert bootstrap("render").code == 0
    assert (repository / "rendered" / "home" / "c1" / "etc" / "rancher" / "k3s" / "config.yaml").exists()
    assert bootstrap("render", "--check").code == 0
    assert "up to date" in bootstrap("render").err


def test_the_schema_is_json(bootstrap: Program) -> None:
    assert json.loads(bootstrap("schema").out)["title"]


def test_a_lock_from_a_mirror_that_is_not_there_is_an_error(bootstrap: Program) -> None:
    answer = bootstrap("lock", BOOTSTRAP_MIRROR="/nowhere/at/all")
    assert (answer.code, answer.out) == (ExitCode.ERROR, "")
    assert "error" in answer.err


def test_what_the_lock_leaves_out_is_said_and_is_no_data(bootstrap: Program, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in ("k3s", "install.sh"):
        (mirror / name).write_bytes(b"#!/bin/sh\n")
    answer = bootstrap("lock", BOOTSTRAP_MIRROR=str(mirror))
    assert answer.code == 0
    assert "note: k3s-airgap-images v1.36.3+k3s1 amd64: not published there, left out\n" in answer.err
    assert "note" not in answer.out


def test_a_file_in_the_way_is_no_bug(bootstrap: Program, repository: Path) -> None:
    (repository / "rendered").write_text("a file, not a folder")
    answer = bootstrap("render")
    assert answer.code == ExitCode.ERROR
    assert "rendered" in answer.err
    assert "bug" not in answer.err


@pytest.mark.parametrize("words", [("plan",), ("render",)])
def test_a_lock_that_can_not_be_read_is_no_bug(bootstrap: Program, repository: Path, words: tuple[str, ...]) -> None:
    (repository / "artifacts.lock").mkdir()
    answer = bootstrap(*words)
    assert answer.code in (ExitCode.ERROR, ExitCode.UNREACHABLE)
    assert "bug" not in answer.err


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("aply",), "No such command 'aply'"),
        (("plan", "--nonsense"), "No such option"),
        (("plan", "-o", "xml"), "'xml' is not one of"),
        (("validate", "a", "b"), "unexpected extra argument"),
        (("apply", "--deadline", "soon"), "'soon' is not a valid float"),
        (("apply", "--plan", "none.json"), "does not exist"),
        (("remove",), "Missing argument 'HOST'"),
        (("sandbox", "up"), "Missing argument"),
        (("apply",), "there is no terminal to ask on"),
        (("validate", "none.yaml"), "there is no file none.yaml"),
        (("validate", "inventories"), "inventories is a folder"),
        (("kubeconfig", "--merge", "--out", "x"), "--merge and --out exclude each other"),
        (("reset", "--confirm", "other"), "--confirm other is not the cluster's name (home)"),
        (("trust", "nobody"), "the inventory has no host or jump nobody"),
    ],
)
def test_what_can_not_be_asked_is_64(bootstrap: Program, words: tuple[str, ...], message: str) -> None:
    answer = bootstrap(*words)
    assert answer.code == ExitCode.USAGE, answer.err
    assert message in answer.err
    assert answer.out == ""


def test_a_repository_without_an_inventory_says_what_to_do(bootstrap: Program, repository: Path) -> None:
    (repository / "inventories" / "home.yaml").unlink()
    answer = bootstrap("plan")
    assert answer.code == ExitCode.USAGE
    assert "next" in answer.err


# --- hosts that are not there --------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("plan",),
        ("apply", "--yes"),
        ("status",),
        ("verify",),
        ("kubeconfig",),
        ("remove", "c1", "--yes"),
        ("reset", "--confirm", "home"),
    ],
)
def test_a_host_that_can_not_be_reached_is_4(bootstrap: Program, repository: Path, words: tuple[str, ...]) -> None:
    (repository / "artifacts.lock").write_text(LOCK)
    answer = bootstrap(*words)
    assert answer.code == ExitCode.UNREACHABLE, answer.err
    assert "c1" in answer.err
    assert "next" in answer.err


def test_trust_of_a_host_that_is_not_there_is_4_and_pins_nothing(bootstrap: Program, repository: Path) -> None:
    answer = bootstrap("trust", "--yes")
    assert answer.code == ExitCode.UNREACHABLE
    assert "nothing to pin" in answer.err
    assert (repository / "known_hosts").read_text() == ""


# --- bugs, pipes, interrupts ---------------------------------------------------------------------

BUG = """
import sys
sys.argv = ["bootstrap", "validate"]
import bootstrap.pipeline
def validate(session):
    raise RuntimeError("this can't be")
bootstrap.pipeline.validate = validate
from bootstrap.cli import main
main()
"""


def test_a_bug_is_told_in_two_lines_and_kept_in_a_private_file(bootstrap: Program, repository: Path) -> None:
    answer = bootstrap(program=("-c", BUG))
    assert (answer.code, answer.out) == (ExitCode.ERROR, "")
    first, second = answer.err.splitlines()
    assert first == "error: this is a bug in bootstrap: RuntimeError: this can't be"
    (file,) = repository.glob("bootstrap-bug-*.txt")
    assert str(file) in second
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize("words", [("schema",), ("--help",), ("validate", "-o", "json")])
def test_a_reader_that_went_away_is_no_bug(
    repository: Path, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", *words],
        cwd=repository,
        env=environment,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode in (ExitCode.ERROR, -signal.SIGPIPE)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(repository: Path, environment: dict[str, str], closed: str) -> None:
    words = f"exec {sys.executable} -m bootstrap apply {closed}"
    done = subprocess.run(
        ["sh", "-c", words], cwd=repository, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert list(repository.glob("bootstrap-bug-*")) == []


def test_an_interrupt_is_130(repository: Path, environment: dict[str, str]) -> None:
    """The inventory is a pipe that nobody writes to: the program waits for it."""
    os.mkfifo(repository / "slow.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "bootstrap", "validate", "slow.yaml"],
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    writing = open_once_somebody_reads(repository / "slow.yaml")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    os.close(writing)
    assert (process.returncode, out, err) == (ExitCode.INTERRUPTED, "", "interrupted\n")


def open_once_somebody_reads(path: Path) -> int:
    for _ in range(600):
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody reads {path}")
