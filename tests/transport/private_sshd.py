"""Real sshd processes on loopback ports, and the TCP servers that misbehave in place of one."""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.model import Connection, Escalation
from bootstrap.transport.settings import SshSettings, load_settings

HOST = "127.0.0.1"


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", path], check=True)
    return path


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited in vain for {what}"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """All descendants of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                child = int(stat.parent.name)
                found += [child, *children(child)]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def running(word: str) -> list[int]:
    """Processes that have the word in their command line."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*") if int(path.name) != os.getpid()]
    return [pid for pid in pids if word in command_of(pid)]


def end_of(word: str) -> None:
    """Ends what a test left running."""
    for pid in running(word):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def attempt(action: Callable[[], object], failures: list[BaseException]) -> None:
    """Run and keep the exception, for threads."""
    try:
        action()
    except Exception as error:
        failures.append(error)


@dataclass
class Sshd:
    """One server with its own host keys; `folder` holds everything it needs."""

    folder: Path
    port: int
    user_key: Path
    prefix: tuple[str, ...] = ()  # words before the command, such as `ip netns exec NAME`
    address: str = HOST
    process: subprocess.Popen[bytes] | None = None
    options: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, *options: str, keys: tuple[str, ...] = ("ed25519",), **more: object) -> "Sshd":
        folder.mkdir()
        (folder / "home").mkdir()
        lines = list(options)
        for kind in keys:
            lines.append(f"HostKey {make_key(folder / f'host_{kind}', kind)}")
        user_key = make_key(folder / "user")
        shutil.copy(folder / "user.pub", folder / "authorized_keys")
        server = cls(folder, free_port(), user_key, options=lines, **more)
        server.start()
        return server

    def start(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        lines = [
            *self.options,
            f"Port {self.port}",
            f"ListenAddress {self.address}",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "LogLevel DEBUG1",
            f"SetEnv HOME={self.home}",  # not root's own: its rc files are no part of a test
        ]
        # the first value counts in sshd_config: what a test asks for stands first
        (self.folder / "config").write_text("\n".join(lines) + "\n")
        log = (self.folder / "log").open("ab")
        words = [*self.prefix, shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "config")]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log, stdout=log)
        wait_for(lambda: "Server listening" in self.log, "sshd to listen")

    @property
    def home(self) -> Path:
        """Where the login shell looks for its rc files."""
        return self.folder / "home"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        if self.process:
            for pid in self.sessions():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGCONT)
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def sessions(self) -> list[int]:
        """The sshd processes of the connections that are open."""
        assert self.process
        return [pid for pid in children(self.process.pid) if command_of(pid).startswith("sshd")]

    def signal_sessions(self, number: int) -> None:
        found = self.sessions()
        assert found, "no session is open"
        for pid in found:
            os.kill(pid, number)

    def public_key(self, kind: str = "ed25519") -> str:
        return " ".join((self.folder / f"host_{kind}.pub").read_text().split()[:2])

    @property
    def token(self) -> str:
        return f"[{self.address}]:{self.port}"

    def settings(self, *lines: str, **more: object) -> SshSettings:
        """Settings with these known_hosts lines, the right pin when none is given."""
        path = self.folder / "known_hosts"
        path.write_text("\n".join(lines or (f"box,{self.token} {self.public_key()}",)) + "\n")
        ssh_folder = self.folder / "dot-ssh"
        ssh_folder.mkdir(exist_ok=True)
        return load_settings(path, **{"ssh_folder": ssh_folder, "agent": False, **more})

    def connection(self, **more: object) -> Connection:
        given = {
            "address": self.address,
            "port": self.port,
            "user": "root",
            "identity_files": (str(self.user_key),),
            "escalation": Escalation.AUTO,
            "connect_timeout": 5.0,
        }
        return Connection(**{**given, **more})


@contextlib.contextmanager
def tcp_server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listening port whose connections go to `handle`, one thread each."""
    with socket.create_server((HOST, 0)) as listener:
        opened: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                opened.append(sock)
                threading.Thread(target=handle, args=(sock,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for sock in opened:
                sock.close()


class Relay:
    """A TCP line to a port that is `delay` seconds long each way, and can be cut or bent."""

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self.port = port
        self.delay = delay
        self.bend: Callable[[bytes], bytes] = lambda data: data
        self.sockets: list[socket.socket] = []

    def handle(self, client: socket.socket) -> None:
        server = socket.create_connection((HOST, self.port))
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets += [client, server]
        self._lay(server, client, lambda data: data)
        self._lay(client, server, lambda data: self.bend(data))

    def _lay(self, source: socket.socket, sink: socket.socket, bend: Callable[[bytes], bytes]) -> None:
        """One direction: what is read now is written `delay` seconds later, and reading goes on meanwhile."""
        line: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def read() -> None:
            data = b"."
            while data:
                try:
                    data = source.recv(1 << 16)
                except OSError:
                    data = b""
                line.put((time.monotonic() + self.delay, data))

        def write() -> None:
            with contextlib.suppress(OSError):
                while True:
                    due, data = line.get()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not data:
                        break
                    sink.sendall(bend(data))
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)

        for action in (read, write):
            threading.Thread(target=action, daemon=True).start()

    def cut(self) -> None:
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
