"""Which libraries a command imports, which is most of the time that it takes to start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.cli import COMMANDS, FIRST_PAGE
from bootstrap.cli.program import cli

REPORT = """
import atexit, json, os, sys
sys.argv = ["bootstrap", *{words}]
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from bootstrap.cli import main
os._exit = sys.exit  # the real one would leave without a word
main()
"""
HOSTS = {"fabric", "paramiko", "invoke", "stamina", "cryptography"}
INVENTORY = """\
schema: bootstrap/v1
cluster: home
distro: k3s
version: v1.36.3+k3s1
hosts:
  h1: {address: 127.0.0.1, role: controller+worker, ssh: {port: 1, connect_timeout: 1}}
"""


def modules_of(*words: str, folder: Path) -> set[str]:
    code = REPORT.format(words=json.dumps(list(words)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=60)
    try:
        return set(json.loads(done.stderr.splitlines()[-1]))
    except (ValueError, IndexError):
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}") from None


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "home.yaml").write_text(INVENTORY)
    (tmp_path / "known_hosts").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "needed", "unwanted"),
    [
        (["--help"], set(), {"click", "dataclasses", "yaml", "bootstrap.errors", "bootstrap.model"} | HOSTS),
        (["schema"], set(), {"jinja2", "jsonschema", "kubernetes", "rich"} | HOSTS),
        (["validate"], {"yaml"}, {"jinja2", "jsonschema", "kubernetes", "rich", "bootstrap.report"} | HOSTS),
        (["render"], {"jinja2"}, {"jsonschema", "kubernetes", "rich"} | HOSTS),
        (["plan"], {"fabric"}, {"jsonschema", "kubernetes", "rich"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_imports_what_it_uses(home: Path, words: list[str], needed: set[str], unwanted: set[str]) -> None:
    found = modules_of(*words, folder=home)
    assert needed <= found
    assert not unwanted & found


def test_the_first_page_imports_no_command(home: Path) -> None:
    modules = {f"bootstrap.cli.{module}" for module, _ in COMMANDS.values()}
    assert not modules & modules_of("--help", folder=home)


def test_a_command_imports_no_other_module_of_commands(home: Path) -> None:
    modules = {f"bootstrap.cli.{module}" for module, _ in COMMANDS.values()}
    assert modules & modules_of("validate", folder=home) == {"bootstrap.cli.offline"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_name_on_the_first_page_is_a_command(name: str) -> None:
    assert cli.commands[name].name == name


def test_the_parser_shows_the_same_first_page() -> None:
    from click.testing import CliRunner

    answer = CliRunner().invoke(cli, ["--help"])
    assert (answer.exit_code, answer.output) == (0, FIRST_PAGE)
    assert all(len(line) < 80 for line in FIRST_PAGE.splitlines())
    options = cli.get_params(cli.make_context("bootstrap", [], resilient_parsing=True))
    words = {word.rstrip(",") for word in FIRST_PAGE.split() if word.startswith("-")}
    assert words == {word for option in options for word in option.opts}
