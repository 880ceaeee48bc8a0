"""Arguments, printing, exit codes: the only package that prints, and the only one that catches BootstrapError."""

import sys
from collections import UserDict
from collections.abc import Iterator
from importlib import import_module

import click

from bootstrap import __version__
from bootstrap.cli.console import leave, open_missing_streams, say
from bootstrap.errors import ExitCode

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

# Commands in the order in which a newcomer meets them: the module that holds each, and what the first page says of it.
COMMANDS = {
    "schema": ("offline", "Print the JSON Schema of the inventory, for editors."),
    "validate": ("offline", "Check the inventory: all mistakes at once, each with its place."),
    "lock": ("offline", "Write artifacts.lock: URL and sha256 of all that hosts get."),
    "render": ("offline", "Write the native files below rendered/, for review."),
    "trust": ("reading", "Show the hosts' keys, and pin them in known_hosts after a yes."),
    "plan": ("reading", "Show what apply would do; nothing is written on any host."),
    "apply": ("writing", "Show the plan, ask, do exactly that, and verify the cluster."),
    "verify": ("reading", "Check the running cluster against the inventory."),
    "status": ("reading", "One table: host, role, version, ready, age, disk, service."),
    "kubeconfig": ("reading", "Fetch the admin kubeconfig, named after the cluster."),
    "remove": ("writing", "Take a host out of the cluster: drain, delete, uninstall."),
    "reset": ("writing", "Remove the whole cluster and its data from every host."),
    "sandbox": ("sandbox", "Throw-away hosts on this machine, with a network of their own."),
}


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
    """The first page is written from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=Program, commands=Commands(), context_settings=HELP)
@click.version_option(__version__, prog_name="bootstrap")
def cli() -> None:
    """One inventory in git, the same Kubernetes cluster every time.

    INVENTORY is the file that names hosts and a distribution; without it, the only file in inventories/.
    """


def main() -> None:
    """The console script."""
    open_missing_streams()
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        say("interrupted")
        leave(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)


if __name__ == "__main__":
    main()
