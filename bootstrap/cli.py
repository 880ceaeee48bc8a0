"""Arguments, printing, exit codes: the only place that prints and the only one that catches BootstrapError."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from bootstrap import __version__
from bootstrap.errors import (
    BootstrapError,
    ExitCode,
    InterruptedRunError,
    InventoryError,
    UsageError,
)

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def say(text: str) -> None:
    """Talk goes to standard error, data to standard output."""
    if text:
        click.echo(text.rstrip("\n"), err=True)


def give(text: str) -> None:
    if text:
        click.echo(text.rstrip("\n"))


def colored(stream: Any) -> bool:  # noqa: ANN401 - any text stream
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int:
    import shutil

    return max(60, min(160, shutil.get_terminal_size((100, 24)).columns))


def ask_secret(prompt: str) -> str | None:
    """A passphrase or password from the terminal; None where there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    import getpass

    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except (EOFError, KeyboardInterrupt):
        return None


def leave(code: int) -> NoReturn:
    """Flush and go at once: a thread that still waits for a host must not hold the person."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def report_error(error: BootstrapError, output: str) -> None:
    from bootstrap.report import format_error, format_problems, problems_to_json

    if isinstance(error, InventoryError) and output == "json":
        give(problems_to_json(error))
    elif isinstance(error, InventoryError):
        say(format_problems(error, color=colored(sys.stderr), width=width()))
    else:
        say(format_error(error, color=colored(sys.stderr), width=width()))


def report_bug(error: Exception) -> int:
    """Keep the traceback in a private file, and say where it is."""
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="bootstrap-bug-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(error)))
    say(f"error: this is a bug in bootstrap: {type(error).__name__}: {error}")
    say(f"  next: report it with {file.name}; hosts are as the last finished step left them, apply again goes on")
    return ExitCode.ERROR


def guarded(command: Callable[..., int | None]) -> Callable[..., None]:
    """Turn errors into messages and exit codes; the last line of defence against a traceback."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:  # noqa: ANN401 - click's arguments
        try:
            code = command(*args, **options) or 0
        except InterruptedRunError as error:
            report_error(error, "text")
            leave(ExitCode.INTERRUPTED)
        except BootstrapError as error:
            report_error(error, str(options.get("output", "text")))
            code = error.exit_code
        except KeyboardInterrupt:
            say("interrupted")
            leave(ExitCode.INTERRUPTED)
        except BrokenPipeError:
            leave(ExitCode.ERROR)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end in a wall of text
            code = report_bug(error)
        leave(code) if code else sys.exit(0)

    return run


def inventory_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    known = click.option(
        "--known-hosts",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="BOOTSTRAP_KNOWN_HOSTS",
        help="Pinned host keys; default: known_hosts of the repository.",
    )
    argument = click.argument("inventory", type=click.Path(path_type=Path), required=False)
    return argument(known(command))


def output_option(*kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "-o", "--output", type=click.Choice(kinds), default=kinds[0], show_default=True, help="Form of the answer."
    )


def open_session(inventory: Path | None, known_hosts: Path | None) -> Any:  # noqa: ANN401 - imported where used
    from bootstrap.inventory import find_inventory
    from bootstrap.session import Session

    path = inventory or find_inventory(Path.cwd())
    return Session(path, os.environ, ask=ask_secret, known_hosts=known_hosts)


@click.group(context_settings=HELP)
@click.version_option(__version__, prog_name="bootstrap")
def cli() -> None:
    """One inventory in git, the same Kubernetes cluster every time.

    INVENTORY is the file that names hosts and a distribution; without it, the only file in inventories/.
    """


# --- no host is touched --------------------------------------------------------------------------


@cli.command()
@guarded
def schema() -> None:
    """Print the JSON Schema of the inventory, for editors."""
    from bootstrap.inventory import schema_text

    give(schema_text())


