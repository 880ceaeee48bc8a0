"""The processes at the top of a sandbox: process 1, and the supervisor that answers commands. Runs inside only.

Process 1 reaps what loses its parent, and ends with the supervisor or with the life line; then the kernel ends
every process, mount and network of the sandbox.
"""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bootstrap.errors import SandboxError
from bootstrap.sandbox import base, cgroups, control, network
from bootstrap.sandbox.host import Host
from bootstrap.sandbox.layout import Folder, SandboxSpec
from bootstrap.sandbox.lifetime import KEEP, READY
from bootstrap.sandbox.programs import call

DISKS_SIZE = "80%"  # of the memory: a bound for mistakes, not a reservation


def run_process_1(folder: Folder) -> None:
    """Be process 1. stdin is the life line, stdout is told READY; never returns."""
    cgroup_folders = [path / f"bootstrap-sandbox-{folder.path.name}" for path in cgroups.parents()]
    folder.cgroups.write_text("".join(f"{path}\n" for path in cgroup_folders))
    cgroups.create_sandbox(cgroup_folders)
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(folder, cgroup_folders)
    threading.Thread(target=_hold_life_line, daemon=True).start()
    while os.wait()[0] != supervisor:
        pass
    os._exit(1)


def _hold_life_line() -> None:
    """End the sandbox when the caller of `up` is gone before it said that the sandbox shall stay."""
    if os.read(0, len(KEEP)) != KEEP:
        os._exit(1)


def _supervise(folder: Folder, cgroup_folders: list[Path]) -> None:
    os.close(0)
    os.open(os.devnull, os.O_RDWR)
    spec = SandboxSpec.from_json(folder.spec.read_text())
    try:
        for tree in spec.bases.values():
            base.hold(Path(tree))
        _mount(folder)
        network.build()
        supervisor = Supervisor(folder, spec, cgroup_folders)
        supervisor.install()
        control.serve(folder.control, supervisor.answer, _say_ready)
    except SandboxError as error:
        os.write(2, f"{error}\n".encode())
    finally:
        os._exit(1)


def _say_ready() -> None:
    os.write(1, READY)
    os.dup2(0, 1)


def _mount(folder: Folder) -> None:
    """A private /run that still shows the run folder, a tmpfs for the disks, and name resolution of our own."""
    run = folder.path / "run"
    run.mkdir()
    call(["mount", "-t", "tmpfs", "-o", "mode=755", "run", run])
    shown = run / folder.path.relative_to("/run")
    shown.mkdir(parents=True)
    (run / "netns").mkdir()
    call(["mount", "--bind", folder.path, shown])
    call(["mount", "--no-mtab", "--move", run, "/run"])  # mount keeps notes in /run, which is going away
    folder.disks.mkdir()
    call(["mount", "-t", "tmpfs", "-o", f"mode=755,size={DISKS_SIZE}", "disks", folder.disks])
    for ours, theirs in ((folder.hosts, Path("/etc/hosts")), (folder.resolv_conf, Path("/etc/resolv.conf"))):
        _bind_over(ours, theirs.resolve())


def _bind_over(ours: Path, theirs: Path) -> None:
    if theirs.is_relative_to("/run"):  # a link into the machine's /run, which is hidden here
        theirs.parent.mkdir(parents=True, exist_ok=True)
        theirs.touch()
    if theirs.exists():
        call(["mount", "--bind", ours, theirs])


class Supervisor:
    """Answers commands for the hosts of one sandbox; each command is done for all its hosts at once."""

    def __init__(self, folder: Folder, spec: SandboxSpec, cgroup_folders: list[Path]) -> None:
        share = Path(spec.share) if spec.share else None
        self._folder = folder
        self._hosts = {
            host.name: Host(host, folder, Path(spec.bases[host.init]), cgroup_folders, share) for host in spec.hosts
        }
        self._known_hosts_lock = threading.Lock()
        self._verbs: dict[str, Callable[[Host], None]] = {
            "wait": Host.wait_for_ssh,
            "cut": Host.cut,
            "start": self._start,
            "reboot": self._reboot,
            "wipe": self._wipe,
        }

    def install(self) -> None:
        """Give every host its first disk and switch it on."""
        hosts = self._hosts.values()
        self._for_each(Host.new_disk, hosts)
        self._write_known_hosts()
        for host in hosts:
            host.switch_on()

    def answer(self, verb: str, names: list[str]) -> object:
        """Do `verb` on the named hosts, or on all when none is named."""
        if strange := [name for name in names if name not in self._hosts]:
            raise SandboxError(f"no such host: {' '.join(strange)}", why=f"there are: {' '.join(self._hosts)}")
        hosts = [self._hosts[name] for name in names or self._hosts]
        if verb == "list":
            return [[host.spec.name, host.spec.address, host.spec.init, host.is_on] for host in hosts]
        self._for_each(self._verbs[verb], hosts)
        return None

    def _start(self, host: Host) -> None:
        host.switch_on()
        host.wait_for_ssh()

    def _reboot(self, host: Host) -> None:
        host.reboot()
        host.wait_for_ssh()

    def _wipe(self, host: Host) -> None:
        with host.lock:
            host.cut()
            host.throw_disk_away()
            host.new_disk()
            self._write_known_hosts()
            host.switch_on()
        host.wait_for_ssh()

    def _write_known_hosts(self) -> None:
        """Pin the keys that the disks have now, before anybody can connect to them."""
        with self._known_hosts_lock:
            fresh = self._folder.known_hosts.with_suffix(".new")
            fresh.write_text("".join(host.known_hosts_line for host in self._hosts.values()))
            fresh.rename(self._folder.known_hosts)

    @staticmethod
    def _for_each(do: Callable[[Host], None], hosts: Iterable[Host]) -> None:
        chosen = list(hosts)
        with ThreadPoolExecutor(len(chosen)) as pool:
            list(pool.map(do, chosen))


def main(folder: str) -> None:
    """Entry point of `python -m bootstrap.sandbox RUN_FOLDER`, process 1 of new namespaces."""
    os.umask(0o022)  # what is written here is read by plain users of the hosts
    run_process_1(Folder(Path(folder)))
