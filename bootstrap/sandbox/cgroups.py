"""Cgroup folders of a sandbox, on cgroup v1, mixed and v2-only machines.

Each host needs a cgroup of its own in every hierarchy, or units of different hosts share one.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bootstrap.errors import SandboxError

ROOT = Path("/sys/fs/cgroup")


def parents() -> list[Path]:
    """The folder of each mounted hierarchy below which this process may put cgroups.

    cgroup v1: the process's own cgroup, so that limits set on the caller hold. v2-only: the root, for a cgroup
    that has processes can pass no controllers on (the kernel's cgroup-v2 documentation, "No Internal Process").
    """
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        hierarchy = ROOT / (controllers.removeprefix("name=") or "unified")
        if hierarchy.is_dir():
            found.append(hierarchy / path.lstrip("/"))
    return found


def create(folder: Path) -> Path:
    """Make one cgroup that takes processes and, on v2, has all controllers of its parent."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):  # a new v1 cpuset is empty and takes no process
        if (folder / "cgroup.clone_children").exists() and (folder / name).exists():
            (folder / name).write_text((folder.parent / name).read_text())
    return folder


def pass_controllers_on(folder: Path) -> None:
    """Cgroup v2: let the children of `folder` have each controller that it has itself; v1 has no such switch."""
    switch = folder / "cgroup.subtree_control"
    if switch.exists():
        for controller in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # a controller may be refused, as cpu is while real-time tasks run
                switch.write_text(f"+{controller}")


def create_sandbox(folders: Iterable[Path]) -> None:
    """Make the sandbox's cgroup in every hierarchy, with a leaf for this process, and enter that leaf."""
    for folder in folders:
        pass_controllers_on(folder.parent)
        create(folder)
        pass_controllers_on(folder)
        (create(folder / "_supervisor") / "cgroup.procs").write_text(str(os.getpid()))


def create_host(folders: Sequence[Path], host: str) -> list[Path]:
    """Make a host's cgroup in every hierarchy; the files that take its first process."""
    return [create(folder / host) / "cgroup.procs" for folder in folders]


def remove(folders: Iterable[Path], seconds: float = 20) -> None:
    """Remove cgroups with all below them, waiting for processes that are still dying; SandboxError after `seconds`."""
    deadline = time.monotonic() + seconds
    for folder in folders:
        while folder.exists():
            try:
                _remove_tree(folder)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise SandboxError(f"the cgroup {folder} cannot be removed", why=str(error)) from error
                time.sleep(0.02)


def _remove_tree(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        Path(path).rmdir()
