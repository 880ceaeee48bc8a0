"""The path of data, one short function per command: read this page and you know the program.

inventory file -> Inventory -> Artifacts -> Facts -> Plan -> Results -> Checks. Each command is a prefix of that line:
`plan` simply stops earlier than `apply`, so what is shown is the object that is executed.
"""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bootstrap import model
from bootstrap.errors import BootstrapError, PlanRefusedError, PreflightError, StepError, TransportError
from bootstrap.facts import bracket
from bootstrap.session import LOCK_FILE, Session

if TYPE_CHECKING:
    from bootstrap.driver import PlanInput
    from bootstrap.model import Artifact, Check, Facts, Inventory, Lock, LockedFile, Plan, Report
    from bootstrap.progress import Progress
    from bootstrap.report import StatusRow

LOOKS_AFTER_CHANGE = 3  # good ones in a row


@dataclass(frozen=True)
class Draft:
    """A plan with the facts that it was made from, and the errors of hosts that could not be asked."""

    plan: Plan
    facts: Facts
    failed: Mapping[str, TransportError]
    started: float  # epoch seconds before the first look

    @property
    def stops(self) -> bool:
        return any(finding.stops for finding in self.plan.findings)


# --- commands that touch no host -----------------------------------------------------------------


def validate(session: Session) -> Inventory:
    """Every mistake at once. Raises InventoryError."""
    return session.inventory


def render(session: Session) -> tuple[Artifact, ...]:
    """The native files, as for a cluster that is yet to be made."""
    return session.render()


def write_rendered(session: Session) -> tuple[Path, list[str]]:
    """Write rendered/<cluster>/; returns the folder and what changed in it."""
    from bootstrap.render import compare_tree, write_tree

    folder = session.root / "rendered" / session.inventory.cluster
    artifacts = session.render()
    changed = compare_tree(artifacts, folder)
    if changed:
        write_tree(artifacts, folder)
    return folder, list(changed)


def check_rendered(session: Session) -> tuple[Path, list[str]]:
    """Like write_rendered, but only looks."""
    from bootstrap.render import compare_tree

    folder = session.root / "rendered" / session.inventory.cluster
    return folder, list(compare_tree(session.render(), folder))


def write_lock(session: Session, note: Callable[[str], None] = lambda _: None) -> Lock:
    """Ask upstream, or the mirror, for sizes and checksums of what the inventory needs, and write artifacts.lock.

    `note` gets a line for each thing that a person should know, such as what is left out.
    """
    from bootstrap import __version__
    from bootstrap.lock import format_lock, own_path, parse_lock, replace_files
    from bootstrap.own_files import lock_own_files
    from bootstrap.upstream import lock_files

    path = session.root / LOCK_FILE
    old = parse_lock(path.read_text(), file=str(path)) if path.exists() else model.Lock()
    stated = tuple(dict.fromkeys(host.arch for host in session.inventory.hosts if host.arch))
    wanted = session.driver.upstream_files(session.inventory, stated or ("amd64", "arm64", "arm"))
    if not stated:
        wanted = [replace(file, optional=file.optional or file.arch not in ("amd64", "any")) for file in wanted]
    own = [file for file in wanted if own_path(file.url)]
    theirs = [file for file in wanted if not own_path(file.url)]
    files = lock_files(theirs, session.inventory.version, find_mirror(session), note=note)
    if any(file.signed_by for file in theirs):
        from bootstrap.signatures import check_signatures

        check_signatures(theirs, files, session.inventory.version, find_mirror(session), session.root)
    lock = replace_files(old, [*files, *lock_own_files(own, session.root)])
    path.write_text(format_lock(lock, locked_by=f"bootstrap {__version__}"))
    return lock


def find_mirror(session: Session) -> str | None:
    """The mirror: a URL as it is, a folder from the repository's root."""
    mirror = session.inventory.mirror
    if mirror is None or "://" in mirror:
        return mirror
    return str((session.root / Path(mirror).expanduser()).resolve())


# --- commands that read hosts --------------------------------------------------------------------


def look(session: Session) -> tuple[Facts, dict[str, TransportError]]:
    """Facts of every host that can be asked."""
    from bootstrap.observe import observe

    inventory, driver = session.inventory, session.driver
    probes = {host.name: driver.probes(inventory, host) for host in inventory.hosts}
    return observe(session.connections.get, probes)


