"""The story of a small cluster: founded, left alone, changed, grown, wiped, shrunk, removed. The tests go in order."""

import json
import time

import pytest

from tests.cluster.conftest import Repository, fresh, snapshot, tree

pytestmark = pytest.mark.sandbox
TREES: dict[str, set[str]] = {}


@pytest.fixture
def home(shared_repository: Repository) -> Repository:
    return shared_repository


def nodes(home: Repository) -> dict[str, dict]:
    items = json.loads(home.hosts.ssh("h1", "k3s kubectl get --raw /api/v1/nodes"))["items"]
    return {item["metadata"]["name"]: item for item in items}


def started(home: Repository, host: str, service: str) -> str:
    return home.hosts.ssh(host, f"systemctl show -p InvocationID --value {service}").strip()


def test_a_fresh_cluster_of_one_controller_and_one_worker_comes_up_verified(home: Repository) -> None:
    fresh(home, 1, 1)
    TREES["h1"], TREES["h2"] = tree(home.hosts, "h1"), tree(home.hosts, "h2")
    plan = home.run("plan", "--detailed-exitcode", code=2)
    assert "found the cluster on h1" in plan.stdout
    done = home.apply()
    assert "FAILED" not in done.text
    found = nodes(home)
    assert set(found) == {"h1", "h2"}
    assert "node-role.kubernetes.io/control-plane" in found["h1"]["metadata"]["labels"]


def test_the_second_apply_does_nothing_and_writes_nothing(home: Repository) -> None:
    before = {host: snapshot(home.hosts, host) for host in ("h1", "h2")}
    done = home.apply()
    after = {host: snapshot(home.hosts, host) for host in ("h1", "h2")}
    assert "nothing to do" in done.text
    assert after == before
    assert home.plan_is_empty()


def test_the_token_is_private_and_in_no_output(home: Repository) -> None:
    token = home.hosts.ssh("h1", "cat /var/lib/rancher/k3s/server/token").strip().rsplit(":", 1)[-1]
    modes = home.hosts.ssh("h1", "stat -c %a /etc/rancher/k3s/config.yaml /var/lib/bootstrap/record.json")
    assert modes.split() == ["600", "600"]
    outputs = [home.run("plan", "-o", kind).text for kind in ("text", "json", "markdown")]
    logs = [path.read_text() for path in (home.root / "state").rglob("*") if path.is_file()]
    assert logs, "the run left no log"
    assert not [text for text in [*outputs, *logs] if token in text]


def test_a_label_is_set_and_taken_back_without_a_restart(home: Repository) -> None:
    before = started(home, "h2", "k3s-agent")
    home.inventory.write_text(home.inventory.read_text().replace("h2: {", "h2: {labels: {disk: ssd}, "))
    home.apply()
    assert nodes(home)["h2"]["metadata"]["labels"]["disk"] == "ssd"
    home.inventory.write_text(home.inventory.read_text().replace("labels: {disk: ssd}, ", ""))
    home.apply()
    assert "disk" not in nodes(home)["h2"]["metadata"]["labels"]
    assert started(home, "h2", "k3s-agent") == before
    assert home.plan_is_empty()


def test_a_changed_key_restarts_only_the_host_that_it_concerns(home: Repository) -> None:
    server, agent = started(home, "h1", "k3s"), started(home, "h2", "k3s-agent")
    home.inventory.write_text(home.inventory.read_text() + "  agent: {node-external-ip: 192.0.2.7}\n")
    plan = home.run("plan").stdout
    assert "restart" in plan
    home.apply()
    assert started(home, "h1", "k3s") == server
    assert started(home, "h2", "k3s-agent") != agent
    assert home.plan_is_empty()


def test_a_new_host_touches_no_other(home: Repository) -> None:
    home.hosts.wipe("h3")
    before = {host: snapshot(home.hosts, host) for host in ("h1", "h2")}
    text = home.inventory.read_text()
    home.inventory.write_text(text.replace("  h2: {", f"  h3: {{address: {home.hosts.address('h3')}}}\n  h2: {{"))
    home.pin()
    home.apply()
    assert set(nodes(home)) == {"h1", "h2", "h3"}
    assert {host: snapshot(home.hosts, host) for host in ("h1", "h2")} == before


def test_a_wiped_worker_is_refused_until_its_key_is_pinned_and_then_comes_back(home: Repository) -> None:
    home.hosts.wipe("h2")
    refused = home.apply(code=4)
    assert "h2" in refused.text
    assert "bootstrap trust --replace h2" in refused.text
    home.run("trust", "--replace", "h2", "--yes")
    home.apply()
    assert set(nodes(home)) == {"h1", "h2", "h3"}
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
    assert set(nodes(home)) == {"h1", "h2"}
    assert home.hosts.ssh("h3", "ls -d /etc/rancher /usr/local/bin/k3s /var/lib/bootstrap 2>/dev/null; true") == ""
    time.sleep(6)
    assert set(nodes(home)) == {"h1", "h2"}, "a removed node came back"
    lines = home.inventory.read_text().splitlines()
    home.inventory.write_text("\n".join(line for line in lines if not line.startswith("  h3:")) + "\n")
    assert home.plan_is_empty()


def test_when_every_host_was_wiped_one_apply_brings_the_cluster_back(home: Repository) -> None:
    home.hosts.wipe("h1", "h2")
    home.pin()
    home.apply()
    assert set(nodes(home)) == {"h1", "h2"}
    assert home.plan_is_empty()


def test_when_only_the_controller_was_wiped_its_workers_follow_to_the_new_cluster(home: Repository) -> None:
    home.hosts.wipe("h1")
    home.pin()
    home.apply()
    assert set(nodes(home)) == {"h1", "h2"}
    assert home.plan_is_empty()


def test_reset_asks_for_the_name_and_leaves_the_hosts_as_they_were(home: Repository) -> None:
    home.run("reset", "--confirm", "other", code=64)
    home.run("reset", code=64)
    home.hosts.wipe("h1", "h2")
    home.pin()
    before = {host: tree(home.hosts, host) for host in ("h1", "h2")}
    home.apply()
    home.run("reset", "--confirm", "home")
    allowed = (
        "/var/log/journal",
        "/var/lib/systemd",
        "/root/.ssh",
        "/var/lib/dbus",
        "/var/cache",
        "/var/log/wtmp",
        "/var/log/lastlog",
    )
    for host in ("h1", "h2"):
        left = {path for path in tree(home.hosts, host) - before[host] if not path.startswith(allowed)}
        assert left == set(), f"{host}: {sorted(left)}"
        assert before[host] - tree(home.hosts, host) == set()
