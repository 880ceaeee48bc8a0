"""Gives the problems that a distribution finds their place in the file. Pure."""

from collections.abc import Iterable, Iterator

from bootstrap.driver import NativeProblem
from bootstrap.inventory.problems import Path, Problems
from bootstrap.model import Inventory


def add_native_problems(found: Iterable[NativeProblem], inventory: Inventory, problems: Problems) -> None:
    """Add each problem at the key that its path names; what is already known to be wrong is not told again."""
    for problem in found:
        path = next((path for path in places(problem.path, inventory) if path in problems.values), problem.path)
        if not problems.is_broken(path):
            problems.add_at(problems.key_position(path), problem.message, problem.hint)


def places(path: Path, inventory: Inventory) -> Iterator[Path]:
    """Where a path may stand in the document: as it is, or in the layer that gave the host its value."""
    yield path
    host = next((host for host in inventory.hosts if path[:2] in (host.origin, ("hosts", host.name))), None)
    if host is None:
        return
    rest = path[2:]
    yield (*host.origin, *rest)
    for group in reversed(host.groups):
        yield ("groups", group, *rest)
    yield ("roles", host.role.value, *rest)
    yield rest
