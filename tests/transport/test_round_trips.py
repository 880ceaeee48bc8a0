"""How often the line is crossed, counted on the line; and that the parts which cost time are done once."""

import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from private_sshd import Relay, Sshd, tcp_server

from bootstrap.transport import sockets
from bootstrap.transport.ssh import SshTransport, connect

DELAY = 0.15  # seconds each way: no answer comes before we have said all that we say without waiting

# RFC 4250, section 4.1: global request, window adjustment, close - what is said on the side and never waited for
ASIDE = {80, 93, 97}


class Ledger:
    """What our side of the protocol says and hears, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def said(self, kind: int) -> None:
        if kind not in ASIDE:
            self.events.append("said")

    def heard(self) -> None:
        self.events.append("heard")

    def turns(self) -> int:
        """How often we spoke after having listened: each time costs a round trip."""
        return sum(now == "said" and before == "heard" for before, now in pairwise(["heard", *self.events]))


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    from paramiko.packet import Packetizer

    kept = Ledger()
    send, read = Packetizer.send_message, Packetizer.read_message

    def send_message(self: Packetizer, data: Any) -> None:
        kept.said(data.asbytes()[0])
        send(self, data)

    def read_message(self: Packetizer) -> Any:
        found = read(self)
        kept.heard()
        return found

    monkeypatch.setattr(Packetizer, "send_message", send_message)
    monkeypatch.setattr(Packetizer, "read_message", read_message)
    return kept


@pytest.fixture
def slow_line(sshd: Sshd) -> Iterator[SshTransport]:
    relay = Relay(sshd.port, DELAY)
    with tcp_server(relay.handle) as port:
        transport = connect("box", sshd.connection(port=port), sshd.settings(f"box {sshd.public_key()}"))
        yield transport
        transport.close()


def test_connect_and_the_first_command_cross_the_line_ten_times_at_most(
    ledger: Ledger, slow_line: SshTransport
) -> None:
    slow_line.run("echo first", stdin=b"x" * 20_000)
    before_the_first_message = 2  # TCP's handshake and the banner
    assert before_the_first_message + ledger.turns() <= 10


def test_a_further_command_with_its_input_crosses_the_line_twice(slow_line: SshTransport, ledger: Ledger) -> None:
    slow_line.run("true")
    for _ in range(3):
        ledger.events.clear()
        slow_line.run("cat", stdin=b"x" * 20_000)
        assert ledger.turns() == 2


def test_a_small_file_crosses_the_line_twice(slow_line: SshTransport, ledger: Ledger, tmp_path: Path) -> None:
    slow_line.run("true")
    ledger.events.clear()
    slow_line.put(b"x" * 20_000, str(tmp_path / "file"), sha256=hashlib.sha256(b"x" * 20_000).hexdigest())
    assert ledger.turns() == 2


def test_the_plain_way_of_the_library_would_cross_it_more_often(slow_line: SshTransport, ledger: Ledger) -> None:
    slow_line.run("true")
    ledger.events.clear()
    stdin, stdout, _ = slow_line._chain[-1].client.exec_command("cat")
    stdin.write(b"x" * 20_000)
    stdin.channel.shutdown_write()
    stdout.read()
    assert ledger.turns() > 2


def test_our_sockets_do_not_wait(sshd: Sshd) -> None:
    with sockets.open_socket(sshd.address, sshd.port, 5) as sock:
        option = lambda name: sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))  # noqa: E731
        assert option("TCP_NODELAY") == 1
        assert option("TCP_USER_TIMEOUT") == 15_000
        assert option("TCP_KEEPIDLE") == 5
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sockets.peek(sock, 5).startswith(b"SSH-2.0")


def test_quick_acknowledgement_is_set_again_at_each_read(sshd: Sshd) -> None:
    with sockets.open_socket(sshd.address, sshd.port, 5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        sock.recv(4)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK) == 1


def test_bulk_goes_by_the_cheapest_cipher(sshd: Sshd) -> None:
    transport = connect("box", sshd.connection(), sshd.settings())
    assert transport._chain[-1].transport.local_cipher == "aes128-gcm@openssh.com"
    transport.close()


def test_many_connections_share_files_and_settings(make_sshd: Callable[..., Sshd]) -> None:
    import paramiko

    server = make_sshd()
    settings = server.settings()
    loaded: list[object] = []
    original = paramiko.PKey.from_path
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paramiko.PKey, "from_path", lambda *args: loaded.append(args) or original(*args))
        for _ in range(4):
            connect("box", server.connection(), settings).close()
    assert len(loaded) == 1


def test_importing_the_transport_imports_neither_fabric_nor_paramiko() -> None:
    script = (
        "import sys, bootstrap.transport.ssh, bootstrap.transport.local, bootstrap.trust;"
        "print([name for name in ('fabric', 'invoke', 'paramiko', 'cryptography', 'stamina') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
