"""Arguments, printing, exit codes: the only package that prints, and the only one that catches BootstrapError."""

import os
import sys

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


FIRST_PAGE = """\
Usage: bootstrap [OPTIONS] COMMAND [ARGS]...

  One inventory in git, the same Kubernetes cluster every time.

  INVENTORY is the file that names hosts and a distribution; without it, the
  only file in inventories/.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
""" + "".join(f"  {name:<10}  {summary}\n" for name, (_, summary) in COMMANDS.items())


def main() -> None:
    """The console script. The first page needs no parser, which takes longer to import than all else that it needs."""
    open_missing_streams()
    if sys.argv[1:] in (["--help"], ["-h"]):
        print_first_page()
        return
    import click

    from bootstrap.cli.console import leave, say
    from bootstrap.cli.program import cli
    from bootstrap.errors import ExitCode

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        say("interrupted")
        leave(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)


def print_first_page() -> None:
    """To a reader that may have gone, as after `| head -1`."""
    try:
        print(FIRST_PAGE, end="", flush=True)
    except BrokenPipeError:
        os._exit(1)


def open_missing_streams() -> None:
    """A parent may have closed standard streams: then nobody reads, nobody types, and no socket shall take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open as long as the process; pathlib is dear
