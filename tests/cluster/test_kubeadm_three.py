"""Three real controllers and a worker by kubeadm: votes, order, replacement, identity. The tests go in order."""

import json
import os
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cluster.conftest import Repository, make_repository
from tests.cluster.distribution import KUBEADM
from tests.conftest import SandboxHosts
from tests.kubernetes.packing import kube_vip_name

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800)]
VERSION, NEXT_VERSION = KUBEADM.version, "v1.36.4"
BUILD = Path("tests/kubernetes/build.py")
MAKE_PKI = Path(__file__).parents[2] / "examples/kubeadm/make-pki.sh"
SWEEP = os.environ.get("BOOTSTRAP_SWEEP") == "1"
MORE = "minutes more: BOOTSTRAP_SWEEP=1 runs it too"
CONTROLLERS = ("h1", "h2", "h3")
EVERYBODY = (*CONTROLLERS, "h4")
ENDPOINT = "10.77.0.200"
PKI = "/etc/kubernetes/pki"
AUTHORITIES = (
    *("ca.crt", "ca.key", "etcd/ca.crt", "etcd/ca.key"),
    *("front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sandbox_hosts: SandboxHosts) -> Repository:
    repository = make_repository(tmp_path_factory.mktemp("three"), sandbox_hosts, KUBEADM)
    vip = f"  vip: {{interface: eth0}}\n  versions: {{kube-vip: {kube_vip_name().rpartition(':v')[2]}}}\n"
    head = f"endpoint: {ENDPOINT}\nsecrets: secrets.yaml\n"
    repository.write_topology(3, 1, native=f"{KUBEADM.native.rstrip()}\n{vip}", head=head)
    return repository


def ask(home: Repository, words: str, host: str = "h2") -> str:
    """kubectl on a controller, asked of its own API."""
    here = "--server=https://127.0.0.1:6443 --tls-server-name=kubernetes"
    return home.hosts.ssh(host, f"kubectl --kubeconfig /etc/kubernetes/admin.conf {here} {words}")


def nodes(home: Repository, host: str = "h2") -> dict[str, dict]:
    items = json.loads(ask(home, "get --raw /api/v1/nodes", host))["items"]
    return {item["metadata"]["name"]: item for item in items}


def ready(home: Repository, host: str = "h2") -> set[str]:
    def is_ready(node: dict) -> bool:
        return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])

    return {name for name, node in nodes(home, host).items() if is_ready(node)}


def addresses(home: Repository) -> dict[str, str]:
    """Where each Node says it is; the virtual IP is nobody's own."""
    listed = {name: node["status"]["addresses"] for name, node in nodes(home).items()}
    return {name: next(a["address"] for a in each if a["type"] == "InternalIP") for name, each in listed.items()}


def voters(home: Repository, host: str = "h2") -> set[str]:
    """Started voting members as etcd itself lists them."""
    files = "--cacert={0}/ca.crt --cert={0}/server.crt --key={0}/server.key".format(f"{PKI}/etcd")
    listed = ask(
        home, f"-n kube-system exec etcd-{host} -- etcdctl --endpoints=https://127.0.0.1:2379 {files} member list", host
    )
    rows = [line.split(", ") for line in listed.splitlines()]
    assert all(row[1] == "started" and row[5] == "false" for row in rows), listed
    return {row[2] for row in rows}


def holders(home: Repository, *hosts: str) -> list[str]:
    """Controllers that have the endpoint's address on their interface."""
    return [host for host in hosts if f" {ENDPOINT}/" in home.hosts.ssh(host, "ip -o addr show dev eth0")]


def key_of(name: str) -> str:
    """The key in the secrets file, as make-pki.sh names it."""
    return name.replace("/", "_").replace("-", "_").replace(".", "_")


def keep_authorities() -> str:
    """`pki:` at the inventory's end, below `kubeadm`."""
    return "".join(["  pki:\n", *(f"    {name}: ${{secret:pki.{key_of(name)}}}\n" for name in AUTHORITIES)])


