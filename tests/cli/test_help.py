"""Help for every command, and how little it takes to print it."""

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from bootstrap import __version__
from bootstrap.cli.program import cli
from tests.cli.conftest import Program

HEAVY = (
    "yaml",
    "fabric",
    "paramiko",
    "invoke",
    "rich",
    "kubernetes",
    "jinja2",
    "jsonschema",
    "jsonschema_rs",
    "stamina",
    "asyncio",
    "ssl",
)
MODULES = """
import json, sys, atexit
sys.argv = ["bootstrap", *{words}]
atexit.register(lambda: print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})), file=sys.stderr))
from bootstrap.cli import main
main()
"""


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0, result.output
    summary = result.output.split("\n\n")[1].strip()
    assert summary, "it says what it does"
    assert result.output == CliRunner().invoke(cli, [*words, "-h"]).output


def test_every_option_is_explained() -> None:
    for words in commands(cli):
        command: click.Command = cli
        for name in words:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{' '.join(words)} {parameter.opts}"


def test_the_first_page_names_every_command(bootstrap: Program) -> None:
    answer = bootstrap("--help")
    assert (answer.code, answer.err) == (0, "")
    for name in cli.commands:
        assert f"\n  {name} " in answer.out


def test_the_version(bootstrap: Program) -> None:
    assert bootstrap("--version").out == f"bootstrap, version {__version__}\n"


def loaded(bootstrap: Program, *words: str) -> set[str]:
    answer = bootstrap(program=("-c", MODULES.format(words=json.dumps(list(words)))))
    assert answer.code == 0, answer.err
    return set(json.loads(answer.err.strip().splitlines()[-1]))


def test_help_imports_no_library_but_click(bootstrap: Program) -> None:
    assert loaded(bootstrap, "--help") & set(HEAVY) == set()


def test_validate_imports_nothing_that_talks_to_hosts(bootstrap: Program) -> None:
    found = loaded(bootstrap, "validate")
    assert "yaml" in found
    assert found & {"fabric", "paramiko", "invoke", "kubernetes", "rich", "stamina", "jsonschema"} == set()


def test_render_imports_nothing_that_talks_to_hosts(bootstrap: Program) -> None:
    found = loaded(bootstrap, "render")
    assert "jinja2" in found
    assert found & {"fabric", "paramiko", "invoke", "kubernetes", "rich"} == set()
