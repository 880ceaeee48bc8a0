"""Which controller may be touched: every cluster of one to five voters, every set of them that is down."""

from itertools import combinations

import pytest

from bootstrap.quorum import majority, refuse_removal, refuse_stop

NAMES = ("a", "b", "c", "d", "e")


def states(size: int) -> list[dict[str, bool]]:
    names = NAMES[:size]
    down = [set(chosen) for count in range(size + 1) for chosen in combinations(names, count)]
    return [{name: name not in missing for name in names} for missing in down]


@pytest.mark.parametrize(("members", "votes"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_a_majority_is_more_than_half(members: int, votes: int) -> None:
    assert majority(members) == votes


@pytest.mark.parametrize(
    ("healthy", "asked", "reason"),
    [
        ("A", "a", ""),
        ("AB", "a", ""),  # of two, either one stops the datastore: there is no better moment
        ("Ab", "a", ""),
        ("ABC", "b", ""),
        ("ABc", "c", ""),  # gives no vote, so it may always be touched
        ("ABc", "a", "stopping a would leave 1 of 3 etcd voters, 2 are needed (c is down)"),
        ("Abc", "a", "stopping a would leave 0 of 3 etcd voters, 2 are needed (b, c is down)"),
        ("ABCD", "a", ""),
        ("ABCd", "a", "stopping a would leave 2 of 4 etcd voters, 3 are needed (d is down)"),
        ("ABCDE", "a", ""),
        ("ABCDe", "a", ""),
        ("ABCde", "a", "stopping a would leave 2 of 5 etcd voters, 3 are needed (d, e is down)"),
        ("ABCde", "d", ""),
    ],
)
def test_stopping_a_voter(healthy: str, asked: str, reason: str) -> None:
    """Upper case: works; lower case: is down."""
    assert refuse_stop(asked, {letter.lower(): letter.isupper() for letter in healthy}) == reason


@pytest.mark.parametrize("size", range(1, 6))
def test_no_allowed_stop_takes_a_quorum_that_is_there(size: int) -> None:
    for healthy in states(size):
        for name in healthy:
            left = sum(works for voter, works in healthy.items() if voter != name)
            had = sum(healthy.values()) >= majority(size)
            kept = left >= majority(size)
            if size > 2 and healthy[name] and had and not kept:
                assert refuse_stop(name, healthy), (name, healthy)
            if not healthy[name] or kept:
                assert refuse_stop(name, healthy) == "", (name, healthy)


def test_a_host_without_a_vote_may_be_stopped() -> None:
    assert refuse_stop("w", {"a": True, "b": False, "c": False}) == ""
    assert refuse_stop("w", {}) == ""


@pytest.mark.parametrize(
    ("healthy", "asked", "reason"),
    [
        ("A", "a", "a is the only controller: removing it removes the cluster (that is `bootstrap reset`)"),
        ("AB", "a", ""),
        ("Ab", "b", "1 of 2 etcd voters work, 2 are needed: the members can't be changed"),
        ("ABC", "a", ""),
        ("ABc", "c", ""),
        ("ABc", "a", "without a, 1 of 2 etcd voters would work and 2 are needed (c is down)"),
        ("Abc", "b", "1 of 3 etcd voters work, 2 are needed: the members can't be changed"),
        ("ABCDE", "e", ""),
        ("ABCde", "e", ""),
        ("ABCde", "a", "without a, 2 of 4 etcd voters would work and 3 are needed (d, e is down)"),
    ],
)
def test_removing_a_voter(healthy: str, asked: str, reason: str) -> None:
    assert refuse_removal(asked, {letter.lower(): letter.isupper() for letter in healthy}) == reason


@pytest.mark.parametrize("size", range(1, 6))
def test_what_an_allowed_removal_leaves_works(size: int) -> None:
    for healthy in states(size):
        for name in healthy:
            rest = {voter: works for voter, works in healthy.items() if voter != name}
            works = sum(healthy.values()) >= majority(size)  # else etcd takes no change of its members
            leaves = bool(rest) and sum(rest.values()) >= majority(len(rest))
            assert (refuse_removal(name, healthy) == "") == (works and leaves), (name, healthy)
