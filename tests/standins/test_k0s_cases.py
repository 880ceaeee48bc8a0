"""What k0s answers without a cluster: of the stand-in always, and of the real program when a mirror folder holds it."""

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.programs import SUPPLIES

SUPPLY = SUPPLIES["k0s"]
VERSION = SUPPLY.versions[0]
NAME = f"{VERSION}/k0s-{VERSION}-amd64"
CASES = Path(__file__).parent / "k0s" / "cases"


@dataclass(frozen=True)
class Case:
    """One command: its words, standard input and files, and what it must answer (patterns of both streams)."""

    name: str
    words: tuple[str, ...]
    input: str = ""
    files: dict[str, str] = field(default_factory=dict)
    code: int | str = 0
    stdout: str = ""
    stderr: str = ""
    root: bool = False


def read_cases(file: str, **same: Any) -> list[Case]:
    entries = yaml.safe_load((CASES / file).read_text())
    return [Case(**{**same, **entry, "words": tuple(entry.get("words", same.get("words", ())))}) for entry in entries]


COMMANDS = read_cases("commands.yaml")
CONFIGURATIONS = read_cases("configurations.yaml", words=("config", "validate", "-c", "-"))


@functools.cache
def standin() -> Path:
    if shutil.which("go") is None and not Path("/usr/local/go/bin/go").is_file():
        pytest.skip("no Go compiler: the stand-in for k0s can't be built")
    return SUPPLY.make(VERSION) / NAME


def real() -> Path:
    given = SUPPLY.find_given()
    if given is None:
        pytest.skip("no real k0s: BOOTSTRAP_MIRROR names no mirror folder that holds it")
    return given / NAME


@pytest.mark.parametrize("program", [standin, real], ids=["stand-in", "real"])
@pytest.mark.parametrize("case", [*COMMANDS, *CONFIGURATIONS], ids=lambda case: case.name)
def test_k0s_answers_as_it_always_did(program: Any, case: Case, tmp_path: Path) -> None:
    if case.root and os.geteuid() != 0:
        pytest.skip("needs root: k0s says so before anything else")
    (tmp_path / "empty").mkdir()
    for name, content in case.files.items():
        (tmp_path / name).write_text(content)
    words = [str(tmp_path / "empty") if word == "DATA" else word for word in case.words]
    done = subprocess.run(
        [program(), *words],
        input=case.input,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=False,
    )
    assert case.code in (done.returncode, "any")
    assert re.fullmatch(case.stderr, done.stderr), done.stderr
    assert re.fullmatch(case.stdout, done.stdout), done.stdout
