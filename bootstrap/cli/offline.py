"""Commands that touch no host: schema, validate, lock, render."""

from pathlib import Path

import click

from bootstrap.cli.console import give, guarded, say
from bootstrap.cli.options import inventory_argument, open_session, output_option
from bootstrap.errors import ExitCode, InventoryError


@click.command()
@guarded
def schema() -> None:
    """Print the JSON Schema of the inventory, for editors."""
    from bootstrap.inventory import schema_text

    give(schema_text())


@click.command()
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
    controllers, workers = len(checked.controllers), len(checked.workers)
    counts = f"{controllers} controller{'s' * (controllers != 1)}, {workers} worker{'s' * (workers != 1)}"
    give(f"{session.path}: valid: cluster {checked.cluster}, {checked.distro} {checked.version}, {counts}")


@click.command()
@inventory_argument
@guarded
def lock(inventory: Path | None, known_hosts: Path | None) -> None:
    """Write artifacts.lock: URL, size and sha256 of every file that hosts will get."""
    from bootstrap import pipeline

    session = open_session(inventory, known_hosts)
    locked = pipeline.write_lock(session, lambda line: say(f"note: {line}"))
    for file in locked.files:
        give(f"{file.name:<20} {file.version:<16} {file.arch:<6} {file.sha256[:16]}  {file.size / 1e6:.1f} MB")
    say(f"wrote {session.root / 'artifacts.lock'}: commit it")


@click.command()
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
