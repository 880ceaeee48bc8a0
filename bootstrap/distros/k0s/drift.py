"""What of a host's flags and configuration is not as wanted: compared as k0s reads them, not as they are spelled. Pure."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from bootstrap.distros.k0s.layout import CONFIG, DEFAULT_DATA

# Of no effect once the host has joined, or kept by `k0s install` out of the unit; k0sctl compares without them too.
PASSED_OVER = ("--token-file", "--force", "--env", "--start")
DEFAULTS = {"--config": CONFIG, "--data-dir": DEFAULT_DATA}
KUBELET_ARGUMENTS = "--kubelet-extra-args"


def read_flags(words: Iterable[str]) -> dict[str, str]:
    """Value by flag: `--x` and `--x=true` alike, defaults that are written out, and what has no effect left out."""
    found: dict[str, str] = {}
    last = ""
    for word in words:
        if not word.startswith("-"):
            if last:  # `--flag value`
                found[last] = word
            last = ""
            continue
        name, equals, value = word.partition("=")
        name = {"-c": "--config"}.get(name, name)
        found[name] = value if equals else "true"
        last = "" if equals else name
    found = {name: _plain(name, value) for name, value in found.items() if name not in PASSED_OVER}
    return {name: value for name, value in found.items() if DEFAULTS.get(name) != value}


def _plain(name: str, value: str) -> str:
    """The arguments of the kubelet in any order are the same."""
    if name != KUBELET_ARGUMENTS:
        return value
    try:
        return " ".join(sorted(shlex.split(value)))
    except ValueError:
        return value


def read_unit(text: str) -> list[str]:
    """The words behind `k0s controller` or `k0s worker`, from a unit of systemd or a script of OpenRC."""
    for line in text.splitlines():
        if line.startswith("ExecStart="):
            return [_unescape(word) for word in line.partition("=")[2].split()][2:]
        if line.startswith("command_args="):
            try:
                return [inner for word in shlex.split(line.partition("=")[2]) for inner in shlex.split(word)][1:]
            except ValueError:
                return []
    return []


def _unescape(word: str) -> str:
    """systemd's spelling of an argument (k0s writes a blank as \\x20)."""
    plain = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), word.strip('"'))
    return plain.replace("\\\\", "\\").replace("%%", "%").replace("$$", "$")


def compare_flags(wanted: Sequence[str], actual: Sequence[str]) -> list[str]:
    """Each difference in words: `--profile=a instead of b`."""
    new, old = read_flags(wanted), read_flags(actual)
    found = []
    for name in sorted({*new, *old}):
        if new.get(name) == old.get(name):
            continue
        if name not in old:
            found.append(f"{name}={new[name]} is missing")
        elif name not in new:
            found.append(f"{name}={old[name]} is too much")
        else:
            found.append(f"{name} is {old[name]}, and shall be {new[name]}")
    return found


# --- the configuration ---------------------------------------------------------------------------


def load_document(text: str | None) -> Mapping[str, Any] | None:
    """A ClusterConfig, or None for what is none."""
    if text is None:
        return None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None
