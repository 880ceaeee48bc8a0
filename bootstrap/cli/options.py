"""Arguments that several commands share, and the session that they open."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from bootstrap.cli.console import ask_secret


def known_hosts_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--known-hosts",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="BOOTSTRAP_KNOWN_HOSTS",
        help="Pinned host keys; default: known_hosts of the repository.",
    )(command)


def inventory_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    argument = click.argument("inventory", type=click.Path(path_type=Path), required=False)
    return argument(known_hosts_option(command))


def split_words(words: Sequence[str]) -> tuple[Path | None, tuple[str, ...]]:
    """An inventory, told by its ending or by being a file, and names of hosts."""
    first = Path(words[0]) if words else None
    if first is not None and (first.suffix in (".yaml", ".yml") or first.is_file()):
        return first, tuple(words[1:])
    return None, tuple(words)


def output_option(*kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "-o", "--output", type=click.Choice(kinds), default=kinds[0], show_default=True, help="Form of the answer."
    )


def open_session(inventory: Path | None, known_hosts: Path | None) -> Any:  # noqa: ANN401 - imported where used
    from bootstrap.inventory import find_inventory
    from bootstrap.session import Session

    path = inventory or find_inventory(Path.cwd())
    return Session(path, os.environ, ask=ask_secret, known_hosts=known_hosts)
