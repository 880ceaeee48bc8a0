"""Walks through the values of a document. Pure."""

from collections.abc import Iterator

from bootstrap.inventory.problems import Path, Problems, Tree


def value_at(value: Tree, path: Path) -> Tree:
    for key in path:
        value = value[key]
    return value


def scalars(value: Tree, path: Path = ()) -> Iterator[tuple[Path, Tree]]:
    """Every value that is neither a mapping nor a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from scalars(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from scalars(inner, (*path, index))
    else:
        yield path, value


def texts(value: Tree, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of a field that takes one or a list of them, each with its path."""
    if isinstance(value, str):
        yield path, value
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, str):
            yield (*path, index), item


def prune(value: Tree, path: Path, problems: Problems) -> Tree:
    """The value without what is known to be wrong; a wrong item of a list becomes None."""
    if not any(broken[: len(path)] == path for broken in problems.broken):
        return value
    return pruned(value, path, problems.broken)


def pruned(value: Tree, path: Path, broken: set[Path]) -> Tree:
    if isinstance(value, dict):
        items = ((key, (*path, key), inner) for key, inner in value.items())
        return {key: pruned(inner, at, broken) for key, at, inner in items if at not in broken}
    if isinstance(value, list):
        places = [(*path, index) for index in range(len(value))]
        return [None if at in broken else pruned(inner, at, broken) for at, inner in zip(places, value, strict=True)]
    return value
