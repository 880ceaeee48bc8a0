"""May this controller be touched now? One pure function and its words; every distribution with voters asks it."""

from collections.abc import Mapping


def majority(members: int) -> int:
    """Votes that a datastore of so many members needs."""
    return members // 2 + 1


def refuse_stop(name: str, healthy: Mapping[str, bool]) -> str:
    """Why stopping `name` for a moment would cost the quorum; empty when it may be stopped.

    `healthy` has every voter. A voter that is down already may always be touched: it gives no vote.
    """
    if not healthy.get(name, False) or len(healthy) == 1:
        return ""
    left = sum(ok for voter, ok in healthy.items() if voter != name)
    needed = majority(len(healthy))
    if left >= needed or len(healthy) == 2:  # of two, either one stops the datastore: there is no better moment
        return ""
    down = ", ".join(sorted(voter for voter, ok in healthy.items() if not ok))
    return f"stopping {name} would leave {left} of {len(healthy)} etcd voters, {needed} are needed ({down} is down)"


def refuse_removal(name: str, healthy: Mapping[str, bool]) -> str:
    """Why taking `name` out for good would leave no working datastore; empty when it may go."""
    rest = {voter: ok for voter, ok in healthy.items() if voter != name}
    if not rest:
        return f"{name} is the only controller: removing it removes the cluster (that is `bootstrap reset`)"
    working, needed_now = sum(healthy.values()), majority(len(healthy))
    if working < needed_now:
        return f"{working} of {len(healthy)} etcd voters work, {needed_now} are needed: the members can't be changed"
    left, needed = sum(rest.values()), majority(len(rest))
    if left < needed:
        down = ", ".join(sorted(voter for voter, ok in rest.items() if not ok))
        return f"without {name}, {left} of {len(rest)} etcd voters would work and {needed} are needed ({down} is down)"
    return ""
