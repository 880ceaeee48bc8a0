"""Builds POSIX shell text from words; quoting lives only here. No I/O."""

import shlex
from collections.abc import Iterable, Mapping, Sequence


def quote(word: str) -> str:
    """One word for a POSIX shell. Raises ValueError on NUL, which no argument can carry."""
    if "\0" in word:
        raise ValueError("a NUL byte can't be part of a command")
    return shlex.quote(word)


def join(words: Sequence[str]) -> str:
    """A command line from its words."""
    return " ".join(quote(word) for word in words)


def join_lines(commands: Iterable[Sequence[str]]) -> str:
    """A script of commands, one a line, which stops at the first failure."""
    return "set -eu\n" + "".join(f"{join(words)}\n" for words in commands)


def assign(variables: Mapping[str, str]) -> str:
    """Shell assignments, one a line, in the order given."""
    return "".join(f"{name}={quote(value)}\n" for name, value in variables.items())
