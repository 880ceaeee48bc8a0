"""The command line as click sees it: commands that are imported when they are asked for."""

from collections import UserDict
from collections.abc import Iterator
from importlib import import_module

import click

from bootstrap import __version__
from bootstrap.cli import COMMANDS, FIRST_PAGE

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Commands(UserDict[str, click.Command]):
    """Commands by name. Each is imported when it is asked for: making all of them takes longer than `--help` may."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in self.data:
            module, _ = COMMANDS[name]
            self.data[name] = getattr(import_module(f"bootstrap.cli.{module}"), name)
        return self.data[name]

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Program(click.Group):
    """The first page is one text, whoever prints it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        formatter.write(FIRST_PAGE)


@click.group(cls=Program, commands=Commands(), context_settings=HELP)
@click.version_option(__version__, prog_name="bootstrap")
def cli() -> None:
    """The options that stand before a command."""
