"""`bootstrap sandbox ...`: one function per command, for the command line to call. Returns exit codes and text.

Every function raises SandboxError for what the person can mend.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bootstrap.sandbox.sandbox import HostState, Sandbox


def host_names(words: Sequence[str]) -> list[str]:
    """What `up` and `run` accept as hosts: a single number N means h1 to hN, anything else is names."""
    if len(words) == 1 and words[0].isdigit():
        return [f"h{number}" for number in range(1, int(words[0]) + 1)]
    return list(words)


def up(name: str, hosts: Sequence[str], init: Mapping[str, str], share: Path | None) -> str:
    """Boot the hosts; the same table as `list_hosts`."""
    _end_on_sigterm()
    return _table(Sandbox(name).up(host_names(hosts), init, share))


def down(name: str) -> str:
    """End every host at once; nothing is left. No output."""
    Sandbox(name).down()
    return ""


def list_hosts(name: str) -> str:
    """One line per host: name, address, init, on or off."""
    return _table(Sandbox(name).list_hosts())


def wipe(name: str, hosts: Sequence[str]) -> str:
    """New disks for these hosts, or for all when none is named. No output."""
    Sandbox(name).wipe(hosts)
    return ""


def cut(name: str, host: str) -> str:
    """Pull the plug. No output."""
    Sandbox(name).cut(host)
    return ""


def start(name: str, host: str) -> str:
    """Switch a host on. No output."""
    Sandbox(name).start(host)
    return ""


def reboot(name: str, host: str) -> str:
    """Reboot in good order. No output."""
    Sandbox(name).reboot(host)
    return ""


def ssh(name: str, host: str, words: Sequence[str]) -> NoReturn:
    """Become ssh(1) to `host` or `user@host`; does not return."""
    _become(Sandbox(name).ssh_command(host, words))


def exec_inside(name: str, words: Sequence[str]) -> NoReturn:
    """Become a command that runs inside, a shell when no words are given; does not return."""
    _become(Sandbox(name).exec_command(words or [os.environ.get("SHELL", "/bin/sh")]))


def run(name: str, hosts: Sequence[str], words: Sequence[str], init: Mapping[str, str], share: Path | None) -> int:
    """Boot hosts, run a command inside, end the sandbox; the command's exit status."""
    _end_on_sigterm()
    return Sandbox(name).run(host_names(hosts), words, init, share)


def _table(hosts: Sequence[HostState]) -> str:
    width = max(len(host.name) for host in hosts)
    return "".join(
        f"{host.name:<{width}}  {host.address}  {host.init:<7}  {'on' if host.is_on else 'off'}\n" for host in hosts
    )


def _become(words: Sequence[str]) -> NoReturn:
    sys.stdout.flush()
    os.execvp(words[0], list(words))  # noqa: S606 - a list of words, no shell


def _end_on_sigterm() -> None:
    """Let SIGTERM unwind the stack, as Ctrl-C does, so that nothing of a half-made sandbox is left."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
