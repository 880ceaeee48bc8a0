"""From the command line to the deep check: what it is told to prove, on leased hosts, and what becomes of its checks."""

import json
import sys
from pathlib import Path

import pytest

from bootstrap import pipeline
from bootstrap.cli.program import cli
from bootstrap.deep import DeepTask
from bootstrap.errors import ExitCode, LockedError
from bootstrap.lock import format_lock
from bootstrap.model import Check, CommandResult, Connection, Host
from bootstrap.session import Session
from tests.plan.world import LOCK
from tests.runner.test_pipeline import INVENTORY, LEASES, RELEASES, Hosts

GOOD = Check("exec", ok=True, detail="answers", subject="h1")


@pytest.fixture
def hosts() -> Hosts:
    return Hosts({"h1": "debian-server", "h2": "debian-agent"})


def open_session(folder: Path, hosts: Hosts, text: str = INVENTORY) -> Session:
    (folder / "inventories").mkdir()
    (folder / "inventories" / "home.yaml").write_text(text)
    (folder / "artifacts.lock").write_text(format_lock(LOCK, locked_by="bootstrap 0"))
    return Session(folder / "inventories" / "home.yaml", {}, open_host=hosts.open)


def record(tasks: list[DeepTask], hosts: Hosts):
    def verify_deep(connect, task, say):
        assert len(hosts.scripts(LEASES)) == 2, "both hosts are leased"
        assert not hosts.scripts(RELEASES)
        tasks.append(task)
        return (GOOD,)

    return verify_deep


def look(session: Session, tasks: list[DeepTask], hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> DeepTask:
    monkeypatch.setattr("bootstrap.deep.verify_deep", record(tasks, hosts))
    facts, _ = pipeline.look(session)
    assert pipeline.verify_deep(session, facts, 7.0, lambda line: None) == (GOOD,)
    return tasks[0]


def test_every_host_is_leased_and_asks_the_controller(tmp_path, hosts, monkeypatch):
    task = look(open_session(tmp_path, hosts), [], hosts, monkeypatch)
    assert task.nodes == ["h1", "h2"]
    assert task.controllers == ["h1"]
    assert list(task.tools) == ["h1", "h2"]
    assert task.arches == {"h1": "amd64", "h2": "amd64"}
    assert task.urls == ["https://10.77.0.11:6443"]
    assert task.domain == "cluster.local"
    assert task.deadline == 7.0
    assert task.name in task.run
    assert len(hosts.scripts(RELEASES)) == 2


def test_the_endpoint_and_the_domain_of_the_inventory_count(tmp_path, hosts, monkeypatch):
    text = INVENTORY.replace("hosts:\n", "endpoint: 10.77.0.100\nnetwork: {domain: home.lan}\nhosts:\n")
    task = look(open_session(tmp_path, hosts, text), [], hosts, monkeypatch)
    assert task.urls == ["https://10.77.0.100:6443"]
    assert task.domain == "home.lan"


def test_a_host_that_can_not_be_reached_is_left_out_but_its_node_is_expected(tmp_path, hosts, monkeypatch):
    hosts.down = {"h2"}
    session = open_session(tmp_path, hosts)
    tasks: list[DeepTask] = []
    monkeypatch.setattr("bootstrap.deep.verify_deep", lambda connect, task, say: tasks.append(task) or ())
    facts, _ = pipeline.look(session)
    pipeline.verify_deep(session, facts, 1.0, lambda line: None)
    assert list(tasks[0].tools) == ["h1"]
    assert tasks[0].nodes == ["h1", "h2"]


def test_leases_are_given_back_after_a_failure(tmp_path, hosts, monkeypatch):
    def fail(connect, task, say):
        raise KeyboardInterrupt

    monkeypatch.setattr("bootstrap.deep.verify_deep", fail)
    session = open_session(tmp_path, hosts)
    facts, _ = pipeline.look(session)
    with pytest.raises(KeyboardInterrupt):
        pipeline.verify_deep(session, facts, 1.0, lambda line: None)
    assert len(hosts.scripts(RELEASES)) == 2


def test_another_run_is_not_disturbed(tmp_path, hosts, monkeypatch):
    held = '100.0\n{"run": "r", "operation": "apply home", "owner": "you", "uptime": "95", "process": 1}\n'
    hosts.rules = [(LEASES, CommandResult(9, held, ""))]
    monkeypatch.setattr("bootstrap.deep.verify_deep", lambda *words: pytest.fail("it must not run"))
    session = open_session(tmp_path, hosts)
    facts, _ = pipeline.look(session)
    with pytest.raises(LockedError, match="another run holds the lease: you, apply home"):
        pipeline.verify_deep(session, facts, 1.0, lambda line: None)


@pytest.mark.parametrize(("ok", "code"), [(True, ExitCode.DONE), (False, ExitCode.VERIFICATION_FAILED)])
def test_deep_checks_stand_beside_the_others(tmp_path, hosts, monkeypatch, capsys, ok, code):
    session = open_session(tmp_path, hosts)
    deep = Check("dns", ok=ok, detail="x", subject="h1")
    monkeypatch.setattr("bootstrap.cli.reading.open_session", lambda *words: session)
    monkeypatch.setattr("bootstrap.cli.console.leave", sys.exit)  # which would end this process too
    monkeypatch.setattr(pipeline, "verify", lambda *words: (GOOD,))
    monkeypatch.setattr(pipeline, "verify_deep", lambda *words: (deep,))
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", "--deep", "-o", "json"], standalone_mode=True)
    shown = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in shown["checks"]] == ["exec", "dns"]
    assert shown["ok"] is ok
    assert ended.value.code == code


def test_without_the_flag_nothing_is_put_into_the_cluster(tmp_path, hosts, monkeypatch):
    session = open_session(tmp_path, hosts)
    monkeypatch.setattr("bootstrap.cli.reading.open_session", lambda *words: session)
    monkeypatch.setattr(pipeline, "verify", lambda *words: (GOOD,))
    asked: list[object] = []
    monkeypatch.setattr(pipeline, "verify_deep", lambda *words: asked.append(words) or ())
    with pytest.raises(SystemExit):
        cli.main(["verify"], standalone_mode=True)
    assert not asked


def test_k3s_keeps_its_things_where_the_host_says():
    from bootstrap.distros.k3s import DRIVER

    host = Host("h1", Connection("10.0.0.1"), native={"config": {"data-dir": "/srv/k3s/"}})
    tools = DRIVER.deep_tools(host)
    assert tools.program == "/srv/k3s/data/current/bin/k3s"
    assert all(path.startswith("/srv/k3s/") for path in (tools.kubelet_kubeconfig, *tools.certificates))