def make_draft(session: Session, plan_with: Callable[[PlanInput], Plan], *, checks_hosts: bool = True) -> Draft:
    """Look, and plan from what was seen. Raises the first host's error when none can be asked."""
    started = time.time()
    facts, failed = look(session)
    if not facts and failed:
        raise next(iter(failed.values()))
    plan_input = session.make_input(facts, failed)
    findings = tuple(session.driver.check_hosts(plan_input)) if checks_hosts else ()
    empty = model.Plan(session.inventory.cluster, "apply", findings=findings, unreachable=tuple(failed))
    if any(finding.stops for finding in findings):
        return Draft(empty, facts, failed, started)
    plan = plan_with(plan_input)
    return Draft(replace(plan, findings=findings, unreachable=tuple(failed)), facts, failed, started)


def plan(session: Session) -> Draft:
    """The difference between the inventory and the hosts, in the order in which it would be made good."""
    return make_draft(session, session.driver.plan_apply)


def plan_remove(session: Session, host: str) -> Draft:
    return make_draft(session, lambda plan_input: session.driver.plan_remove(plan_input, host), checks_hosts=False)


def plan_reset(session: Session) -> Draft:
    return make_draft(session, session.driver.plan_reset, checks_hosts=False)


def verify(session: Session, facts: Facts, deadline: float, *, looks: int = 2) -> tuple[Check, ...]:
    """The Kubernetes API against the inventory, asked with the kubeconfig that a controller holds.

    `looks`: good ones in a row; more of them where the cluster has just changed.
    """
    from bootstrap.api import open_api
    from bootstrap.verify import Patience, verify_cluster

    text = kubeconfig(session, facts)
    if text is None:
        return (model.Check("kubeconfig", ok=False, detail="no controller that can be reached has one"),)
    inventory, driver = session.inventory, session.driver
    checks = verify_cluster(
        inventory,
        driver.expect_nodes(inventory),
        lambda: open_api(text),
        patience=Patience(deadline=deadline, looks=looks, interval=1.0 if looks < LOOKS_AFTER_CHANGE else 2.0),
        workloads=driver.workloads(inventory),
        network_comes_later=not driver.brings_network(inventory),
    )
    return (*checks, *driver.check_facts(inventory, facts))


def verify_deep(session: Session, facts: Facts, deadline: float, say: Callable[[str], None]) -> tuple[Check, ...]:
    """The cluster proved by using it, on leased hosts: probe pods come and go. Raises LockedError."""
    import secrets

    from bootstrap.deep import DeepTask, verify_deep
    from bootstrap.lease import Leases, identify_holder

    inventory, driver = session.inventory, session.driver
    hosts = [host for host in inventory.hosts if host.name in facts]
    name = secrets.token_hex(3)
    task = DeepTask(
        run=f"{time.strftime('%Y%m%d-%H%M%S')}-{name}",
        name=name,
        nodes=[node.name for node in driver.expect_nodes(inventory)],
        controllers=[host.name for host in hosts if host.role.controls],
        tools={host.name: driver.deep_tools(host) for host in hosts},
        arches={host.name: facts[host.name].arch for host in hosts},
        urls=api_urls(session, facts),
        domain=inventory.network.domain or "cluster.local",
        deadline=deadline,
    )
    leases = Leases(identify_holder(task.run, f"verify {inventory.cluster}"), session.connections.get)
    leases.take([host.name for host in hosts])
    try:
        return verify_deep(session.connections.get, task, say)
    finally:
        leases.release()


def kubeconfig(session: Session, facts: Facts) -> str | None:
    """The admin kubeconfig, named after the cluster, with an address that answers from here."""
    from bootstrap.kubeconfig import rename_kubeconfig

    text = session.driver.kubeconfig_from(facts)
    return rename_kubeconfig(text, session.inventory.cluster, api_url(session, facts)) if text else None


def api_url(session: Session, facts: Facts) -> str:
    """The endpoint; without one, the first controller that can be reached, by the address that ssh uses for it."""
    endpoint = session.inventory.endpoint
    if endpoint:
        return f"https://{bracket(endpoint.host)}:{endpoint.port}"
    controllers = [host for host in session.inventory.controllers if host.name in facts]
    host = next((h for h in controllers if facts[h.name].values.get("nodes") is not None), controllers[0])
    address = host.connection.address
    if host.connection.jumps or not _is_address(address):
        address = next(iter(facts[host.name].node_addresses(host)), address)
    return f"https://{bracket(address)}:{session.driver.api_port(host)}"


