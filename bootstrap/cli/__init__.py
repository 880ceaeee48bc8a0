"""Arguments, printing, exit codes: the only package that prints, and the only one that catches BootstrapError."""

import sys

import click

from bootstrap import __version__
from bootstrap.cli.console import leave, open_missing_streams, say
from bootstrap.cli.offline import lock, render, schema, validate
from bootstrap.cli.reading import kubeconfig, plan, status, trust, verify
from bootstrap.cli.sandbox import sandbox
from bootstrap.cli.writing import apply, remove, reset
from bootstrap.errors import ExitCode

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=HELP)
@click.version_option(__version__, prog_name="bootstrap")
def cli() -> None:
    """One inventory in git, the same Kubernetes cluster every time.

    INVENTORY is the file that names hosts and a distribution; without it, the only file in inventories/.
    """


for command in (schema, validate, lock, render, trust, plan, verify, status, kubeconfig, apply, remove, reset, sandbox):
    cli.add_command(command)


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
