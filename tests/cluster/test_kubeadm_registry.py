"""Images that are pulled are the locked ones, from a registry beside the hosts; others found no cluster."""

from collections.abc import Iterator

import pytest

from bootstrap.distros.kubeadm.images import list_images
from bootstrap.inventory import load_inventory
from bootstrap.lock import format_lock, manifest_url, parse_lock, replace_files
from bootstrap.model import LockedFile
from bootstrap.sandbox.layout import GATEWAY
from tests.cluster.conftest import Done, Repository, make_repository
from tests.cluster.distribution import KUBEADM
from tests.conftest import SandboxHosts
from tests.standins.registry import ArchiveRegistry, serve_archive

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(1800)]
VERSION = KUBEADM.version
ARCHIVE = "kubernetes-images-amd64.tar"
IMAGES = "ctr --namespace k8s.io images list | awk 'NR > 1 { print $1, $3 }'"


@pytest.fixture(scope="module")
def registry() -> Iterator[ArchiveRegistry]:
    with serve_archive(KUBEADM.supply.find_mirror() / VERSION / ARCHIVE, (GATEWAY, 0)) as registry:
        yield registry


@pytest.fixture(scope="module")
def home(
    tmp_path_factory: pytest.TempPathFactory, sandbox_hosts: SandboxHosts, registry: ArchiveRegistry
) -> Repository:
    """A repository for one controller, whose mirror holds programs and no images."""
    repository = make_repository(tmp_path_factory.mktemp("registry"), sandbox_hosts, KUBEADM)
    repository.mirror = repository.root / "mirror"
    (repository.mirror / VERSION).mkdir(parents=True)
    (repository.mirror / VERSION / "bin").symlink_to(registry.archive.parent / "bin")
    server = f"{{server: 'http://{GATEWAY}:{registry.server_address[1]}'}}"
    repository.write_topology(1, 0, native=f"{KUBEADM.native.rstrip()}\n  registries: {{registry.k8s.io: {server}}}\n")
    sandbox_hosts.wipe("h1")
    repository.pin()
    repository.run("lock")
    return repository


def lock_images(home: Repository, digests: dict[str, str]) -> None:
    """What `bootstrap lock` writes where registries can be asked."""
    path = home.root / "artifacts.lock"
    images = list_images(load_inventory(home.inventory, {}))
    files = [
        LockedFile(f"image-{name}", image.rpartition(":")[2], "any", manifest_url(image), 400, digests[image][7:])
        for name, image in images.items()
    ]
    lock = replace_files(parse_lock(path.read_text()), files)
    path.write_text(format_lock(lock, locked_by="bootstrap test"))


def images_of(home: Repository) -> dict[str, str]:
    rows = (line.split() for line in home.hosts.ssh("h1", IMAGES).splitlines())
    return {row[0]: row[1] for row in rows}


def words(done: Done) -> str:
    """What a command said, without the line breaks of its width."""
    return " ".join(done.text.split())


def test_an_image_that_the_registry_has_replaced_founds_no_cluster(home: Repository, registry: ArchiveRegistry) -> None:
    image = f"registry.k8s.io/kube-apiserver:{VERSION}"
    lock_images(home, {**registry.images, image: f"sha256:{'0' * 64}"})
    done = home.apply(code=None)
    assert done.code == 1
    assert f"{image}: registry.k8s.io does not have sha256:{'0' * 64} of artifacts.lock" in words(done), done.text
    assert image not in images_of(home)
    assert home.hosts.ssh("h1", "ls /etc/kubernetes/admin.conf /var/lib/etcd/member 2>/dev/null; true") == ""


def test_other_bytes_under_a_locked_digest_are_refused(home: Repository, registry: ArchiveRegistry) -> None:
    image, other = (f"registry.k8s.io/{name}:{VERSION}" for name in ("kube-apiserver", "kube-proxy"))
    lock_images(home, registry.images)
    registry.lies[registry.images[image]] = registry.images[other]
    done = home.apply(code=None)
    registry.lies.clear()
    assert done.code == 1
    assert f"{image}: {registry.images[image]} of artifacts.lock can't be pulled" in words(done), done.text
    assert image not in images_of(home)
    assert home.hosts.ssh("h1", "ls /etc/kubernetes/admin.conf 2>/dev/null; true") == ""


def test_a_cluster_is_founded_from_the_locked_images_and_nothing_is_pulled_by_tag(
    home: Repository, registry: ArchiveRegistry
) -> None:
    home.apply()
    present = images_of(home)
    wanted = list_images(load_inventory(home.inventory, {})).values()
    assert {image: present[image] for image in wanted} == {image: registry.images[image] for image in wanted}
    assert registry.asked_by_tag() == []
    assert home.plan_is_empty()


def test_a_tag_that_was_moved_on_the_host_is_told_and_put_right(home: Repository) -> None:
    proxy, dns = f"registry.k8s.io/kube-proxy:{VERSION}", "registry.k8s.io/coredns/coredns:v1.14.2"
    before = images_of(home)
    home.hosts.ssh("h1", f"ctr --namespace k8s.io images tag --force {dns} {proxy}")
    said = words(home.run("plan"))
    assert f"its {proxy} is {before[dns][:19]}, and artifacts.lock says {before[proxy][:19]}" in said
    home.hosts.ssh("h1", "sh /usr/local/lib/bootstrap/kubeadm-prepare.sh")
    assert images_of(home)[proxy] == before[proxy]