def uid(home: Repository, host: str = "h2") -> str:
    return json.loads(ask(home, "get --raw /api/v1/namespaces/kube-system", host))["metadata"]["uid"]


def test_three_controllers_and_a_worker_come_up_behind_one_address(home: Repository) -> None:
    home.hosts.wipe(*EVERYBODY)
    home.pin()
    home.run("lock")
    home.apply()
    assert ready(home) == set(EVERYBODY)
    assert voters(home) == set(CONTROLLERS)
    assert len(holders(home, *CONTROLLERS)) == 1
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes(home).values()} == {VERSION}
    assert home.plan_is_empty()


def test_kube_vip_is_left_with_no_more_rights_than_it_needs(home: Repository) -> None:
    for host in CONTROLLERS:
        assert "super-admin" not in home.hosts.ssh(host, "cat /etc/kubernetes/manifests/kube-vip.yaml")


def test_a_removed_worker_is_gone_and_an_apply_brings_it_back(home: Repository) -> None:
    before = nodes(home)["h4"]["metadata"]["uid"]
    home.run("remove", "h4", "--yes")
    assert set(nodes(home)) == set(CONTROLLERS)
    assert (
        home.hosts.ssh("h4", "ls -d /etc/kubernetes /var/lib/kubelet/* /usr/local/bin/kubelet 2>/dev/null; true") == ""
    )
    home.apply()
    assert ready(home) == set(EVERYBODY)
    assert nodes(home)["h4"]["metadata"]["uid"] != before
    assert home.plan_is_empty()


def test_a_changed_argument_goes_from_one_control_plane_to_the_next(home: Repository) -> None:
    text = home.inventory.read_text()
    argument = "cluster: {apiServer: {extraArgs: [{name: event-ttl, value: 2h0m0s}]}, encryption"
    home.inventory.write_text(text.replace("cluster: {encryption", argument))
    home.apply()
    spans = []
    for host in CONTROLLERS:
        process = "/proc/$(pidof kube-apiserver)"
        assert "--event-ttl=2h0m0s" in home.hosts.ssh(host, f"tr '\\0' ' ' < {process}/cmdline")
        written = home.hosts.ssh(host, "stat -c %.Y /etc/kubernetes/manifests/kube-apiserver.yaml")
        spans.append((float(written), float(home.hosts.ssh(host, f"stat -c %.Y {process}"))))
    spans.sort()
    assert all(first[1] <= second[0] for first, second in pairwise(spans)), spans
    assert home.plan_is_empty()


def test_the_first_controller_wiped_joins_the_cluster_that_lives_on(home: Repository) -> None:
    before, cluster = nodes(home), uid(home)
    home.hosts.wipe("h1")
    home.pin()
    home.apply()
    after = nodes(home)
    assert uid(home) == cluster, "a second cluster was founded"
    assert after["h1"]["metadata"]["uid"] != before["h1"]["metadata"]["uid"]
    assert after["h2"]["metadata"]["uid"] == before["h2"]["metadata"]["uid"]
    assert voters(home) == voters(home, "h1") == set(CONTROLLERS)
    assert len(holders(home, *CONTROLLERS)) == 1
    assert addresses(home) == {name: home.hosts.address(name) for name in EVERYBODY}
    assert ready(home) == set(EVERYBODY)
    assert home.plan_is_empty()


def test_with_one_controller_down_no_other_is_restarted_or_removed(home: Repository) -> None:
    home.hosts.sandbox.cut("h3")
    text = home.inventory.read_text()
    refused = home.run("remove", "h2", "--yes", code=1)
    assert "etcd voters" in refused.text
    assert "h3" in refused.text
    started = {host: home.hosts.ssh(host, "pidof kube-apiserver etcd") for host in ("h1", "h2")}
    home.inventory.write_text(text.replace("2h0m0s", "3h0m0s"))
    refused = home.apply(code=1)
    assert "etcd voters" in refused.text
    assert "h3 is down" in refused.text
    assert {host: home.hosts.ssh(host, "pidof kube-apiserver etcd") for host in ("h1", "h2")} == started
    home.inventory.write_text(text)


