"""How a sandbox's process tree begins and ends, seen from outside. Knows nothing of hosts."""

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bootstrap
from bootstrap.errors import SandboxError
from bootstrap.sandbox import cgroups, control
from bootstrap.sandbox.layout import ROOT_FOLDER, Folder
from bootstrap.sandbox.programs import call, environment

KEEP = b"keep"  # what the life line brings when the sandbox shall outlive the process that began it
READY = b"ready"  # what process 1 says when it can be asked for something

# When unshare or process 1 dies, by whatever cause, the kernel ends everything below it.
UNSHARE = (
    *("setsid", "--fork"),
    *("unshare", "--net", "--mount", "--ipc", "--uts", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"),
)


@dataclass
class Process1:
    """A process tree that ends with this process unless it is told to stay.

    `life_line`: the tree ends when its last writer closes it. `ready`: at its end once the whole tree is gone.
    """

    life_line: int
    ready: int
    stays: bool = False

    def keep(self) -> None:
        """Let the tree outlive this process."""
        os.write(self.life_line, KEEP)
        self.stays = True

    def end(self) -> None:
        """End the tree unless it was told to stay; returns when all of it is gone."""
        os.close(self.life_line)
        while not self.stays and os.read(self.ready, 64):
            pass
        os.close(self.ready)


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One caller at a time begins or ends a sandbox on this machine."""
    ROOT_FOLDER.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(ROOT_FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def begin(folder: Folder) -> Process1:
    """Start process 1 on a finished run folder; returns when it can be asked. SandboxError with its log otherwise."""
    life_line_end, life_line = os.pipe()
    ready, ready_end = os.pipe()
    process = Process1(life_line, ready)
    try:
        _spawn(folder, life_line_end, ready_end)
        if os.read(ready, len(READY)) != READY:
            raise SandboxError("the sandbox did not start", why=folder.log.read_text().strip())
    except BaseException:
        process.end()
        raise
    return process


def _spawn(folder: Folder, life_line_end: int, ready_end: int) -> None:
    package_folder = Path(bootstrap.__file__).parent.parent
    try:
        with folder.log.open("w") as log:
            subprocess.run(
                [*UNSHARE, sys.executable, "-m", "bootstrap.sandbox", folder.path],
                stdin=life_line_end,
                stdout=ready_end,
                stderr=log,
                env=environment() | {"PYTHONPATH": str(package_folder)},
                check=False,
            )
    finally:
        os.close(life_line_end)
        os.close(ready_end)


def end(folder: Folder) -> None:
    """End the sandbox, if it runs, and remove its cgroups and run folder. The caller holds the lock."""
    while (supervisor := control.listener_pid(folder.control)) is not None:
        if is_inside(supervisor):
            raise SandboxError("a sandbox cannot be ended from inside")
        with contextlib.suppress(OSError):  # it may be dying already
            _kill(_process_1(supervisor))
        time.sleep(0.01)
    if folder.cgroups.exists():
        cgroups.remove(map(Path, folder.cgroups.read_text().splitlines()))
    call(["rm", "-rf", "--one-file-system", "--", folder.path])


def is_inside(supervisor: int) -> bool:
    """Whether this process runs in the sandbox of that supervisor."""
    return _pid_namespace(supervisor) == _pid_namespace("self")


def _pid_namespace(pid: int | str) -> Path | None:
    """Identity of a process's pid namespace; None for a process that is dying."""
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:
        return None


def _process_1(supervisor: int) -> int:
    """Process 1 of a supervisor's namespace: its parent (field 4 of proc_pid_stat(5)). ProcessLookupError if dead."""
    parent = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    if _pid_namespace(parent) in (None, _pid_namespace("self")):
        raise ProcessLookupError
    return parent


def _kill(pid: int) -> None:
    """Kill a process 1 and wait: the kernel lets it go only after every process of its namespace."""
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [])
    finally:
        os.close(handle)
