"""The story of a real Kubernetes by kubeadm: founded, left alone, wiped, reset. The tests go in order."""

import json
from pathlib import Path

import pytest

from tests.cluster.conftest import Repository, make_repository, snapshot, tree
from tests.cluster.distribution import KUBEADM
from tests.conftest import SandboxHosts

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800)]
VERSION, NEXT_VERSION = KUBEADM.version, "v1.36.4"
BUILD = Path("tests/kubernetes/build.py")
TREES: dict[str, set[str]] = {}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sandbox_hosts: SandboxHosts) -> Repository:
    repository = make_repository(tmp_path_factory.mktemp("kubeadm"), sandbox_hosts, KUBEADM)
    repository.write_topology(1, 1)
    repository.change_host("h2", "labels: {disk: ssd}")
    return repository


def test_a_real_control_plane_and_a_worker_come_up_verified(home: Repository) -> None:
    home.hosts.wipe("h1", "h2")
    home.pin()
    home.run("lock")
    TREES.update({host: tree(home.hosts, host) for host in ("h1", "h2")})
    home.apply()
    found = home.nodes()
    assert set(found) == {"h1", "h2"}
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in found.values()} == {VERSION}
    assert found["h2"]["metadata"]["labels"]["disk"] == "ssd"


def test_the_second_apply_does_nothing_and_writes_nothing(home: Repository) -> None:
    before = {host: snapshot(home, host) for host in ("h1", "h2")}
    done = home.apply()
    assert "nothing to do" in done.text
    volatile = ("/var/lib/containerd", "/var/lib/etcd", "/etc/kubernetes/tmp")
    for host in ("h1", "h2"):
        changed = set(snapshot(home, host).items()) ^ set(before[host].items())
        assert {path for path, _ in changed if not path.startswith(volatile)} == set()


def test_pods_services_and_dns_work_when_they_are_used(home: Repository) -> None:
    checks = json.loads(home.run("verify", "--deep", "-o", "json").stdout)["checks"]
    names = {check["name"] for check in checks}
    assert {"pod to pod", "service", "dns", "logs", "exec", "certificates", "endpoint", "removed"} <= names
    assert [check for check in checks if not check["ok"]] == []


def test_no_token_stays_on_the_worker(home: Repository) -> None:
    assert home.hosts.ssh("h2", "ls /etc/kubernetes/bootstrap/join.yaml 2>/dev/null; true") == ""


def test_a_changed_argument_reaches_the_config_map_and_the_running_api(home: Repository) -> None:
    text = home.inventory.read_text()
    argument = "cluster: {apiServer: {extraArgs: [{name: event-ttl, value: 2h0m0s}]}, "
    home.inventory.write_text(text.replace("cluster: {encryption", f"{argument}encryption"))
    home.apply()
    assert "--event-ttl=2h0m0s" in home.hosts.ssh("h1", "tr '\\0' ' ' < /proc/$(pidof kube-apiserver)/cmdline")
    assert "2h0m0s" in home.hosts.ssh("h1", f"{KUBEADM.kubectl} -n kube-system get configmap kubeadm-config -o yaml")
    assert home.plan_is_empty()


def test_a_wiped_worker_comes_back(home: Repository) -> None:
    before = home.nodes()["h2"]["metadata"]["uid"]
    home.hosts.wipe("h2")
    TREES["h2"] = tree(home.hosts, "h2")  # another machine from here on
    home.pin()
    home.apply()
    assert home.nodes()["h2"]["metadata"]["uid"] != before
    assert home.plan_is_empty()


def test_another_patch_release_goes_to_all_nodes_with_one_apply(home: Repository) -> None:
    """The same sources under another number: it is proved how nodes are taken there, and nothing about the release."""
    folder = home.mirror / NEXT_VERSION
    if not (folder / "bin/linux/amd64/kubeadm").is_file():
        pytest.skip(
            f"no second version is here: {BUILD} --version {NEXT_VERSION} --sources {VERSION} --output {folder}"
        )
    text = home.inventory.read_text()
    home.inventory.write_text(text.replace(f"version: {VERSION}", f"version: {NEXT_VERSION}"))
    home.run("lock")
    home.apply()
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in home.nodes().values()} == {NEXT_VERSION}
    images = home.hosts.ssh("h1", "grep -h 'image: registry.k8s.io/kube-' /etc/kubernetes/manifests/*.yaml")
    assert {line.rpartition(":")[2] for line in images.splitlines()} == {NEXT_VERSION}
    assert home.plan_is_empty()


def test_an_init_that_did_not_end_is_undone_and_done_again(home: Repository) -> None:
    home.hosts.ssh("h1", "kubeadm reset -f >/dev/null 2>&1; mkdir -p /etc/kubernetes/manifests /var/lib/etcd/member")
    home.hosts.ssh("h1", "touch /etc/kubernetes/manifests/kube-apiserver.yaml /var/lib/bootstrap/unfinished")
    home.apply()
    assert set(home.nodes()) == {"h1", "h2"}
    assert home.plan_is_empty()


def test_reset_leaves_the_hosts_as_they_were(home: Repository) -> None:
    home.run("reset", "--confirm", "home")
    allowed = (
        "/var/log/journal",
        "/var/lib/systemd",
        "/root/.ssh",
        "/var/lib/dbus",
        "/var/cache",
        "/var/lib/containerd",
    )
    for host in ("h1", "h2"):
        after = tree(home.hosts, host)
        assert {path for path in after - TREES[host] if not path.startswith(allowed)} == set(), host
        assert TREES[host] - after == set(), host
