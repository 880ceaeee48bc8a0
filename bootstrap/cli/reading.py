"""Commands that read hosts: trust, plan, verify, status, kubeconfig."""

import os
import sys
from pathlib import Path

import click

from bootstrap.cli.console import (
    colored,
    confirm,
    give,
    guarded,
    report_error,
    say,
    show_plan,
    width,
)
from bootstrap.cli.options import inventory_argument, known_hosts_option, open_session, output_option, split_words
from bootstrap.errors import BootstrapError, ExitCode, UsageError


@click.command()
@click.argument("words", nargs=-1, metavar="[INVENTORY] [HOST]...")
@known_hosts_option
@click.option(
    "--replace", "replaced", multiple=True, help="Replace the pin of this host after a reinstall (may be given again)."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask; for keys that were compared some other way.")
@guarded
def trust(words: tuple[str, ...], known_hosts: Path | None, replaced: tuple[str, ...], yes: bool) -> int:
    """Show keys of HOSTs (of all without names), and pin them in known_hosts after a yes.

    A jump on the way to a host is named by its address, as in the inventory.
    """
    from bootstrap.trusting import find_offers, pin_offers

    inventory, hosts = split_words(words)
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


@click.command()
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


@click.command()
@inventory_argument
@output_option("text", "json")
@click.option(
    "--deadline", type=float, default=60.0, show_default=True, help="Seconds to wait for the cluster to be right."
)
@click.option("--deep", is_flag=True, help="Also run a probe pod on each node for a while, and look at each host.")
@guarded
def verify(inventory: Path | None, known_hosts: Path | None, output: str, deadline: float, deep: bool) -> int:
    """Check the running cluster against the inventory, through the Kubernetes API."""
    from bootstrap import pipeline
    from bootstrap.report import checks_to_json, format_checks

    session = open_session(inventory, known_hosts)
    facts, failed = pipeline.look(session)
    for error in failed.values():
        report_error(error, "text")
    checks = pipeline.verify(session, facts, deadline)
    if deep and facts:
        checks += pipeline.verify_deep(session, facts, deadline, say)
    give(
        checks_to_json(checks) if output == "json" else format_checks(checks, color=colored(sys.stdout), width=width())
    )
    if failed:
        return ExitCode.UNREACHABLE
    return ExitCode.DONE if checks and all(check.ok for check in checks) else ExitCode.VERIFICATION_FAILED


@click.command()
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


@click.command()
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