def api_urls(session: Session, facts: Facts) -> list[str]:
    """Where the API shall answer every host: the endpoint, without one each controller that can be reached."""
    if session.inventory.endpoint:
        return [api_url(session, facts)]
    controllers = [host for host in session.inventory.controllers if host.name in facts]
    addresses = [next(iter(facts[host.name].node_addresses(host)), host.connection.address) for host in controllers]
    return [
        f"https://{bracket(address)}:{session.driver.api_port(host)}"
        for address, host in zip(addresses, controllers, strict=True)
    ]


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


# --- commands that write -------------------------------------------------------------------------


@dataclass(frozen=True)
class Consent:
    """How the person is asked: `show` shows the plan, `give` raises when the answer is no."""

    show: Callable[[Draft], None]
    give: Callable[[Draft], None]
    open_progress: Callable[[Plan], Progress]
    verify_deadline: float = 180.0  # seconds


def apply(session: Session, consent: Consent) -> Report:
    """Plan, ask, do exactly that, look again, verify. A second plan that is not empty is a failed verification."""
    run_before_connect(session)
    draft = plan(session)
    name_holder(session, draft)
    refuse_findings(draft)
    consent.show(draft)
    if draft.plan.is_empty:
        return prove(session, consent, model.Report(remaining=draft.plan), draft)
    consent.give(draft)
    report = execute(session, consent, draft, plan)
    try:
        after = plan(session)
    except BootstrapError as error:  # what was done must be told, whatever the hosts say now
        return replace(report, checks=(model.Check("plan again", ok=False, detail=str(error)),))
    report = replace(report, remaining=after.plan)
    if any(result.status is not model.Status.DONE for result in report.results):
        return report
    return prove(session, consent, report, after)


def run_before_connect(session: Session) -> None:
    """Hooks that run here before hosts are asked, such as waking them up. Raises StepError."""
    from bootstrap.plan import BEFORE_CONNECT
    from bootstrap.transport.local import LocalTransport

    for hook in session.inventory.hooks:
        if hook.point == BEFORE_CONNECT:
            result = LocalTransport().run(session.fill_text(hook.script), deadline=600.0)
            if not result.ok:
                why = (result.stderr or result.stdout).strip()[-500:]
                raise StepError(
                    f"hook {hook.name} ended with exit code {result.exit_code}", where="this machine", why=why
                )


def prove(session: Session, consent: Consent, report: Report, draft: Draft) -> Report:
    looks = LOOKS_AFTER_CHANGE if report.results else 2
    return replace(report, checks=verify(session, draft.facts, consent.verify_deadline, looks=looks))


def remove(session: Session, host: str, consent: Consent) -> Report:
    """Take one host out of the cluster; the quorum is guarded by the plan."""
    draft = plan_remove(session, host)
    consent.show(draft)
    consent.give(draft)
    return execute(session, consent, draft, lambda again: plan_remove(again, host))


def reset(session: Session, consent: Consent) -> Report:
    """Remove the whole cluster from every host that can be reached."""
    draft = plan_reset(session)
    if draft.plan.is_empty:
        return model.Report()
    consent.show(draft)
    consent.give(draft)
    report = execute(session, consent, draft, plan_reset)
    return replace(report, remaining=plan_reset(session).plan)


def name_holder(session: Session, draft: Draft) -> None:
    """Raises LockedError when what stops us is another run that is alive: its name says more than its traces."""
    from bootstrap.lease import Leases, identify_holder

    leased = [name for name, host in draft.facts.items() if host.lease]
    if draft.stops and leased:
        leases = Leases(identify_holder("a-look", "look"), session.connections.get)
        leases.take(leased)
        leases.release()


def refuse_findings(draft: Draft) -> None:
    """Raises PreflightError with every finding that must be settled before a write."""
    if draft.stops:
        lines = [
            f"{finding.host}: {finding.message}" + (f" ({finding.hint})" if finding.hint else "")
            for finding in draft.plan.findings
            if finding.stops
        ]
        raise PreflightError(lines)


