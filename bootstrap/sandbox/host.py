"""One host inside a sandbox: its disk, its power supply and its reset button. Runs inside the sandbox only."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.errors import SandboxError
from bootstrap.sandbox import cgroups, network
from bootstrap.sandbox.layout import GATEWAY, PLAIN_FOLDERS, Folder, HostSpec
from bootstrap.sandbox.programs import call, environment

REBOOT_ASKED = 133  # exit status of systemd-nspawn when the guest asked for a reboot
# What the first process of a host gets from us for an orderly reboot (systemd(1); inittab's ctrlaltdel).
REBOOT_SIGNAL = {"systemd": signal.SIGRTMIN + 5, "openrc": signal.SIGINT}
# Enters the cgroups whose files stand before "--", then becomes the program after it.
ENTER_CGROUPS = ("sh", "-c", 'while [ "$1" != -- ]; do echo $$ > "$1" || exit; shift; done; shift; exec "$@"', "sh")


@dataclass
class Host:
    """A host that can be given a new disk, switched on, cut off and waited for. One thread is its power supply."""

    spec: HostSpec
    folder: Folder
    base: Path
    cgroups: Sequence[Path]
    share: Path | None
    known_hosts_line: str = ""
    boots: int = 0
    nspawn: subprocess.Popen[bytes] | None = None
    power: threading.Thread | None = None
    failure: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def disk(self) -> Path:
        return self.folder.disks / self.spec.name

    @property
    def root(self) -> Path:
        return self.disk / "root"

    @property
    def is_on(self) -> bool:
        return self.power is not None and self.power.is_alive()

    def plain_folder(self, path: str) -> Path:
        """Where the store of a container runtime at `path` really lies."""
        return self.disk / path.strip("/").replace("/", "-")

    # ---- disk

    def new_disk(self) -> None:
        """An empty disk over the base tree, with a new host key and machine-id, as after a reinstallation."""
        for path in ("upper", "work", "root", *(self.plain_folder(path).name for path in PLAIN_FOLDERS)):
            (self.disk / path).mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={self.base},upperdir={self.disk}/upper,workdir={self.disk}/work"
        call(["mount", "-t", "overlay", "-o", layers, self.spec.name, self.root])
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.spec.name}\n")
        (etc / "hosts").write_text(self.folder.hosts.read_text())
        (etc / "resolv.conf").write_text(f"nameserver {GATEWAY}\n")
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (etc / "ssh/sandbox_client.pub").write_text(self.folder.key.with_suffix(".pub").read_text())
        key = etc / "ssh/ssh_host_ed25519_key"
        call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.spec.name, "-f", key])
        kind, public, *_ = key.with_suffix(".pub").read_text().split()
        self.known_hosts_line = f"{self.spec.name},{self.spec.address} {kind} {public}\n"

    def throw_disk_away(self) -> None:
        """The plug must be pulled."""
        if self.root.is_mount():
            call(["umount", self.root])
        call(["rm", "-rf", "--one-file-system", "--", self.disk])

    # ---- power

    def switch_on(self) -> None:
        """Boot from the disk as it is; nothing happens when the host is on already."""
        with self.lock:
            if not self.is_on:
                self.failure = ""
                self.power = threading.Thread(target=self._supply_power, name=f"power of {self.spec.name}", daemon=True)
                self.power.start()

    def cut(self) -> None:
        """Pull the plug: every process of the host dies at once; the disk stays."""
        with self.lock:
            if self.power is None:
                return
            power = self.power
            while power.is_alive():
                self._kill()
                power.join(0.02)

    def reboot(self, seconds: float = 60) -> None:
        """An orderly reboot; returns when the new boot has begun. SandboxError when it does not within `seconds`."""
        with self.lock:
            before = self.boots
            for pid in self._first_processes():
                os.kill(pid, REBOOT_SIGNAL[self.spec.init])
        deadline = time.monotonic() + seconds
        while self.boots == before:
            if not self.is_on:
                raise SandboxError(
                    f"host {self.spec.name} is off",
                    why=self.failure or self.last_words(),
                    next_step=f"bootstrap sandbox start {self.spec.name}",
                )
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"host {self.spec.name} did not reboot within {seconds:.0f} s", why=self.last_words()
                )
            time.sleep(0.01)

    def wait_for_ssh(self, seconds: float = 120) -> None:
        """Until sshd says its banner. SandboxError when the host is off or silent for `seconds`."""
        deadline = time.monotonic() + seconds
        while not _says_ssh(self.spec.address):
            if not self.is_on or time.monotonic() > deadline:
                state = "does not answer" if self.is_on else "is off"
                raise SandboxError(f"host {self.spec.name} {state}", why=self.failure or self.last_words())
            time.sleep(0.02)

    def last_words(self) -> str:
        """The end of what the host said on its console."""
        console = self.disk / "console"
        return "\n".join(console.read_text(errors="replace").splitlines()[-8:]) if console.exists() else ""

    def _supply_power(self) -> None:
        """Boot until the host switches itself off or the plug is pulled."""
        try:
            while self._boot() == REBOOT_ASKED:
                pass
            network.unplug(self.spec)
            cgroups.remove(path / self.spec.name for path in self.cgroups)  # waits until the last process is dead
        except (SandboxError, OSError) as error:
            self.failure = str(error)

    def _boot(self) -> int:
        netns = network.plug_in(self.spec)
        leaves = cgroups.create_host(self.cgroups, self.spec.name)
        with (self.disk / "console").open("ab") as console:
            self.nspawn = subprocess.Popen(
                [*ENTER_CGROUPS, *map(str, leaves), "--", *self._nspawn_words(netns)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                # The guest may write below /proc/sys/net: forwarding and whatever else a cluster's network sets.
                env=environment() | {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
            )
        self.boots += 1
        return self.nspawn.wait()

    def _nspawn_words(self, netns: Path) -> list[str]:
        """The container; what a kubelet needs are all capabilities, keyrings, and plain folders for its runtime."""
        return [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}"),
            *(f"--machine={self.spec.name}", f"--hostname={self.spec.name}", f"--network-namespace-path={netns}"),
            *("--register=no", "--keep-unit", "--console=pipe", "--link-journal=no"),
            *("--resolv-conf=off", "--timezone=off", "--capability=all", "--system-call-filter=add_key keyctl"),
            *(f"--bind={self.plain_folder(path)}:{path}" for path in PLAIN_FOLDERS),
            "--setenv=SELINUX_INIT=NO",  # sysvinit's init would mount another /sys over the container's
            *([f"--bind-ro={self.share}:/opt/share"] if self.share else []),
        ]

    def _first_processes(self) -> list[int]:
        """The host's process 1; none while it is off or only about to start."""
        if self.nspawn is None or self.nspawn.poll() is not None:
            return []
        with contextlib.suppress(OSError):
            return [int(pid) for pid in _children(self.nspawn.pid)]
        return []

    def _kill(self) -> None:
        for pid in self._first_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.nspawn is not None:
            self.nspawn.kill()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _says_ssh(address: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"
    return False
