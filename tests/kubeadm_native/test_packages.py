"""kubeadm, kubelet and kubectl from the host's package manager: what is planned, refused, set up and taken away."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.kubeadm import packages
from bootstrap.distros.kubeadm.packages import FILES, Packages, find_packages, install_reason, is_of, parse_packages
from bootstrap.driver import PlanInput
from bootstrap.model import Finding, Lock, LockedFile, Put, Run, Step
from bootstrap.render import render

from .bad_hosts import good
from .inventories import HEAD, load
from .test_planning import member

DRIVER = find_driver("kubeadm")
VERSION = "v1.36.3"
URL = "https://pkgs.example/core:/stable:/v1.36/deb/"
NATIVE = "kubeadm: {programs: packages, runtime: packages, cni: none}\n"
OWN = f"kubeadm: {{programs: packages, runtime: packages, cni: none, repository: {{url: '{URL}', key: KEY}}}}\n"
ALL = dict.fromkeys(packages.NAMES, "1.36.3-1.1")
DONE = Packages("apt", ALL, packages.NAMES, ("1.36.4-1.1", "1.36.3-1.1"), packages.NAMES)
SEEN = """\
linked=kubeadm
manager=apt
installed=kubeadm 1.36.3-1.1
installed=kubectl 1.36.2-1.1
held=kubeadm
available=1.36.4-1.1
available=1.36.3-1.1
"""


def facts(seen: Packages, name: str = "one", **fields: Any) -> Any:
    host = good(name)
    return replace(host, values={**host.values, "packages": seen}, **fields)


def draft(folder: Path, seen: Packages, text: str = OWN, **fields: Any) -> PlanInput:
    inventory = load(folder, text, hosts="hosts:\n  one: {address: 192.168.1.11, role: controller+worker}\n")
    found = {"one": facts(seen, **fields)}
    files = DRIVER.upstream_files(inventory, ("amd64",))
    locked = Lock(tuple(LockedFile(f.name, f.version or VERSION, f.arch, f.url, 7, "ab" * 32) for f in files))
    return PlanInput(inventory, render(inventory, DRIVER.templates(inventory, found, locked)), found, locked, {})


def steps(plan_input: PlanInput) -> list[Step]:
    return [step for stage in DRIVER.plan_apply(plan_input).stages for step in stage.steps]


def install_step(plan_input: PlanInput) -> Step:
    (step,) = (step for step in steps(plan_input) if step.title.startswith("install and hold"))
    return step


def script(step: Step) -> str:
    assert isinstance(step.action, Run)
    return step.action.script


def check(folder: Path, seen: Packages, text: str = NATIVE) -> list[Finding]:
    return [
        finding
        for finding in DRIVER.check_hosts(draft(folder, seen, text))
        if "kubeadm" in finding.message + finding.hint
    ]


def test_the_managers_answer_is_read() -> None:
    assert parse_packages(SEEN) == Packages(
        "apt",
        {"kubeadm": "1.36.3-1.1", "kubectl": "1.36.2-1.1"},
        ("kubeadm",),
        ("1.36.4-1.1", "1.36.3-1.1"),
        ("kubeadm",),
    )
    assert parse_packages("") == Packages(installed={})
    assert find_packages(good("one")) == Packages()


@pytest.mark.parametrize(
    ("package", "version", "same"),
    [
        ("1.36.3-1.1", "v1.36.3", True),
        ("1.36.3-150500.1.1", "v1.36.3", True),
        ("1.36.30-1.1", "v1.36.3", False),
        ("1.37.0~rc.1-1.1", "v1.37.0-rc.1", True),
    ],
)
def test_the_version_of_a_package_has_the_one_of_kubernetes_in_it(package: str, version: str, same: bool) -> None:
    assert is_of(package, version) is same


def test_the_lock_holds_no_programs(tmp_path: Path) -> None:
    names = {file.name for file in DRIVER.upstream_files(load(tmp_path, NATIVE), ("amd64",))}
    assert not names & set(packages.NAMES)
    mirrored = {file.name for file in DRIVER.upstream_files(load(tmp_path, NATIVE + "mirror: /srv\n"), ("amd64",))}
    assert mirrored == {"kubernetes-images"}


def test_a_fresh_host_gets_the_repository_and_then_the_exact_version(tmp_path: Path) -> None:
    planned = steps(draft(tmp_path, Packages("apt", {}, (), ("1.36.4-1.1", "1.36.3-1.1"))))
    titles = [step.title for step in planned]
    path, key = FILES["apt"]
    install = "install and hold kubeadm, kubelet, kubectl 1.36.3-1.1 (apt)"
    assert (
        titles.index(f"write {path}")
        < titles.index(install)
        < titles.index("prepare the host, with 7 image(s) by their digests")
    )
    assert f"write {key}" in titles
    assert not any(title.startswith("bring kube") for title in titles)
    assert "kubeadm is not installed; kubelet is not installed" in planned[titles.index(install)].reason


def test_the_files_of_the_repository_are_those_of_the_manager(tmp_path: Path) -> None:
    def contents(os: str, manager: str) -> dict[str, str]:
        return {
            step.action.path: step.action.content
            for step in steps(draft(tmp_path, Packages(manager, {}), os=os))
            if isinstance(step.action, Put)
        }

    apt, dnf = contents("debian 13", "apt"), contents("fedora 43", "dnf")
    path, key = FILES["apt"]
    assert apt[path].splitlines()[1:] == ["Types: deb", f"URIs: {URL}", "Suites: /", f"Signed-By: {key}"]
    assert apt[key] == "KEY\n"
    path, key = FILES["dnf"]
    assert f"baseurl={URL}\n" in dnf[path]
    assert f"gpgkey=file://{key}\n" in dnf[path]
    assert "gpgcheck=1\nrepo_gpgcheck=1\n" in dnf[path]
    assert "exclude=kubeadm kubelet kubectl" in dnf[path]
    assert not set(FILES["apt"]) & set(dnf)


def test_the_unit_starts_the_program_of_the_package(tmp_path: Path) -> None:
    units = [a.content for a in draft(tmp_path, DONE).artifacts if a.path.endswith("kubelet.service")]
    assert "ExecStart=/usr/bin/kubelet" in units[0]


def test_files_of_both_managers_are_looked_at(tmp_path: Path) -> None:
    inventory = load(tmp_path, OWN)
    probes = {probe.name: probe.script for probe in DRIVER.probes(inventory, inventory.hosts[0])}
    assert all(path in probes["files"] for files in FILES.values() for path in files)
    assert "packages" in probes
    assert "packages" not in {probe.name for probe in DRIVER.probes(load(tmp_path), load(tmp_path).hosts[0])}


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (DONE, ""),
        (replace(DONE, installed={**ALL, "kubelet": "1.36.2-1.1"}), "kubelet is 1.36.2-1.1"),
        (replace(DONE, held=("kubeadm", "kubelet")), "kubectl is not held"),
        (replace(DONE, linked=("kubelet", "kubectl")), "/usr/local/bin/kubeadm is another program"),
        (replace(DONE, manager="dnf", held=()), ""),
    ],
)
def test_what_is_not_as_wanted_is_the_reason(seen: Packages, reason: str) -> None:
    assert install_reason(seen, VERSION) == reason


def test_apt_installs_one_version_and_holds_it(tmp_path: Path) -> None:
    text = script(install_step(draft(tmp_path, Packages("apt", {}))))
    assert "kubeadm=$exact kubelet=$exact kubectl=$exact" in text
    assert f"Dir::Etc::sourcelist={FILES['apt'][0]}" in text
    assert "apt-mark hold kubeadm kubelet kubectl" in text
    assert f">>{packages.BROUGHT}" in text
    assert subprocess.run(["sh", "-n"], input=text, text=True).returncode == 0


def test_without_a_repository_of_its_own_all_of_the_hosts_are_read(tmp_path: Path) -> None:
    text = script(install_step(draft(tmp_path, Packages("apt", {}), NATIVE)))
    assert "Dir::Etc" not in text
    assert "apt-get -q -o DPkg::Lock::Timeout=120 update" in text


def test_dnf_installs_one_version_past_the_exclusion_that_holds_it(tmp_path: Path) -> None:
    step = install_step(draft(tmp_path, Packages("dnf", {}), os="fedora 43"))
    assert step.title == "install and hold kubeadm, kubelet, kubectl 1.36.3-* (dnf)"
    assert "--disableexcludes=all install kubeadm-1.36.3 kubelet-1.36.3 kubectl-1.36.3" in script(step)


def test_a_member_gets_other_packages_before_it_goes_to_another_version(tmp_path: Path) -> None:
    hosts = "hosts:\n  one: {address: 192.168.1.11, role: controller+worker}\n"
    inventory = load(tmp_path, OWN, head=HEAD.replace(VERSION, "v1.36.4"), hosts=hosts)
    one = member("one", "one", packages=DONE)
    locked = Lock()
    artifacts = render(inventory, DRIVER.templates(inventory, {"one": one}, locked))
    plan = DRIVER.plan_apply(PlanInput(inventory, artifacts, {"one": one}, locked, {}))
    planned = {step.title: step for stage in plan.stages for step in stage.steps}
    titles = list(planned)
    install = "install and hold kubeadm, kubelet, kubectl 1.36.4-1.1 (apt)"
    assert titles.index(install) < titles.index("go to v1.36.4 (kubeadm upgrade apply)")
    assert planned[install].reason.startswith("kubeadm is 1.36.3-1.1; kubelet is 1.36.3-1.1")


def test_a_reset_takes_away_what_was_brought_and_the_lists(tmp_path: Path) -> None:
    plan_input = draft(tmp_path, DONE, distributions=("kubeadm",))
    (step,) = (step for stage in DRIVER.plan_reset(plan_input).stages for step in stage.steps)
    text = script(step)
    assert f"purge $(sort -u {packages.BROUGHT})" in text
    assert "apt-mark unhold kubeadm kubelet kubectl" in text
    assert "/var/lib/apt/lists/pkgs.example_core:_stable:_v1.36_deb_*" in text
    assert FILES["apt"][0] in text


def test_a_host_without_a_manager_is_refused(tmp_path: Path) -> None:
    (finding,) = check(tmp_path, Packages(installed={}))
    assert finding.stops
    assert "neither apt nor dnf" in finding.message


def test_a_host_whose_repositories_have_none_is_refused_where_none_is_named(tmp_path: Path) -> None:
    (finding,) = check(tmp_path, Packages("apt", {}))
    assert finding.stops
    assert "no repository of its apt has kubeadm" in finding.message
    assert check(tmp_path, Packages("apt", {}), OWN) == []


def test_lists_without_the_version_are_told(tmp_path: Path) -> None:
    (finding,) = check(tmp_path, Packages("apt", {}, (), ("1.36.2-1.1", "1.36.1-1.1")))
    assert not finding.stops
    assert "kubeadm 1.36.2-1.1, 1.36.1-1.1, and none of v1.36.3" in finding.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kubeadm: {programs: apt}\n", "`programs` can't be `apt`"),
        (f"kubeadm: {{repository: {{url: '{URL}', key: K}}}}\n", "`repository` is for programs from packages"),
        (OWN.replace("1.36", "1.35"), "this repository has packages of v1.35, and the cluster is v1.36.3"),
        (OWN.replace("https://", ""), "is no URL"),
        (NATIVE + "roles: {worker: {kubeadm: {programs: release}}}\n", "`programs` is the whole cluster's"),
    ],
)
def test_what_is_wrong_in_the_inventory_is_told(tmp_path: Path, text: str, message: str) -> None:
    from bootstrap.errors import InventoryError

    with pytest.raises(InventoryError) as caught:
        load(tmp_path, text)
    assert message in " ".join(problem.message for problem in caught.value.problems)