def execute(session: Session, consent: Consent, draft: Draft, plan_again: Callable[[Session], Draft]) -> Report:
    """Take the leases, see that the world is still as planned, run. Raises PlanRefusedError, LockedError."""
    import secrets

    from bootstrap.lease import Leases, identify_holder
    from bootstrap.report import plan_digest

    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    holder = identify_holder(run_id, f"{draft.plan.operation} {draft.plan.cluster}")
    leases = Leases(holder, session.connections.get)
    leases.take(draft.plan.places())
    progress = consent.open_progress(draft.plan)
    try:
        if plan_digest(plan_again(session).plan) != plan_digest(draft.plan):
            raise PlanRefusedError(
                "the hosts changed since the plan was made: nothing was written",
                next_step="look at the new plan and apply it",
            )
        return run_plan(session, run_id, draft.plan, progress)
    finally:
        progress.close()
        leases.release()


def run_plan(session: Session, run_id: str, plan: Plan, progress: Progress) -> Report:
    """Execute; on Ctrl-C name what still runs, and leave within seconds."""
    from bootstrap.errors import InterruptedRunError
    from bootstrap.progress import HostLogs
    from bootstrap.runner import Runner

    logs = HostLogs(log_folder(session, run_id), session.redactor)
    runner = Runner(
        connect=session.connections.get,
        run_id=run_id,
        fill=session.fill,
        obtain=lambda file: obtain_file(session, file),
        download_on_hosts=session.inventory.mirror is None,
        progress=progress,
        logs=logs,
    )
    try:
        results = runner.execute(plan)
    except KeyboardInterrupt:
        runner.stop.set()
        still = [f"{step.place}: {step.title}" for step in runner.running.values()]
        raise InterruptedRunError(
            "interrupted",
            why="; ".join(["still running on its host: " + line for line in still]) or "no step was running",
            next_step="apply again: it goes on from what is there",
        ) from None
    finally:
        logs.close()
    return model.Report(results=results, log_folder=str(logs.folder))


def log_folder(session: Session, run_id: str) -> Path:
    from platformdirs import user_state_path

    return user_state_path("bootstrap") / "logs" / session.inventory.cluster / run_id


# --- small ends ----------------------------------------------------------------------------------


def save_plan(plan: Plan, path: Path) -> None:
    """The plan as JSON with its digest; it holds no secret."""
    import json

    from bootstrap.report import plan_digest, plan_to_json

    path.write_text(
        json.dumps(
            {"schema": "bootstrap/saved-plan/v1", "digest": plan_digest(plan), "plan": json.loads(plan_to_json(plan))},
            indent=2,
        )
        + "\n"
    )


def compare_saved(plan: Plan, path: Path) -> None:
    """Raises PlanRefusedError unless the plan of now is, to the byte, the saved one."""
    import json

    from bootstrap.report import plan_digest

    try:
        saved = json.loads(path.read_text())["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise PlanRefusedError(
            "this is no saved plan", where=str(path), next_step="make one: bootstrap plan --out FILE"
        ) from None
    if saved != plan_digest(plan):
        raise PlanRefusedError(
            "the saved plan is not the plan of now: nothing was written",
            where=str(path),
            why="the hosts, the inventory, the lock or the templates changed since it was saved",
            next_step="bootstrap plan --out FILE, and read it again",
        )


def obtain_file(session: Session, file: LockedFile) -> Path:
    """A locked file on this machine, from the cache, the mirror or upstream."""
    from platformdirs import user_cache_path

    from bootstrap.download import obtain
    from bootstrap.lock import own_path
    from bootstrap.own_files import obtain_own_file

    if own_path(file.url):
        return obtain_own_file(file, session.root)
    return obtain(file, find_mirror(session), user_cache_path("bootstrap") / "files")


def merged(existing: str, new: str) -> str:
    from bootstrap.kubeconfig import merge_kubeconfigs

    return merge_kubeconfigs(existing, new)


def alone(existing: str, new: str) -> str:  # noqa: ARG001 - the same form as `merged`
    return new


def write_kubeconfig(path: Path, text: str, combine: Callable[[str, str], str]) -> Path | None:
    """Write privately; returns the backup of the old file, if there was one."""
    from bootstrap.kubeconfig import write_private

    existing = path.read_text() if path.exists() else ""
    return write_private(path, combine(existing, text))


def status_rows(session: Session, facts: Facts) -> list[StatusRow]:
    """What is known of each host, from the same look as a plan's."""
    from bootstrap.status import make_rows

    return make_rows(session.inventory, facts)
