"""Checks `args` and `containerdEnv`: services and arguments by name, values that files of arguments can hold. Pure."""

import re
from collections.abc import Iterator, Mapping

from bootstrap.distros.microk8s.fields import (
    ARGUMENT_KEYS,
    ARGUMENT_OWNERS,
    CONTROLLER_FILES,
    OURS,
    WORKER_FILES,
)
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Path, Section, find_typed, suggest, suggest_field

# containerd-env and the arguments of some services are read by a shell.
SHELL = re.compile(r"""[\s'"`;&|<>()\\]|\$(?!\{)""")
Found = tuple[str, str]


def check_arguments(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Problems of one `args` section."""
    for file, given in section.values.items():
        path = (*section.path, file)
        if found := _check_file(section, file):
            yield NativeProblem(path, *found)
        elif isinstance(given, Mapping):
            for name, value in given.items():
                if problem := _check_argument(inventory, section, file, str(name), value):
                    yield NativeProblem((*path, name), *problem)


def _check_file(section: Section, file: str) -> Found | None:
    if file not in ARGUMENT_KEYS:
        keys = {key.lower(): name for name, key in ARGUMENT_KEYS.items()}
        likely = keys.get(file.lower()) or keys.get(f"extra{file}args".lower())
        hint = f"did you mean `{likely}`?" if likely else suggest(file, ARGUMENT_KEYS)
        return f"MicroK8s has no arguments of `{file}`", hint or f"one of {', '.join(ARGUMENT_KEYS)}"
    hosts = section.layer.hosts
    for files, controls, kind in ((CONTROLLER_FILES, False, "workers"), (WORKER_FILES, True, "controllers")):
        if file in files and hosts and all(host.role.controls is controls for host in hosts):
            return f"`{file}` has no effect here: {section.layer} is for {kind} only, which do not run it", "move it"
    return None


def _check_argument(inventory: Inventory, section: Section, file: str, name: str, value: object) -> Found | None:
    if not re.fullmatch(r"--[a-zA-Z0-9][a-zA-Z0-9._-]*", name):
        bare, _, joined = name.lstrip("-").partition("=")
        shown = f"--{bare}: {joined or value}" if bare else "--max-pods: 200"
        return f"`{name}` is no argument: those begin with two dashes, and their value stands behind the colon", (
            f"write `{shown}`"
        )
    if owner := ARGUMENT_OWNERS.get((file, name)):
        twice = find_typed(inventory, owner, section.layer.hosts)
        message = f"`{name}` is given twice, here and as {twice}" if twice else f"`{name}` has a field of its own"
        return message, f"keep `{owner}`" if twice else f"write it as `{owner}`"
    if reason := OURS.get((file, name)):
        return f"`{name}` of {file} is not given: {reason}", "leave it out"
    if isinstance(value, str) and value and ("\n" in value or not value.strip()):
        return f"`{name}` has no value that fits into one line", 'give one line, or "" to remove the argument'
    return None


def check_environment(section: Section) -> Iterator[NativeProblem]:
    """Problems of one `containerdEnv` section: the file is read by a shell."""
    for name, value in section.values.items():
        path: Path = (*section.path, name)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            hint = suggest_field(name, ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")) or "letters, digits and underscores"
            yield NativeProblem(path, f"`{name}` is no name of a variable", hint)
        elif isinstance(value, str) and SHELL.search(value):
            message = f"`{name}` has a character that the shell which reads containerd-env takes for its own"
            yield NativeProblem(path, message, "write it without blanks, quotes and dollar signs")
