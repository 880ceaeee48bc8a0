"""The story of a small cluster: founded, left alone, changed, grown, wiped, shrunk, reset. For each distribution, in order."""

import json
import time

import pytest

from tests.cluster.conftest import Repository, fresh, snapshot, tree

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800)]
TREES: dict[str, set[str]] = {}


def keep_trees(home: Repository, *hosts: str) -> None:
    """What a wiped host is like before anything is done to it."""
    TREES.update({host: tree(home.hosts, host) for host in hosts})


def test_a_fresh_cluster_of_one_controller_and_one_worker_comes_up_verified(home: Repository) -> None:
    fresh(home, 1, 1)
    plan = home.run("plan", "--detailed-exitcode", code=2)
    assert "found the cluster on h1" in plan.stdout
    done = home.apply()
    assert "FAILED" not in done.text
    found = home.nodes()
    assert set(found) == {"h1", "h2"}
    assert "node-role.kubernetes.io/control-plane" in found["h1"]["metadata"]["labels"]
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in found.values()} == {home.distribution.kubelet}


def test_the_second_apply_does_nothing_and_writes_nothing(home: Repository) -> None:
    before = {host: snapshot(home, host) for host in ("h1", "h2")}
    done = home.apply()
    after = {host: snapshot(home, host) for host in ("h1", "h2")}
    assert "nothing to do" in done.text
    assert after == before
    assert home.plan_is_empty()


def test_secrets_are_private_and_in_no_output(home: Repository) -> None:
    secret = home.hosts.ssh("h1", home.distribution.secret).strip().rsplit(":", 1)[-1]
    assert len(secret) > 10
    modes = home.hosts.ssh("h1", f"stat -c %a {' '.join(home.distribution.private)}")
    assert set(modes.split()) == {"600"}
    outputs = [home.run("plan", "-o", kind).text for kind in ("text", "json", "markdown")]
    logs = [path.read_text() for path in (home.root / "state").rglob("*") if path.is_file()]
    assert logs, "the run left no log"
    assert not [text for text in [*outputs, *logs] if secret in text]


def test_a_label_is_set_and_taken_back_without_a_restart(home: Repository) -> None:
    service = home.distribution.services[1]
    before = home.started("h2", service)
    home.change_host("h2", "labels: {disk: ssd}")
    home.apply()
    assert home.nodes()["h2"]["metadata"]["labels"]["disk"] == "ssd"
    home.change("labels: {disk: ssd}, ", "")
    home.apply()
    assert "disk" not in home.nodes()["h2"]["metadata"]["labels"]
    assert home.started("h2", service) == before
    assert home.plan_is_empty()


def test_a_changed_key_restarts_only_the_host_that_it_concerns(home: Repository) -> None:
    controller, worker = home.distribution.services
    before = home.started("h1", controller), home.started("h2", worker)
    home.change_host("h2", f"{home.distribution.name}: {{{home.distribution.worker_change}}}")
    assert "restart" in home.run("plan").stdout
    home.apply()
    assert home.started("h1", controller) == before[0]
    assert home.started("h2", worker) != before[1]
    assert home.plan_is_empty()


def test_a_new_host_touches_no_other(home: Repository) -> None:
    home.hosts.wipe("h3")
    services = dict(zip(("h1", "h2"), home.distribution.services, strict=True))
    before = {host: (snapshot(home, host), home.started(host, service)) for host, service in services.items()}
    home.change("  h2: {", f"  h3: {{address: {home.hosts.address('h3')}}}\n  h2: {{")
    home.pin()
    home.apply()
    assert set(home.nodes()) == {"h1", "h2", "h3"}
    for host, (files, start) in before.items():
        changed = dict(snapshot(home, host).items() ^ files.items())
        assert {path for path in changed if not path.startswith(home.distribution.follows or ("-",))} == set()
        assert home.started(host, services[host]) == start


def test_a_wiped_worker_is_refused_until_its_key_is_pinned_and_then_comes_back(home: Repository) -> None:
    home.hosts.wipe("h2")
    refused = home.apply(code=4)
    assert "h2" in refused.text
    assert "bootstrap trust --replace h2" in refused.text
    home.run("trust", "--replace", "h2", "--yes")
    home.apply()
    assert set(home.nodes()) == {"h1", "h2", "h3"}
    assert home.plan_is_empty()


def test_status_and_kubeconfig_tell_of_the_cluster(home: Repository) -> None:
    rows = json.loads(home.run("status", "-o", "json").stdout)
    assert [row["host"] for row in rows["hosts"]] == ["h1", "h3", "h2"]
    assert all(row["ready"] for row in rows["hosts"])
    target = home.root / "kube" / "config"
    home.run("kubeconfig", "--out", str(target))
    assert target.stat().st_mode & 0o777 == 0o600
    assert "name: home" in target.read_text()
    checks = json.loads(home.run("verify", "-o", "json").stdout)
    assert checks["checks"]


def test_a_removed_host_leaves_the_cluster_and_holds_nothing_of_it(home: Repository) -> None:
    home.run("remove", "h3", "--yes")
    assert set(home.nodes()) == {"h1", "h2"}
    left = home.hosts.ssh("h3", f"ls -d {' '.join(home.distribution.programs)} /var/lib/bootstrap 2>/dev/null; true")
    assert left == ""
    time.sleep(6)
    assert set(home.nodes()) == {"h1", "h2"}, "a removed node came back"
    lines = home.inventory.read_text().splitlines()
    home.inventory.write_text("\n".join(line for line in lines if not line.startswith("  h3:")) + "\n")
    if home.distribution.follows:
        assert "restarts nothing" in home.run("plan").stdout
        home.apply()
    assert home.plan_is_empty()


def test_when_every_host_was_wiped_one_apply_brings_the_cluster_back(home: Repository) -> None:
    home.hosts.wipe("h1", "h2")
    keep_trees(home, "h2")
    home.pin()
    home.apply()
    assert set(home.nodes()) == {"h1", "h2"}
    assert home.plan_is_empty()


def test_when_only_the_controller_was_wiped_its_workers_follow_to_the_new_cluster(home: Repository) -> None:
    home.hosts.wipe("h1")
    keep_trees(home, "h1")
    home.pin()
    home.apply()
    assert set(home.nodes()) == {"h1", "h2"}
    assert home.plan_is_empty()


def test_reset_asks_for_the_name_and_leaves_the_hosts_as_they_were(home: Repository) -> None:
    home.run("reset", "--confirm", "other", code=64)
    home.run("reset", code=64)
    home.run("reset", "--confirm", "home")
    allowed = (
        "/var/log/journal",
        "/var/lib/systemd",
        "/root/.ssh",
        "/var/lib/dbus",
        "/var/cache",
        "/var/log/wtmp",
        "/var/log/lastlog",
        *home.distribution.kept,
    )
    for host in ("h1", "h2"):
        after = tree(home.hosts, host)
        left = {path for path in after - TREES[host] if not path.startswith(allowed)}
        assert left == set(), f"{host}: {sorted(left)}"
        assert TREES[host] - after == set()