def test_a_controller_that_is_gone_for_good_is_removed_and_leaves_etcd(home: Repository) -> None:
    home.run("remove", "h3", "--yes")
    assert voters(home) == {"h1", "h2"}
    assert set(nodes(home)) == {"h1", "h2", "h4"}


@pytest.mark.skipif(not SWEEP, reason=MORE)
def test_a_controller_that_was_removed_while_it_was_off_comes_back_as_a_new_one(home: Repository) -> None:
    home.hosts.sandbox.start("h3")
    home.apply()
    assert voters(home) == set(CONTROLLERS)
    assert ready(home) == set(EVERYBODY)
    assert home.plan_is_empty()


def test_the_authorities_of_another_cluster_are_refused(home: Repository) -> None:
    text = home.inventory.read_text()
    made = subprocess.run(["sh", str(MAKE_PKI)], capture_output=True, text=True, check=True)
    (home.root / "secrets.yaml").write_text(made.stdout)
    home.inventory.write_text(text + keep_authorities())
    refused = home.apply(code=1)
    assert "ca.crt" in refused.text
    assert "fixed when the cluster is made" in refused.text
    home.inventory.write_text(text)


def test_after_all_were_wiped_the_kept_authorities_make_a_cluster_that_the_old_kubeconfig_opens(
    home: Repository,
) -> None:
    pieces = ["pki:"]
    for name, key in zip(AUTHORITIES, map(key_of, AUTHORITIES), strict=True):
        pieces += [f"  {key}: |-", *(f"    {line}" for line in home.hosts.ssh("h1", f"cat {PKI}/{name}").splitlines())]
    (home.root / "secrets.yaml").write_text("\n".join(pieces) + "\n")
    home.inventory.write_text(home.inventory.read_text() + keep_authorities())
    kubeconfig, before = home.root / "old.yaml", uid(home)
    kubeconfig.write_text(home.hosts.ssh("h1", "cat /etc/kubernetes/admin.conf"))
    home.hosts.wipe(*EVERYBODY)
    home.pin()
    home.apply()
    assert ready(home) == set(EVERYBODY)
    assert voters(home) == set(CONTROLLERS)
    assert uid(home) != before, "the cluster was not wiped at all"
    home.hosts.ssh("h4", f"cat > /root/old.yaml <<'END'\n{kubeconfig.read_text()}\nEND")
    seen = home.hosts.ssh("h4", "kubectl --kubeconfig /root/old.yaml get nodes -o name")
    assert set(seen.split()) == {f"node/{name}" for name in EVERYBODY}
    assert home.plan_is_empty()


@pytest.mark.skipif(not SWEEP, reason=MORE)
def test_another_patch_release_goes_to_all_nodes_with_one_apply(home: Repository) -> None:
    if not (home.mirror / NEXT_VERSION / "bin/linux/amd64/kubeadm").is_file():
        pytest.skip(
            f"this builds it: {BUILD} --version {NEXT_VERSION} --sources {VERSION} --output {home.mirror / NEXT_VERSION}"
        )
    home.inventory.write_text(home.inventory.read_text().replace(f"version: {VERSION}", f"version: {NEXT_VERSION}"))
    home.run("lock")
    home.apply()
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes(home).values()} == {NEXT_VERSION}
    for host in CONTROLLERS:
        images = home.hosts.ssh(host, "grep -h 'image: registry.k8s.io/kube-' /etc/kubernetes/manifests/*.yaml")
        assert {line.rpartition(":")[2] for line in images.splitlines()} == {NEXT_VERSION}
    assert ready(home) == set(EVERYBODY)
    assert voters(home) == set(CONTROLLERS)
    assert home.plan_is_empty()
