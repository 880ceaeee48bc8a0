"""A sandbox as seen by those who use it: make it, end it, ask it for something. Knows nothing of how hosts are made."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import SandboxError
from bootstrap.sandbox import base, control, lifetime, programs
from bootstrap.sandbox.layout import Folder, SandboxSpec, check_label, host_specs, hosts_file, ssh_config

# Set for every program that runs inside; its text is the sandbox's name.
NAME_VARIABLE = "BOOTSTRAP_SANDBOX"
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 1024  # 128, the kernel's default, is used up by some 20 hosts, for all run as the same user


def _tell(line: str) -> None:
    sys.stderr.write(f"sandbox: {line}\n")


@dataclass(frozen=True)
class HostState:
    """A host as it is now. `is_on`: it has power; whether sshd answers is another matter."""

    name: str
    address: str
    init: str
    is_on: bool


@dataclass(frozen=True)
class Sandbox:
    """Throw-away hosts on this machine, in namespaces of their own. Sandboxes of different names do not meet.

    All methods work from outside and from inside (see `exec_command`), and raise SandboxError.
    """

    name: str = "default"

    def __post_init__(self) -> None:
        check_label("sandbox", self.name)

    @classmethod
    def current(cls) -> "Sandbox | None":
        """The sandbox that this process runs in, if any."""
        name = os.environ.get(NAME_VARIABLE)
        return cls(name) if name else None

    @property
    def folder(self) -> Folder:
        return Folder.of(self.name)

    def known_hosts_path(self) -> Path:
        """The host keys that the disks have now, by name and address; written anew by `wipe`."""
        return self.folder.known_hosts

    def key_path(self) -> Path:
        """The private key that all users of all hosts accept."""
        return self.folder.key

    def ssh_config_path(self) -> Path:
        """A configuration for ssh(1) with this key and these host keys."""
        return self.folder.ssh_config

    def is_up(self) -> bool:
        """Whether the sandbox answers; one that is dying does not."""
        try:
            self.list_hosts()
        except SandboxError:
            return False
        return True

    def up(
        self,
        names: Sequence[str],
        init: Mapping[str, str] | None = None,
        share: Path | None = None,
        tell: Callable[[str], None] = _tell,
    ) -> tuple[HostState, ...]:
        """Boot hosts of these names at 10.77.0.11 and on; returns when every sshd answers.

        `init` names the hosts that boot something else than systemd; `share` is a folder of this machine that
        each host sees read-only at /opt/share. A sandbox that is up with the same hosts is left as it is. When
        this call fails or its process dies, nothing stays.
        """
        spec = self._spec(names, init or {}, share, tell)
        if not self._is_up_with(spec, tell):
            with self._booted(spec, tell) as process:
                process.keep()
        return self.list_hosts()

    def run(
        self,
        names: Sequence[str],
        words: Sequence[str],
        init: Mapping[str, str] | None = None,
        share: Path | None = None,
        tell: Callable[[str], None] = _tell,
    ) -> int:
        """Boot hosts, run a command inside, end the sandbox; the command's exit status (128 + N after signal N).

        The sandbox and the command end with this process, also when it is killed. SandboxError when it is up already.
        """
        with self._booted(self._spec(names, init or {}, share, tell), tell):
            return _wait_for(subprocess.Popen(self.exec_command(words)))

    def down(self) -> None:
        """End every host at once and remove what is left; nothing happens when there is no such sandbox."""
        programs.require()
        with lifetime.locked():
            lifetime.end(self.folder)

    def list_hosts(self) -> tuple[HostState, ...]:
        states = control.ask(self.folder.control, "list", [])
        return tuple(HostState(*state) for state in states) if isinstance(states, list) else ()

    def wipe(self, names: Sequence[str] = ()) -> None:
        """Pull the plug of these hosts (of all when none is named), throw the disks away and boot new ones."""
        control.ask(self.folder.control, "wipe", list(names))

    def cut(self, name: str) -> None:
        """Pull the plug of a host; its disk stays."""
        control.ask(self.folder.control, "cut", [name])

    def start(self, name: str) -> None:
        """Switch a host on; returns when its sshd answers."""
        control.ask(self.folder.control, "start", [name])

    def reboot(self, name: str) -> None:
        """An orderly reboot; returns when sshd of the new boot answers."""
        control.ask(self.folder.control, "reboot", [name])

    def exec_command(self, words: Sequence[str]) -> list[str]:
        """The command line that runs `words` inside: the same files and folder, the sandbox's network and processes."""
        pid = control.listener_pid(self.folder.control)
        if pid is None:
            raise SandboxError(f"sandbox {self.name!r} is not up", next_step="bootstrap sandbox up")
        if lifetime.is_inside(pid):
            return list(words)
        enter = ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", "--ipc", "--uts"]
        variables = {
            NAME_VARIABLE: self.name,
            "BOOTSTRAP_SANDBOX_KEY": str(self.key_path()),
            "BOOTSTRAP_KNOWN_HOSTS": str(self.known_hosts_path()),
        }
        settings = [f"{name}={value}" for name, value in variables.items()]
        return [*enter, "env", f"--chdir={Path.cwd()}", *settings, *words]

    def ssh_command(self, host: str, words: Sequence[str] = ()) -> list[str]:
        """The command line of ssh(1) to `host` or `user@host`, root without a user."""
        return self.exec_command(["ssh", "-F", str(self.folder.ssh_config), host, *words])

    def _spec(
        self, names: Sequence[str], init: Mapping[str, str], share: Path | None, tell: Callable[[str], None]
    ) -> SandboxSpec:
        programs.require()
        hosts = host_specs(names, init)
        if share is not None and not share.is_dir():
            raise SandboxError(f"the folder to share with the hosts does not exist: {share}")
        bases = {kind: str(base.ensure(kind, tell)) for kind in sorted({host.init for host in hosts})}
        return SandboxSpec(hosts, bases, str(share.resolve()) if share else None)

    def _is_up_with(self, spec: SandboxSpec, tell: Callable[[str], None]) -> bool:
        """Whether the sandbox is up; SandboxError when it is up with other hosts than asked for."""
        if not self.is_up():
            return False
        running = SandboxSpec.from_json(self.folder.spec.read_text())
        if (running.hosts, running.share) != (spec.hosts, spec.share):
            names = " ".join(host.name for host in running.hosts)
            raise SandboxError(
                f"sandbox {self.name!r} is up already, with other hosts or share",
                why=f"it has: {names}",
                next_step=self._down_first,
            )
        tell(f"{self.name!r} is up already")
        return True

    @property
    def _down_first(self) -> str:
        return f"bootstrap sandbox down --name {self.name}"

    @contextlib.contextmanager
    def _booted(self, spec: SandboxSpec, tell: Callable[[str], None]) -> Iterator[lifetime.Process1]:
        """A new sandbox with every sshd answering; it ends with the block unless it is told to stay."""
        process = self._begin(spec, tell)
        try:
            control.ask(self.folder.control, "wait", [])
            yield process
        finally:
            process.end()
            if not process.stays:
                self.down()

    def _begin(self, spec: SandboxSpec, tell: Callable[[str], None]) -> lifetime.Process1:
        with lifetime.locked():
            if self.is_up():
                raise SandboxError(f"sandbox {self.name!r} is up already", next_step=self._down_first)
            lifetime.end(self.folder)
            _raise_inotify_limit(tell)
            try:
                _write_run_folder(self.folder, spec)
                return lifetime.begin(self.folder)
            except BaseException:
                lifetime.end(self.folder)
                raise


def _raise_inotify_limit(tell: Callable[[str], None]) -> None:
    """All hosts share the machine's limit; without enough, units of the hosts fail one by one."""
    if int(INOTIFY.read_text()) < INOTIFY_INSTANCES:
        tell(f"raising fs.inotify.max_user_instances of this machine to {INOTIFY_INSTANCES}, until its next boot")
        INOTIFY.write_text(str(INOTIFY_INSTANCES))


def _write_run_folder(folder: Folder, spec: SandboxSpec) -> None:
    folder.path.mkdir(mode=0o700)
    folder.spec.write_text(spec.to_json())
    folder.hosts.write_text(hosts_file(spec.hosts))
    folder.resolv_conf.write_text("nameserver 127.0.0.1\n")  # a closed port: no lookup has to wait
    folder.ssh_config.write_text(ssh_config(folder))
    programs.call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bootstrap-sandbox", "-f", folder.key])


def _wait_for(process: "subprocess.Popen[bytes]") -> int:
    """Exit status of a process. Ctrl-C reaches it from the terminal as well and is its own to answer."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            status = process.wait()
            return status if status >= 0 else 128 - status