@cli.command()
@inventory_argument
@output_option("text", "json")
@guarded
def validate(inventory: Path | None, known_hosts: Path | None, output: str) -> None:
    """Check the inventory: all mistakes at once, each with its place."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)
    checked = pipeline.validate(session)
    if output == "json":
        from bootstrap.report import problems_to_json

        give(problems_to_json(InventoryError([])))
        return
    counts = f"{len(checked.controllers)} controllers, {len(checked.workers)} workers"
    give(f"{session.path}: valid: cluster {checked.cluster}, {checked.distro} {checked.version}, {counts}")


@cli.command()
@inventory_argument
@guarded
def lock(inventory: Path | None, known_hosts: Path | None) -> None:
    """Write artifacts.lock: URL, size and sha256 of every file that hosts will get."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)
    locked = pipeline.write_lock(session)
    for file in locked.files:
        give(f"{file.name:<20} {file.version:<16} {file.arch:<6} {file.sha256[:16]}  {file.size / 1e6:.1f} MB")
    say(f"wrote {session.root / 'artifacts.lock'}: commit it")


@cli.command()
@inventory_argument
@click.option("--check", is_flag=True, help="Only say whether the committed files are stale (exit code 2).")
@guarded
def render(inventory: Path | None, known_hosts: Path | None, check: bool) -> int:
    """Write the native files below rendered/<cluster>/, for review in a pull request."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)
    folder, changed = (pipeline.check_rendered if check else pipeline.write_rendered)(session)
    for line in changed:
        give(line)
    say(f"{folder}: {len(changed)} file(s) {'stale' if check else 'written'}" if changed else f"{folder}: up to date")
    return ExitCode.DIFFERENCES if check and changed else ExitCode.DONE


# --- hosts are read ------------------------------------------------------------------------------


@cli.command()
@inventory_argument
@click.option(
    "--host", "hosts", multiple=True, help="Only this host (may be given again); default: hosts without a pin."
)
@click.option(
    "--replace", "replaced", multiple=True, help="Replace the pin of this host after a reinstall (may be given again)."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask; for keys that were compared some other way.")
@guarded
def trust(
    inventory: Path | None, known_hosts: Path | None, hosts: tuple[str, ...], replaced: tuple[str, ...], yes: bool
) -> int:
    """Show the hosts' keys, and pin them in known_hosts after a yes."""
    from bootstrap.trusting import find_offers, pin_offers

    session = open_session(inventory, known_hosts)
    offers = find_offers(session, hosts, replaced)
    for offer in offers:
        say(offer.text)
    wanted = [offer for offer in offers if offer.can_be_pinned]
    if not wanted:
        say("nothing to pin")
        return ExitCode.UNREACHABLE if any(offer.failed for offer in offers) else ExitCode.DONE
    if not yes:
        confirm("Compare the fingerprints with what each host's console shows. Pin them? Type yes: ", "yes")
    pin_offers(session, wanted)
    say(f"pinned {', '.join(offer.host for offer in wanted)} in {session.known_hosts_path}: commit it")
    return ExitCode.UNREACHABLE if any(offer.failed for offer in offers) else ExitCode.DONE


