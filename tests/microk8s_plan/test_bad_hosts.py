"""Hosts that are wrong in one way: told once, with the words for what, why and what next, before any write."""

from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.model import Finding, HostFacts, Interface, Inventory

from .bad_hosts import ROWS, BadHost, good
from .world import DRIVER, HIGH, change, load, make_input, members, node

QUIET = "addons: [rbac]\n"  # nothing is to be said of these add-ons


def check(inventory: Inventory, *facts: HostFacts) -> list[Finding]:
    return list(DRIVER.check_hosts(make_input(inventory, *facts)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_a_bad_host_is_told_of_once_with_what_and_why_and_what_next(tmp_path: Path, row: BadHost) -> None:
    found = check(load(tmp_path, row.text or QUIET), good("one"), row.spoil(good("two")))
    mine = [finding for finding in found if finding.stops is row.stops and "taken over" not in finding.message]
    assert [finding.host for finding in mine] == ["two"], found
    (finding,) = mine
    assert row.message in finding.message
    assert row.hint in finding.hint
    assert finding.hint or not finding.stops, "what stops must say what next"


def test_good_hosts_are_told_nothing(tmp_path: Path) -> None:
    assert check(load(tmp_path, QUIET), good("one"), good("two")) == []


def test_the_table_is_long_enough_and_its_names_differ() -> None:
    assert len(ROWS) >= 15
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_an_ipv6_address_can_be_joined_by_nobody(tmp_path: Path) -> None:
    one = replace(good("one"), interfaces=(Interface("eth0", ("fd00::11",)),))
    (finding,) = check(load(tmp_path, QUIET), one, good("two"))
    assert "MicroK8s joins by IPv4 alone" in finding.message
    assert finding.host == "one"


def test_a_name_that_its_repository_has_not_is_told_with_those_that_it_has(tmp_path: Path) -> None:
    text = "addons: [rbac, mine/thing]\nmicrok8s: {repositories: {mine: {source: https://git.example.com/a.git}}}\n"
    inventory = load(tmp_path, text)
    found = check(inventory, *members(inventory, addons={"mine/think": False, "core/rbac": True}))
    (finding,) = [each for each in found if each.stops]
    assert finding.message == "the repository mine has no add-on thing"
    assert "mine/think" in finding.hint


def test_what_people_should_know_of_add_ons_stops_nothing(tmp_path: Path) -> None:
    found = check(load(tmp_path, "addons: [cert-manager]\n"), good("one"), good("two"))
    assert found
    assert not any(finding.stops for finding in found)


def test_a_running_cluster_is_told_nothing(tmp_path: Path) -> None:
    inventory = load(tmp_path, QUIET, hosts=HIGH)
    facts = [
        replace(change(each, nodes={name: node(name) for name in ("one", "two", "three", "four")}), memory_kb=8_000_000)
        for each in members(inventory)
    ]
    assert check(inventory, *facts) == []
