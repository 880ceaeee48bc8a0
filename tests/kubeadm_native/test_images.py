"""Which images a cluster is made of, and what happens when a host has another one under a locked name."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.kubeadm.files import templates
from bootstrap.distros.kubeadm.images import list_images, locked_digests, parse_images
from bootstrap.distros.kubeadm.layout import SCRIPT
from bootstrap.distros.kubeadm.probes import KUBELET_CONF
from bootstrap.distros.kubeadm.upstream import list_upstream
from bootstrap.driver import PlanInput
from bootstrap.model import Finding, HostFacts, Inventory, Lock, LockedFile, Record

from .bad_hosts import PACKAGES, VERSION, change, good
from .inventories import HEAD, load, read

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


def test_another_image_under_a_locked_name_is_told_of_a_host_that_will_pull_the_locked_one(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    (finding,) = check(inventory, locked(inventory), images={PROXY: f"sha256:{'cd' * 32}"})
    assert not finding.stops
    assert finding.message == f"its {PROXY} is sha256:cdcdcdcdcdcd, and artifacts.lock says sha256:abababababab"
    assert finding.hint == "the locked one takes its place"


def test_on_a_node_that_runs_it_what_mends_it_is_said(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    found = check(inventory, locked(inventory), images={PROXY: f"sha256:{'cd' * 32}"}, traces=(KUBELET_CONF,))
    (finding,) = (finding for finding in found if PROXY in finding.message)
    assert not finding.stops
    assert f"run {SCRIPT} there" in finding.hint


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


# --- the pull -----------------------------------------------------------------------------------

# Keeps its images in a file; what it is asked to pull comes from `registry`, which says how it answers.
CTR = """#!/bin/sh
cd {folder}
shift 2
echo "$*" >>calls
case "$1 $2" in
'images list') printf 'REF TYPE DIGEST\\n'; cat images ;;
'images pull') for last; do :; done; sh registry >&2 && echo "$last type ${{last#*@}}" >>images ;;
'images tag') grep -vF "$5 " images >new; echo "$5 type ${{4#*@}}" >>new; mv new images ;;
esac
"""


def pull(folder: Path, host: str, *, registry: str = "true", images: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the end of the prepare script of a host, with a containerd that only pretends."""
    inventory = load(folder, PACKAGES)
    facts = {name: good(name) for name in ("one", "two", "three")}
    uses = [use for use in templates(inventory, facts, locked(inventory)) if (use.host, use.path) == (host, SCRIPT)]
    ((_, script),) = read(inventory, uses).items()
    head, found, tail = script.partition("# The images of artifacts.lock")
    assert found
    functions = head[head.index("fail()") : head.index('[ "$(id -u)"')]
    programs = {"ctr": CTR.format(folder=folder), "systemctl": "echo\n", "sleep": "true\n"}
    (folder / "bin").mkdir()
    for name, text in programs.items():
        (folder / "bin" / name).write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
        (folder / "bin" / name).chmod(0o755)
    (folder / "registry").write_text(registry)
    (folder / "images").write_text(images)
    return subprocess.run(
        ["sh", "-s"],
        input=f"set -eu\n{functions}{found}{tail}",
        env={"PATH": f"{folder}/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )


def calls(folder: Path, verb: str) -> list[str]:
    return [line for line in (folder / "calls").read_text().splitlines() if line.startswith(f"images {verb} ")]


def test_images_are_pulled_by_their_digests_and_get_their_tags(tmp_path: Path) -> None:
    done = pull(tmp_path, "one")
    assert done.returncode == 0, done.stderr
    assert len(calls(tmp_path, "pull")) == len(calls(tmp_path, "tag")) == 7
    assert f"registry.k8s.io/kube-proxy@sha256:{'ab' * 32}" in "".join(calls(tmp_path, "pull"))
    assert parse_images(re.sub(" type ", " ", (tmp_path / "images").read_text()))[PROXY] == f"sha256:{'ab' * 32}"


def test_a_worker_pulls_what_may_run_on_it(tmp_path: Path) -> None:
    assert pull(tmp_path, "two").returncode == 0
    pulled = [line.split()[-1].partition("@")[0].rpartition("/")[2] for line in calls(tmp_path, "pull")]
    assert sorted(pulled) == ["coredns", "kube-proxy", "pause"]


def test_an_image_that_is_there_is_not_pulled_and_another_one_is_replaced(tmp_path: Path) -> None:
    good_one, other = f"registry.k8s.io/pause:3.10.2 type sha256:{'ab' * 32}", f"{PROXY} type sha256:{'cd' * 32}"
    assert pull(tmp_path, "two", images=f"{good_one}\n{other}\n").returncode == 0
    assert len(calls(tmp_path, "pull")) == 2
    assert "sha256:cdcd" not in (tmp_path / "images").read_text()


def test_an_image_that_the_registry_no_longer_has_ends_at_once(tmp_path: Path) -> None:
    done = pull(
        tmp_path, "two", registry="echo 'ctr: failed to resolve reference \"x\": x@sha256:ab: not found'; exit 1"
    )
    assert done.returncode == 1
    assert len(calls(tmp_path, "pull")) == 1
    assert "registry.k8s.io/coredns/coredns:v1.14.2: registry.k8s.io does not have sha256:abab" in done.stderr
    assert "bootstrap lock" in done.stderr


def test_a_registry_that_can_not_be_reached_is_asked_again_and_named(tmp_path: Path) -> None:
    done = pull(tmp_path, "two", registry="echo trying; echo 'ctr: dial tcp: connection refused'; exit 1")
    assert done.returncode == 1
    assert len(calls(tmp_path, "pull")) == 3
    assert "can't be pulled: ctr: dial tcp: connection refused. This host must reach registry.k8s.io" in done.stderr


def test_an_archive_in_the_lock_leaves_nothing_to_pull(tmp_path: Path) -> None:
    inventory = load(tmp_path, PACKAGES)
    archive = LockedFile("kubernetes-images", VERSION, "amd64", "https://dl.k8s.io/i.tar", 7, "ef" * 32)
    uses = templates(inventory, {"one": good("one")}, locked(inventory, archive))
    assert "images pull" not in read(inventory, [use for use in uses if use.path == SCRIPT])["one", SCRIPT]


def test_the_image_of_a_virtual_address_is_locked_as_well(tmp_path: Path) -> None:
    inventory = load(
        tmp_path, "endpoint: 192.168.1.10\nkubeadm: {vip: {interface: eth0}, versions: {kube-vip: 1.0.2}}\n"
    )
    assert list_images(inventory)["kube-vip"] == "ghcr.io/kube-vip/kube-vip:v1.0.2"
