"""Which images a cluster is made of, and what happens when a host has another one under a locked name."""

from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.kubeadm.images import list_images, locked_digests, parse_images
from bootstrap.distros.kubeadm.probes import KUBELET_CONF
from bootstrap.distros.kubeadm.upstream import list_upstream
from bootstrap.driver import PlanInput
from bootstrap.model import Finding, HostFacts, Inventory, Lock, LockedFile, Record

from .bad_hosts import PACKAGES, VERSION, change, good
from .inventories import HEAD, load

DRIVER = find_driver("kubeadm")
PROXY = "registry.k8s.io/kube-proxy:v1.36.3"


def names(inventory: Inventory) -> list[str]:
    return [image.removeprefix("registry.k8s.io/") for image in list_images(inventory).values()]


def test_the_images_are_those_that_kubeadm_lists(tmp_path: Path) -> None:
    """As `kubeadm config images list --kubernetes-version v1.36.3` of the real one prints them."""
    assert sorted(names(load(tmp_path))) == [
        "coredns/coredns:v1.14.2",
        "etcd:3.6.8-0",
        "kube-apiserver:v1.36.3",
        "kube-controller-manager:v1.36.3",
        "kube-proxy:v1.36.3",
        "kube-scheduler:v1.36.3",
        "pause:3.10.2",
    ]


@pytest.mark.parametrize(
    ("version", "etcd"),
    [("v1.34.1", "etcd:3.6.4-0"), ("v1.34.2", "etcd:3.6.5-0"), ("v1.35.4", "etcd:3.6.6-0"), ("v1.37.0", None)],
)
def test_a_release_whose_companions_are_not_known_locks_the_rest(
    tmp_path: Path, version: str, etcd: str | None
) -> None:
    found = names(load(tmp_path, head=HEAD.replace(VERSION, version)))
    assert [name for name in found if name.startswith("etcd")] == ([etcd] if etcd else [])
    assert f"kube-proxy:{version}" in found


@pytest.mark.parametrize(
    ("cluster", "there", "gone"),
    [
        ("imageRepository: r.lan/k8s", "r.lan/k8s/coredns:v1.14.2", "registry.k8s.io/pause:3.10.2"),
        ("dns: {imageRepository: r.lan, imageTag: v9}", "r.lan/coredns:v9", "registry.k8s.io/coredns/coredns:v1.14.2"),
        ("etcd: {local: {imageTag: 3.6.9-0}}", "registry.k8s.io/etcd:3.6.9-0", "registry.k8s.io/etcd:3.6.8-0"),
        ("dns: {disabled: true}", PROXY, "registry.k8s.io/coredns/coredns:v1.14.2"),
        ("proxy: {disabled: true}", "registry.k8s.io/etcd:3.6.8-0", PROXY),
    ],
)
def test_what_the_inventory_says_of_images_counts(tmp_path: Path, cluster: str, there: str, gone: str) -> None:
    found = list_images(load(tmp_path, f"kubeadm: {{cluster: {{{cluster}}}}}\n")).values()
    assert there in found
    assert gone not in found


def test_manifests_are_locked_from_the_web_and_the_archive_from_a_mirror(tmp_path: Path) -> None:
    web = {file.name: file for file in list_upstream(load(tmp_path), ["amd64"])}
    assert web["image-coredns"].url == "https://registry.k8s.io/v2/coredns/coredns/manifests/v1.14.2"
    assert (web["image-etcd"].version, web["image-etcd"].arch, web["image-etcd"].optional) == ("3.6.8-0", "any", True)
    mirrored = {file.name for file in list_upstream(load(tmp_path, "mirror: /srv\n"), ["amd64"])}
    assert "kubernetes-images" in mirrored
    assert not any(name.startswith("image-") for name in mirrored)


def locked(inventory: Inventory, *others: LockedFile) -> Lock:
    files = [file for file in list_upstream(inventory, ["amd64"]) if file.name.startswith("image-")]
    return Lock((*(LockedFile(f.name, f.version, f.arch, f.url, 9, "ab" * 32) for f in files), *others))


def check(inventory: Inventory, lock: Lock, **one: object) -> list[Finding]:
    facts: dict[str, HostFacts] = {name: good(name) for name in ("one", "two", "three")}
    facts["one"] = change(facts["one"], **one)
    if one.get("traces"):
        facts["one"] = replace(facts["one"], record=Record("home", applied={"install": "x"}))
    return list(DRIVER.check_hosts(PlanInput(inventory, (), facts, lock, {})))


def test_a_locked_image_passes(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    assert check(inventory, locked(inventory), images={PROXY: f"sha256:{'ab' * 32}", "r.lan/mine:1": "sha256:1"}) == []


def test_another_image_under_a_locked_name_stops_a_host_that_is_yet_to_run_it(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    (finding,) = check(inventory, locked(inventory), images={PROXY: f"sha256:{'cd' * 32}"})
    assert finding.stops
    assert finding.message == f"its {PROXY} is sha256:cdcdcdcdcdcd, and artifacts.lock says sha256:abababababab"
    assert f"ctr -n k8s.io images rm {PROXY}" in finding.hint


def test_on_a_node_that_runs_it_that_is_said_and_stops_nothing(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    found = check(inventory, locked(inventory), images={PROXY: f"sha256:{'cd' * 32}"}, traces=(KUBELET_CONF,))
    assert [finding.stops for finding in found if PROXY in finding.message] == [False]


def test_an_archive_in_the_lock_has_images_of_its_own(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    archive = LockedFile("kubernetes-images", VERSION, "amd64", "https://dl.k8s.io/i.tar", 7, "ef" * 32)
    assert check(inventory, locked(inventory, archive), images={PROXY: f"sha256:{'cd' * 32}"}) == []


def test_a_digest_of_another_registry_is_not_compared(tmp_path: Path) -> None:
    lock = locked(load(tmp_path))
    assert locked_digests(load(tmp_path, "kubeadm: {cluster: {imageRepository: r.lan}}\n"), lock, "amd64") == {}
    assert len(locked_digests(load(tmp_path), lock, "arm64")) == 7


def test_the_list_of_containerd_is_read() -> None:
    text = f"{PROXY} sha256:{'ab' * 32}\nsha256:{'ab' * 32} sha256:{'ab' * 32}\nbroken\n"
    assert parse_images(text)[PROXY] == f"sha256:{'ab' * 32}"
