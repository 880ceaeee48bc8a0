"""Hosts that are wrong in one way: told once, with the words for what, why and what next, before any write."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.kubeadm.machine import Machine, machine_script, parse_machine
from bootstrap.distros.kubeadm.probes import KUBELET_CONF
from bootstrap.driver import PlanInput
from bootstrap.model import Finding, HostFacts, Inventory, Lock, LockedFile, Record

from .bad_hosts import ABANDONED, PACKAGES, RELEASE, ROWS, VERSION, VIP, BadHost, change, good, member, node
from .inventories import HEAD, HOSTS, load

DRIVER = find_driver("kubeadm")
IMAGES = LockedFile("kubernetes-images", VERSION, "amd64", "https://dl.k8s.io/i.tar", 7, "ab" * 32)


def check(inventory: Inventory, facts: dict[str, HostFacts]) -> list[Finding]:
    return list(DRIVER.check_hosts(PlanInput(inventory, (), facts, Lock((IMAGES,)), {})))


def load_row(folder: Path, row: BadHost) -> Inventory:
    hosts = "" if "hosts:" in row.text else HOSTS
    return load(folder, row.text, head=HEAD.replace(VERSION, row.version), hosts=hosts)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_a_bad_host_is_told_of_once_with_what_and_why_and_what_next(tmp_path: Path, row: BadHost) -> None:
    found = check(load_row(tmp_path, row), row.make_facts())
    assert [finding.host for finding in found] == [row.host], found
    (finding,) = found
    assert row.message in finding.message
    assert row.hint in finding.hint
    assert finding.stops is row.stops
    assert finding.hint or not finding.stops, "what stops must say what next"


@pytest.mark.parametrize("text", [PACKAGES, RELEASE, VIP, f"mirror: /srv/mirror\n{PACKAGES}"])
def test_good_hosts_are_told_nothing(tmp_path: Path, text: str) -> None:
    assert check(load(tmp_path, text), {name: good(name) for name in ("one", "two", "three")}) == []


def test_the_table_is_long_enough_and_its_names_differ() -> None:
    assert len(ROWS) >= 25
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("native", "machine", "memory"),
    [
        ("node: {ignorePreflightErrors: [NumCPU, mem]}", {"cpus": 1}, 1_000_000),
        ("node: {ignorePreflightErrors: [all]}", {"cpus": 1, "kernel": "4.9.0", "missing": ("losetup",)}, 4_000_000),
        ("node: {ignorePreflightErrors: [SystemVerification]}", {"kernel": "5.14.0"}, 4_000_000),
        ("node: {ignorePreflightErrors: [FileExisting-losetup]}", {"missing": ("losetup",)}, 4_000_000),
        ("runtime_options: {load_modules: false}", {"missing": ("modprobe",)}, 4_000_000),
        ("proxy: {nftables: {masqueradeAll: true}}", {"unloadable": ("br_netfilter",)}, 4_000_000),
    ],
)
def test_what_the_inventory_takes_on_itself_stops_nothing(
    tmp_path: Path, native: str, machine: dict[str, object], memory: int
) -> None:
    inventory = load(tmp_path, f"kubeadm: {{runtime: packages, cni: bridge, {native}}}\n")
    facts = {name: good(name) for name in ("one", "two", "three")}
    mine = replace(facts["one"], memory_kb=memory)
    facts["one"] = change(mine, machine=replace(mine.values["machine"], **machine))
    assert [finding for finding in check(inventory, facts) if finding.stops] == []


def test_what_our_own_unfinished_try_left_is_no_other_cluster(tmp_path: Path) -> None:
    facts = {name: good(name) for name in ("one", "two", "three")}
    facts["two"] = change(facts["two"], traces=ABANDONED, ca="another", machine=None)
    found = check(load(tmp_path, PACKAGES), facts)
    assert found == []


def test_a_cluster_that_was_made_by_hand_is_taken_over_and_that_is_said(tmp_path: Path) -> None:
    facts = {name: good(name) for name in ("one", "two", "three")}
    facts["one"] = replace(member("one", {"one": node("one", controls=True), "two": node("two")}), record=None)
    facts["two"] = change(facts["two"], traces=(KUBELET_CONF,), ca="authority", machine=None)
    found = check(load(tmp_path, PACKAGES), facts)
    assert [(finding.host, finding.stops) for finding in found] == [("one", False), ("two", False)]
    assert all("it will be taken over" in finding.message for finding in found)


def test_a_node_on_our_record_whose_cluster_was_made_anew_may_be_reset(tmp_path: Path) -> None:
    facts = {name: good(name) for name in ("one", "two", "three")}
    kept = change(facts["two"], traces=(KUBELET_CONF,), ca="another", machine=None)
    facts["two"] = replace(kept, record=Record("home", applied={"install": "x"}))
    found = check(load(tmp_path, PACKAGES), facts)
    assert [finding for finding in found if finding.stops] == []


# --- the look ------------------------------------------------------------------------------------


def look(joined: Path) -> Machine | None:
    script = machine_script(str(joined))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    return parse_machine(done.stdout)


def test_this_machine_is_seen_as_it_is(tmp_path: Path) -> None:
    seen = look(tmp_path / "none")
    assert seen is not None
    assert seen.kernel == Path("/proc/sys/kernel/osrelease").read_text().strip()
    assert seen.cpus >= 1
    assert not {"cp", "mount"} & set(seen.missing)


def test_a_host_with_a_kubelet_is_not_looked_at(tmp_path: Path) -> None:
    joined = tmp_path / "kubelet.conf"
    joined.touch()
    assert look(joined) is None


def test_what_is_not_there_is_told_line_by_line() -> None:
    text = "cpus=1\nkernel=6.1.0\nmissing=losetup\nmissing=cp\nstuck=net/ipv4/ip_forward\nkeeps_time=no\nnoise\n"
    assert parse_machine(text) == Machine(
        cpus=1, kernel="6.1.0", missing=("losetup", "cp"), stuck=("net/ipv4/ip_forward",), keeps_time=False
    )
