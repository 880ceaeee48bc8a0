"""The machine's programs that the sandbox needs: whether they are there, and calling them. No knowledge of hosts."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bootstrap.errors import SandboxError

# Program -> Debian package that brings it.
PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
# apt-get does not always put these where a plain user's PATH looks.
SEARCH_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def missing_packages() -> list[str]:
    """Debian packages whose programs this machine lacks, sorted."""
    return sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=SEARCH_PATH)})


def why_not_here() -> SandboxError | None:
    """The reason why this machine or user cannot run a sandbox, or None."""
    if os.geteuid() != 0:
        return SandboxError(
            "the sandbox needs root",
            why="it makes namespaces, mounts and network links of its own; nothing of the machine's is touched",
            next_step="run the same command with sudo",
        )
    if packages := missing_packages():
        return SandboxError(
            "programs that the sandbox needs are missing",
            next_step=f"apt-get install --no-install-recommends {' '.join(packages)}",
        )
    return None


def require() -> None:
    """Raise SandboxError when this machine or user cannot run a sandbox."""
    if error := why_not_here():
        raise error


def environment() -> dict[str, str]:
    """A plain environment for every program of a sandbox: nothing of the caller's but the search path."""
    return {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root"}


def call(words: Sequence[str | Path], stdin: str = "") -> str:
    """Run a program, return its stdout; SandboxError with its stderr when it fails."""
    done = subprocess.run(
        [str(word) for word in words], input=stdin, capture_output=True, text=True, env=environment(), check=False
    )
    if done.returncode:
        raise SandboxError(
            f"{words[0]} failed with {done.returncode}: {' '.join(map(str, words))}", why=done.stderr.strip()
        )
    return done.stdout