@cli.command()
@inventory_argument
@output_option("text", "json", "markdown")
@click.option("--detailed-exitcode", is_flag=True, help="Exit code 2 when there is something to do.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan, for `apply --plan`.")
@guarded
def plan(
    inventory: Path | None, known_hosts: Path | None, output: str, detailed_exitcode: bool, out: Path | None
) -> int:
    """Show what apply would do, host by host; nothing is written on any host."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)
    draft = pipeline.plan(session)
    show_plan(session, draft, output)
    if draft.stops:
        return ExitCode.ERROR
    if out:
        pipeline.save_plan(draft.plan, out)
        say(f"saved {out}: apply it with `bootstrap apply --plan {out}`")
    if draft.failed:
        return ExitCode.UNREACHABLE
    return ExitCode.DIFFERENCES if detailed_exitcode and not draft.plan.is_empty else ExitCode.DONE


def show_plan(session: Any, draft: Any, output: str = "text") -> None:  # noqa: ANN401 - imported where used
    from bootstrap import report

    count = len(session.inventory.hosts)
    if output == "json":
        give(report.plan_to_json(draft.plan))
    elif output == "markdown":
        give(session.redactor.mask(report.format_plan_markdown(draft.plan, host_count=count)))
    else:
        text = report.format_plan(draft.plan, color=colored(sys.stdout), width=width(), host_count=count)
        give(session.redactor.mask(text))
    for error in draft.failed.values():
        report_error(error, "text")


@cli.command()
@inventory_argument
@output_option("text", "json")
@click.option(
    "--deadline", type=float, default=60.0, show_default=True, help="Seconds to wait for the cluster to be right."
)
@guarded
def verify(inventory: Path | None, known_hosts: Path | None, output: str, deadline: float) -> int:
    """Check the running cluster against the inventory, through the Kubernetes API."""
    from bootstrap import pipeline
    from bootstrap.report import checks_to_json, format_checks

    session = open_session(inventory, known_hosts)
    facts, failed = pipeline.look(session)
    for error in failed.values():
        report_error(error, "text")
    checks = pipeline.verify(session, facts, deadline)
    give(
        checks_to_json(checks) if output == "json" else format_checks(checks, color=colored(sys.stdout), width=width())
    )
    if failed:
        return ExitCode.UNREACHABLE
    return ExitCode.DONE if checks and all(check.ok for check in checks) else ExitCode.VERIFICATION_FAILED


@cli.command()
@inventory_argument
@output_option("text", "json")
@guarded
def status(inventory: Path | None, known_hosts: Path | None, output: str) -> int:
    """One table: host, role, version, ready, age, disk, service."""
    from bootstrap import pipeline
    from bootstrap.report import format_status, status_to_json

    session = open_session(inventory, known_hosts)
    facts, failed = pipeline.look(session)
    rows = pipeline.status_rows(session, facts)
    give(status_to_json(rows) if output == "json" else format_status(rows, color=colored(sys.stdout), width=width()))
    for error in failed.values():
        report_error(error, "text")
    return ExitCode.UNREACHABLE if failed else ExitCode.DONE


@cli.command()
@inventory_argument
@click.option("--merge", is_flag=True, help="Merge into ~/.kube/config (or $KUBECONFIG), after a backup of it.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file, mode 0600.")
@guarded
def kubeconfig(inventory: Path | None, known_hosts: Path | None, merge: bool, out: Path | None) -> None:
    """Fetch the admin kubeconfig; its context is named after the cluster."""
    from bootstrap import pipeline

    if merge and out:
        raise UsageError("--merge and --out exclude each other")
    session = open_session(inventory, known_hosts)
    facts, failed = pipeline.look(session)
    if not facts and failed:
        raise next(iter(failed.values()))
    text = pipeline.kubeconfig(session, facts)
    if text is None:
        raise BootstrapError("no controller that can be reached has a kubeconfig", next_step="bootstrap apply")
    if not merge and not out:
        give(text)
        return
    target = out or Path(os.environ.get("KUBECONFIG", "").split(os.pathsep)[0] or Path.home() / ".kube" / "config")
    backup = pipeline.write_kubeconfig(target, text, pipeline.merged if merge else pipeline.alone)
    say(f"wrote {target}" + (f"; the old file is {backup}" if backup else ""))
    say(f"kubectl --kubeconfig {target} --context {session.inventory.cluster} get nodes")


# --- hosts are written ---------------------------------------------------------------------------


def confirm(prompt: str, wanted: str) -> None:
    """Raises UsageError off a terminal, BootstrapError when the answer is another."""
    if not sys.stdin.isatty():
        raise UsageError(
            "this asks for a yes, and there is no terminal to ask on", next_step="give --yes after reading the plan"
        )
    click.echo(prompt, nl=False, err=True)
    answer = sys.stdin.readline()
    if answer.strip() != wanted:
        raise BootstrapError("not confirmed: nothing was changed")


def make_consent(session: Any, ask: Callable[[Any], None], output: str = "text", deadline: float = 180.0) -> Any:  # noqa: ANN401
    """A plan is shown as text; with `-o json` standard output is for the report alone."""
    from bootstrap.pipeline import Consent
    from bootstrap.progress import open_progress

    def show(draft: Any) -> None:  # noqa: ANN401
        if output == "text":
            show_plan(session, draft)

    return Consent(show, ask, lambda made: open_progress(sys.stderr, session.redactor, made), deadline)


@cli.command()
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


@cli.command()
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


@cli.command()
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


def main() -> None:
    """The console script."""
    from bootstrap.cli_sandbox import sandbox

    cli.add_command(sandbox)
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
