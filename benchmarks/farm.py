"""N hosts that are all this machine: an sshd each, on a loopback address of its own. Needs root and a private network."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PORT = 2200
DEADLINE = 60.0  # seconds for all servers to listen


@dataclass(frozen=True)
class Farm:
    """Running servers; `folder` holds the user's key and known_hosts."""

    folder: Path
    addresses: tuple[str, ...]

    @property
    def key(self) -> Path:
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


def address_of(index: int) -> str:
    return f"127.1.{index // 200}.{index % 200 + 1}"


@contextlib.contextmanager
def start_farm(folder: Path, count: int) -> Iterator[Farm]:
    """Start `count` servers and end them at the end. One host key serves all, as no figure depends on it."""
    folder.mkdir()
    (folder / "home").mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized_keys")
    addresses = tuple(address_of(index) for index in range(count))
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text("".join(f"[{address}]:{PORT} {key}\n" for address in addresses))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    servers = [start_server(folder, address) for address in addresses]
    try:
        wait_until_listening(addresses)
        yield Farm(folder, addresses)
    finally:
        for server in servers:
            server.kill()
        for server in servers:
            server.wait()


def start_server(folder: Path, address: str) -> subprocess.Popen[bytes]:
    """HOME is an empty folder: the rc files of this machine's root are no part of a benchmark."""
    options = [
        f"HostKey {folder}/host",
        f"ListenAddress {address}",
        f"Port {PORT}",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "PermitRootLogin yes",
        "PasswordAuthentication no",
        f"SetEnv HOME={folder}/home",
        "Subsystem sftp internal-sftp",
    ]
    config = folder / f"sshd-{address}"
    config.write_text("\n".join(options) + "\n")
    words = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_listening(addresses: tuple[str, ...]) -> None:
    ends = time.monotonic() + DEADLINE
    for address in addresses:
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, PORT), timeout=1):
                break
            if time.monotonic() > ends:
                raise RuntimeError(f"sshd on {address} does not listen")
            time.sleep(0.05)
