"""kubeadm, kubelet and kubectl from a signed repository of Debian packages: installed, held, used, and gone after a reset."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.sandbox.layout import GATEWAY
from tests.cluster.conftest import Repository, make_repository, tree
from tests.cluster.distribution import KUBEADM
from tests.conftest import SandboxHosts
from tests.standins.debian import Key, add_package, missing_tools, serve_folder, sign

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800)]
VERSION = KUBEADM.version
NAMES = ("kubeadm", "kubelet", "kubectl")
PACKAGE = f"{VERSION[1:]}-1.1"
LATER = "1.36.99-1.1"
TREES: dict[str, set[str]] = {}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key]:
    """The one that signs, and a stranger's."""
    if missing_tools():
        pytest.skip(f"{' and '.join(missing_tools())} not here: a repository can't be made")
    root = tmp_path_factory.mktemp("k")
    return Key.make(root / "a"), Key.make(root / "b")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Key, Key]) -> Iterator[str]:
    """Packages of the built programs, and of a later release that nobody asked for."""
    built = KUBEADM.supply.find_mirror() / VERSION
    folder = tmp_path_factory.mktemp("packages")
    for name in NAMES:
        add_package(folder, name, PACKAGE, built / "bin/linux/amd64" / name)
        add_package(folder, name, LATER, Path("/bin/false"))
    sign(folder, keys[0])
    with serve_folder(folder, GATEWAY) as url:
        yield url


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, sandbox_hosts: SandboxHosts, url: str, keys: tuple[Key, Key]
) -> Repository:
    """A repository for one controller; its mirror serves for the images alone."""
    repository = make_repository(tmp_path_factory.mktemp("packaged"), sandbox_hosts, KUBEADM)
    given = f"{{url: '{url}', key: '${{file:keys/kubernetes.asc}}'}}"
    native = f"{KUBEADM.native.rstrip()}\n  programs: packages\n  repository: {given}\n"
    repository.write_topology(1, 0, native=native)
    (repository.root / "keys").mkdir()
    (repository.root / "keys/kubernetes.asc").write_text(keys[1].public)
    sandbox_hosts.wipe("h1")
    repository.pin()
    repository.run("lock")
    return repository


def installed(home: Repository) -> dict[str, str]:
    asked = "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' 'kube*' 2>/dev/null | sed -n 's/^installed //p'"
    return dict(line.split() for line in home.hosts.ssh("h1", asked).splitlines())


def test_packages_that_a_stranger_has_signed_are_not_installed(home: Repository) -> None:
    TREES["h1"] = tree(home.hosts, "h1")
    assert "kubeadm" not in (home.root / "artifacts.lock").read_text()
    done = home.apply(code=None)
    assert done.code == 1
    assert "NO_PUBKEY" in done.text or "signature" in done.text.lower(), done.text
    assert installed(home) == {}


def test_a_cluster_is_founded_with_the_packages_of_exactly_its_version(home: Repository, keys: tuple[Key, Key]) -> None:
    (home.root / "keys/kubernetes.asc").write_text(keys[0].public)
    home.apply()
    assert installed(home) == dict.fromkeys(NAMES, PACKAGE)
    assert home.hosts.ssh("h1", "readlink /proc/$(pidof kubelet)/exe").strip() == "/usr/bin/kubelet"
    assert VERSION in home.hosts.ssh("h1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes")
    assert home.plan_is_empty()


def test_an_upgrade_of_the_host_leaves_them(home: Repository) -> None:
    assert LATER in home.hosts.ssh("h1", "apt-cache madison kubeadm")
    home.hosts.ssh("h1", "DEBIAN_FRONTEND=noninteractive apt-get -y upgrade >&2")
    assert installed(home) == dict.fromkeys(NAMES, PACKAGE)


def test_what_is_no_longer_held_is_held_again(home: Repository) -> None:
    home.hosts.ssh("h1", "apt-mark unhold kubelet")
    assert "kubelet is not held" in home.run("plan").text
    home.apply()
    assert set(home.hosts.ssh("h1", "apt-mark showhold").split()) == set(NAMES)
    assert home.plan_is_empty()


def test_a_reset_takes_packages_and_repository_away(home: Repository) -> None:
    home.run("reset", "--confirm", "home")
    assert installed(home) == {}
    assert home.hosts.ssh("h1", "apt-mark showhold") == ""
    allowed = ("/var/log", "/var/lib/systemd", "/root/.ssh", "/var/lib/dbus", "/var/cache", "/var/lib/containerd")
    allowed += (
        "/var/lib/dpkg",
        "/var/lib/apt/extended_states",
        "/var/lib/apt/lists/lock",
        "/var/lib/apt/lists/auxfiles",
        "/var/lib/apt/lists/partial",
    )
    after = tree(home.hosts, "h1")
    assert {path for path in after - TREES["h1"] if not path.startswith(allowed)} == set()
    assert {path for path in TREES["h1"] - after if not path.startswith("/var/lib/dpkg")} == set()
