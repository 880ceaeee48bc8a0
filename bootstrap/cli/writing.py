"""Commands that write on hosts: apply, remove, reset."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bootstrap.cli.console import (
    colored,
    confirm,
    give,
    guarded,
    say,
    show_plan,
    width,
)
from bootstrap.cli.options import inventory_argument, open_session, output_option
from bootstrap.errors import ExitCode, UsageError


def make_consent(session: Any, ask: Callable[[Any], None], output: str = "text", deadline: float = 180.0) -> Any:  # noqa: ANN401
    """A plan is shown as text; with `-o json` standard output is for the report alone."""
    from bootstrap.pipeline import Consent
    from bootstrap.progress import open_progress

    def show(draft: Any) -> None:  # noqa: ANN401
        if output == "text":
            show_plan(session, draft)

    return Consent(show, ask, lambda made: open_progress(sys.stderr, session.redactor, made), deadline)


@click.command()
@inventory_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--plan",
    "saved",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Apply exactly this saved plan, or refuse.",
)
@click.option(
    "--deadline", type=float, default=180.0, show_default=True, help="Seconds for the verification at the end."
)
@output_option("text", "json")
@guarded
def apply(
    inventory: Path | None, known_hosts: Path | None, yes: bool, saved: Path | None, deadline: float, output: str
) -> int:
    """Show the plan, ask, do exactly that, and verify the cluster."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)

    def ask(draft: Any) -> None:  # noqa: ANN401
        if saved:
            pipeline.compare_saved(draft.plan, saved)
        if not yes:
            confirm(f"Apply this plan to cluster {session.inventory.cluster}? Type yes: ", "yes")

    if not yes and not sys.stdin.isatty():
        raise UsageError(
            "apply asks for a yes, and there is no terminal to ask on",
            next_step="read `bootstrap plan`, then give --yes",
        )
    return end_run(session, pipeline.apply(session, make_consent(session, ask, output, deadline)), output)


def end_run(session: Any, made: Any, output: str) -> int:  # noqa: ANN401
    """Print the report; the exit code follows from the worst that happened."""
    from bootstrap import report
    from bootstrap.model import Status

    if output == "json":
        give(session.redactor.mask(report.report_to_json(made)))
    else:
        text = report.format_results(made, color=colored(sys.stdout), width=width())
        give(session.redactor.mask(text))
    states = {result.status for result in made.results}
    if Status.FAILED in states:
        return ExitCode.ERROR
    if Status.UNKNOWN in states or (made.remaining and made.remaining.unreachable):
        return ExitCode.UNREACHABLE
    if states - {Status.DONE}:
        return ExitCode.ERROR
    if made.remaining and not made.remaining.is_empty:
        return ExitCode.VERIFICATION_FAILED
    return ExitCode.DONE if all(check.ok for check in made.checks) else ExitCode.VERIFICATION_FAILED


@click.command()
@click.argument("host")
@inventory_argument
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@guarded
def remove(host: str, inventory: Path | None, known_hosts: Path | None, yes: bool) -> int:
    """Take HOST out of the cluster: drain, delete the node, uninstall."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)

    def ask(draft: Any) -> None:  # noqa: ANN401, ARG001
        if not yes:
            confirm(f"Remove {host} from cluster {session.inventory.cluster}? Type the host's name: ", host)

    return end_run(session, pipeline.remove(session, host, make_consent(session, ask)), "text")


@click.command()
@inventory_argument
@click.option("--confirm", "name", help="The cluster's name, in place of typing it.")
@guarded
def reset(inventory: Path | None, known_hosts: Path | None, name: str | None) -> int:
    """Remove the whole cluster and its data from every host."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)
    cluster = session.inventory.cluster
    if name is not None and name != cluster:
        raise UsageError(f"--confirm {name} is not the cluster's name ({cluster})")

    def ask(draft: Any) -> None:  # noqa: ANN401, ARG001
        if name is None:
            confirm(f"Everything of cluster {cluster} on these hosts will be gone. Type its name: ", cluster)

    made = pipeline.reset(session, make_consent(session, ask))
    if not made.results:
        say(f"nothing of {cluster} is on these hosts")
    return end_run(session, made, "text")
