"""The path of data from look to report, on hosts that answer from recordings: what stops it, what is kept, what is given back."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bootstrap import pipeline
from bootstrap.errors import (
    BootstrapError,
    ConnectionLostError,
    ExitCode,
    InterruptedRunError,
    LockedError,
    PlanRefusedError,
    PreflightError,
    StepError,
    UnreachableError,
)
from bootstrap.lock import format_lock
from bootstrap.model import CommandResult, Plan, Status
from bootstrap.pipeline import Consent, Draft
from bootstrap.report import plan_digest
from bootstrap.session import Session
from tests.fakes import OK, Notes, RuleTransport
from tests.plan.world import LOCK, built, make_inventory

RECORDED = Path(__file__).parent.parent / "observe" / "recorded"
INVENTORY = """\
schema: bootstrap/v1
cluster: home
distro: k3s
version: v1.36.3+k3s1
hosts:
  h1: {address: 10.77.0.11, role: controller+worker}
  h2: {address: 10.77.0.12}
k3s: {config: {kubelet-arg: [fail-cgroupv1=false]}}
"""


@dataclass
class Hosts:
    """Two machines. `seen` names the recording of each; other scripts are answered by rules, then with success."""

    seen: dict[str, str] = field(default_factory=lambda: {"h1": "debian-fresh", "h2": "debian-fresh"})
    rules: list[tuple[str, CommandResult | Exception | Callable[[str, bytes], CommandResult]]] = field(
        default_factory=list
    )
    down: set[str] = field(default_factory=set)
    opened: dict[str, RuleTransport] = field(default_factory=dict)
    looks: int = 0

    def open(self, name: str) -> RuleTransport:
        if name in self.down:
            raise UnreachableError(name, "no answer")
        started = ("umask 077\ndir=", CommandResult(0, "ended 0\n", ""))
        look = ("-begin-0", lambda script, stdin: self.answer(name, script))
        host = RuleTransport(name, [look, *self.rules, started, ("", OK)])
        self.opened.setdefault(name, host)
        return self.opened[name]

    def answer(self, name: str, script: str) -> CommandResult:
        self.looks += 1
        if name in self.down:
            raise ConnectionLostError(name, "the connection broke")
        mark = script.split("-begin-0", 1)[0].split()[-1]
        text = (RECORDED / f"{self.seen[name]}.txt").read_text().replace("bootstrap-0123456789abcdef", mark)
        text = text if "agent" in self.seen[name] or name == "h1" else re.sub(r"\bh1\b", "h2", text)
        machine = text.replace("machine_id=", f"machine_id={name}")
        return CommandResult(0, re.sub(r"clock=\d+", f"clock={pipeline.time.time():.0f}", machine), "")

    def scripts(self, pattern: str) -> list[str]:
        return [script for host in self.opened.values() for script in host.scripts if re.search(pattern, script)]


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


@pytest.fixture
def session(tmp_path: Path, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "home.yaml").write_text(INVENTORY)
    (tmp_path / "artifacts.lock").write_text(format_lock(LOCK, locked_by="bootstrap 0"))
    return Session(tmp_path / "inventories" / "home.yaml", {}, open_host=hosts.open)


def consent(*, shown: list[Draft] | None = None, give: Callable[[Draft], None] = lambda draft: None) -> Consent:
    drafts = shown if shown is not None else []
    return Consent(drafts.append, give, lambda made: Notes(), verify_deadline=0.0)


def no(draft: Draft) -> None:
    raise BootstrapError("not confirmed: nothing was changed")


LEASES = r"ln \"\$mine\""
RELEASES = "kube-cache"
WRITES = "END-"


# --- plans ---------------------------------------------------------------------------------------


def test_a_plan_takes_one_look_at_each_host_and_writes_nothing(session: Session, hosts: Hosts) -> None:
    draft = pipeline.plan(session)
    assert not draft.plan.is_empty
    assert hosts.looks == 2
    assert all(len(host.scripts) == 1 and not host.files for host in hosts.opened.values())


def test_a_host_that_can_not_be_asked_is_named_and_left_out(session: Session, hosts: Hosts) -> None:
    hosts.down = {"h2"}
    draft = pipeline.plan(session)
    assert (draft.plan.unreachable, list(draft.failed), draft.plan.hosts()) == (("h2",), ["h2"], ("h1",))


def test_when_no_host_can_be_asked_the_first_says_why(session: Session, hosts: Hosts) -> None:
    hosts.down = {"h1", "h2"}
    with pytest.raises(UnreachableError, match="no answer"):
        pipeline.plan(session)


def test_findings_that_stop_leave_the_plan_empty_and_are_all_told(session: Session, hosts: Hosts) -> None:
    hosts.seen = {"h1": "openrc-server", "h2": "openrc-server"}
    shown: list[Draft] = []
    session.__dict__["inventory"] = replace(session.inventory, cluster="another")
    draft = pipeline.plan(session)
    assert (draft.stops, draft.plan.is_empty) == (True, True)
    with pytest.raises(PreflightError) as caught:
        pipeline.apply(session, consent(shown=shown))
    assert len(caught.value.findings) >= 2
    assert any("belongs to cluster home" in line for line in caught.value.findings)
    assert shown == []


# --- applying ------------------------------------------------------------------------------------


def test_what_is_shown_is_what_is_done(session: Session, hosts: Hosts) -> None:
    shown: list[Draft] = []
    report = pipeline.apply(session, consent(shown=shown))
    assert [result.step for result in report.results] == [
        step for stage in shown[0].plan.stages for step in stage.steps
    ]
    assert {result.status for result in report.results} == {Status.DONE}


def test_a_no_writes_nothing_and_takes_no_lease(session: Session, hosts: Hosts) -> None:
    with pytest.raises(BootstrapError, match="not confirmed"):
        pipeline.apply(session, consent(give=no))
    assert all(len(host.scripts) == 1 and not host.files for host in hosts.opened.values())


def test_a_second_plan_that_is_not_empty_is_kept_for_the_report(session: Session) -> None:
    """These hosts never change: the run did nothing, and must not be called a success."""
    report = pipeline.apply(session, consent())
    assert report.remaining is not None
    assert not report.remaining.is_empty
    assert not report.ok
    assert [(check.name, check.ok) for check in report.checks] == [("kubeconfig", False)]


def test_a_world_that_changed_since_the_plan_is_refused_before_any_write(session: Session, hosts: Hosts) -> None:
    def reinstall(draft: Draft) -> None:
        hosts.seen["h2"] = "debian-agent"

    with pytest.raises(PlanRefusedError, match="the hosts changed since the plan was made: nothing was written"):
        pipeline.apply(session, consent(give=reinstall))
    assert hosts.scripts(WRITES) == []
    assert all(not host.files for host in hosts.opened.values())
    assert len(hosts.scripts(RELEASES)) == len(hosts.scripts(LEASES)) == 2


def test_a_held_lease_is_told_and_nothing_is_written(session: Session, hosts: Hosts) -> None:
    lease = json.dumps(
        {
            "run": "r",
            "owner": "ann@laptop",
            "operation": "apply home",
            "uptime": "100",
            "process": 1,
            "operator_boot": "x",
        }
    )
    hosts.rules = [(LEASES, CommandResult(9, f"101\n{lease}\n", ""))]
    with pytest.raises(LockedError, match="another run holds the lease: ann@laptop"):
        pipeline.apply(session, consent())
    assert hosts.scripts(WRITES) == []


@pytest.mark.parametrize("words", ["", "disk full"])
def test_leases_are_given_back_when_a_step_fails(session: Session, hosts: Hosts, words: str) -> None:
    hosts.rules = [("install the k3s service", CommandResult(0, f"ended 1\n{words}", ""))]
    report = pipeline.apply(session, consent())
    assert Status.FAILED in {result.status for result in report.results}
    assert report.checks == ()
    assert len(hosts.scripts(RELEASES)) == 2


def test_what_was_done_is_told_though_nobody_answers_afterwards(session: Session, hosts: Hosts) -> None:
    def cut(script: str, stdin: bytes) -> CommandResult:
        hosts.down = {"h1", "h2"}
        return CommandResult(0, "ended 1\ndied\n", "")

    hosts.rules = [("install the k3s service", cut)]
    report = pipeline.apply(session, consent())
    assert Status.FAILED in {result.status for result in report.results}
    assert [check.ok for check in report.checks] == [False]
    assert not report.ok


def test_an_interrupt_names_what_still_runs(session: Session, hosts: Hosts) -> None:
    def press(script: str, stdin: bytes) -> CommandResult:
        raise KeyboardInterrupt

    hosts.rules = [("umask 077\ndir=", press)]
    with pytest.raises(InterruptedRunError) as caught:
        pipeline.apply(session, consent())
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert "apply again" in caught.value.next_step
    assert len(hosts.scripts(RELEASES)) == 2


def test_hooks_before_the_connection_run_here_first_and_stop_the_run(
    session: Session, tmp_path: Path, hosts: Hosts
) -> None:
    hook = f"hooks:\n- {{name: wake, at: before-connect, run: 'echo up > {tmp_path}/woken; exit ${{env:CODE}}'}}\n"
    session.path.write_text(INVENTORY + hook)
    session.environment = {"CODE": "3"}
    with pytest.raises(StepError, match="hook wake ended with exit code 3"):
        pipeline.apply(session, consent())
    assert (tmp_path / "woken").read_text() == "up\n"
    assert hosts.looks == 0


def test_a_reset_of_empty_hosts_asks_nobody(session: Session) -> None:
    report = pipeline.reset(session, consent(give=no))
    assert report.results == ()


# --- saved plans ---------------------------------------------------------------------------------


def test_a_saved_plan_is_recognised_and_another_is_refused(tmp_path: Path) -> None:
    world = built(make_inventory(1, 1))
    world.wipe("w1")
    path = tmp_path / "plan.json"
    pipeline.save_plan(world.plan(), path)
    pipeline.compare_saved(world.plan(), path)
    assert json.loads(path.read_text())["digest"] == plan_digest(world.plan())
    world.stop("c1")
    with pytest.raises(PlanRefusedError, match="the saved plan is not the plan of now"):
        pipeline.compare_saved(world.plan(), path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "nonsense", '{"plan": {}}'])
def test_what_is_no_saved_plan_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(PlanRefusedError, match="this is no saved plan"):
        pipeline.compare_saved(Plan("home", "apply"), path)
    with pytest.raises(PlanRefusedError, match="this is no saved plan"):
        pipeline.compare_saved(Plan("home", "apply"), tmp_path / "none")


# --- where the API is ----------------------------------------------------------------------------


def test_the_kubeconfig_asks_the_address_that_ssh_uses(session: Session, hosts: Hosts) -> None:
    hosts.seen = {"h1": "debian-server", "h2": "debian-agent"}
    facts, _ = pipeline.look(session)
    text = pipeline.kubeconfig(session, facts)
    assert text is not None
    assert "server: https://10.77.0.11:6443" in text
    assert "name: home" in text


@pytest.mark.parametrize(
    ("change", "url"),
    [
        ("endpoint: 192.168.1.5\n", "https://192.168.1.5:6443"),
        ("endpoint: api.example.com:8443\n", "https://api.example.com:8443"),
        ("", "https://10.77.0.11:6443"),
    ],
)
def test_an_endpoint_comes_first(session: Session, hosts: Hosts, change: str, url: str) -> None:
    session.path.write_text(INVENTORY + change)
    hosts.seen = {"h1": "debian-server", "h2": "debian-agent"}
    facts, _ = pipeline.look(session)
    assert pipeline.api_url(session, facts) == url


def test_a_name_that_only_ssh_knows_gives_way_to_the_nodes_address(session: Session, hosts: Hosts) -> None:
    session.path.write_text(INVENTORY.replace("address: 10.77.0.11", "address: pi-alias"))
    hosts.seen = {"h1": "debian-server", "h2": "debian-agent"}
    facts, _ = pipeline.look(session)
    assert pipeline.api_url(session, facts) == "https://10.77.0.11:6443"


def test_no_kubeconfig_is_a_failed_check_and_no_crash(session: Session) -> None:
    facts, _ = pipeline.look(session)
    (check,) = pipeline.verify(session, facts, 0.0)
    assert (check.ok, check.detail) == (False, "no controller that can be reached has one")
