"""Each way not to reach a host has its own words."""

import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
from private_sshd import HOST, Relay, Sshd, attempt, free_port, tcp_server

from bootstrap.errors import TransportError, UnreachableError
from bootstrap.transport.ssh import connect


def failure(sshd: Sshd, **more: object) -> str:
    with pytest.raises(UnreachableError) as caught:
        connect("box", sshd.connection(connect_timeout=2.0, **more), sshd.settings(f"box {sshd.public_key()}"))
    return str(caught.value)


def test_a_closed_port_refuses(sshd: Sshd) -> None:
    port = free_port()
    assert f"{HOST}:{port} refused the connection" in failure(sshd, port=port)


def test_a_name_that_does_not_exist_is_not_found(sshd: Sshd) -> None:
    assert "the name in no-such-host.invalid:22 is not found" in failure(sshd, address="no-such-host.invalid", port=22)


def test_a_machine_that_is_off_did_not_answer(sshd: Sshd) -> None:
    listener = socket.create_server((HOST, 0), backlog=0)
    waiting = [socket.socket() for _ in range(3)]
    for sock in waiting:  # a full queue: the kernel drops every further SYN
        sock.setblocking(False)
        sock.connect_ex((HOST, listener.getsockname()[1]))
    try:
        assert "did not answer within 2 s" in failure(sshd, port=listener.getsockname()[1])
    finally:
        for sock in (listener, *waiting):
            sock.close()


def test_an_unroutable_address_has_no_route(sshd: Sshd) -> None:
    if not shutil.which("ip"):
        pytest.skip("no ip command: apt-get install iproute2")
    subprocess.run(["ip", "route", "replace", "unreachable", "203.0.113.77/32"], check=True)
    try:
        assert "no route to 203.0.113.77:22" in failure(sshd, address="203.0.113.77", port=22)
    finally:
        subprocess.run(["ip", "route", "del", "unreachable", "203.0.113.77/32"], check=True)


def test_an_open_port_without_a_banner_is_told_apart(sshd: Sshd) -> None:
    with tcp_server(lambda sock: sock.recv(1000)) as port:
        assert "port open, no SSH banner in 2 s" in failure(sshd, port=port)


def test_a_port_of_another_service_is_told_apart(sshd: Sshd) -> None:
    with tcp_server(lambda sock: [sock.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 200), sock.recv(1000)]) as port:
        assert "handshake" in failure(sshd, port=port)


def test_a_server_that_always_hangs_up_is_tried_for_the_connect_timeout(sshd: Sshd) -> None:
    tries: list[socket.socket] = []
    with tcp_server(lambda sock: [tries.append(sock), sock.close()]) as port:
        assert "closes the connection before the SSH banner" in failure(sshd, port=port)
    assert len(tries) > 2


def test_a_server_that_says_why_is_quoted(sshd: Sshd) -> None:
    with tcp_server(lambda sock: [sock.sendall(b"Exceeded MaxStartups\r\n"), sock.close()]) as port:
        assert "Exceeded MaxStartups" in failure(sshd, port=port)
    with tcp_server(lambda sock: [sock.sendall(b"Not allowed at this time\r\n"), sock.close()]) as port:
        assert "PerSourcePenalties" in failure(sshd, port=port)


def test_a_server_that_hangs_up_at_first_is_reached_in_the_end(sshd: Sshd) -> None:
    relay, tries = Relay(sshd.port), []

    def busy(sock: socket.socket) -> None:
        tries.append(sock)
        if len(tries) < 3:
            sock.close()
        else:
            relay.handle(sock)

    with tcp_server(busy) as port:
        transport = connect("box", sshd.connection(port=port), sshd.settings(f"box {sshd.public_key()}"))
        assert transport.run("echo hello").stdout == "hello\n"
        transport.close()
    assert len(tries) == 3


def test_more_logins_than_a_server_lets_start_all_get_in(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd("MaxStartups 1:100:1")
    settings = server.settings()
    failures: list[BaseException] = []
    work = [
        threading.Thread(
            target=attempt,
            args=(lambda: connect("box", server.connection(connect_timeout=30.0), settings).close(), failures),
        )
        for _ in range(8)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert failures == []
    assert "drop connection" in server.log or "beginning MaxStartups" in server.log, "the limit was never reached"


def test_a_server_that_freezes_in_the_handshake_is_given_up(sshd: Sshd) -> None:
    def freeze(sock: socket.socket) -> None:
        sock.sendall(b"SSH-2.0-Frozen\r\n")
        time.sleep(30)

    with tcp_server(freeze) as port:
        assert "handshake" in failure(sshd, port=port)


def test_a_flipped_bit_on_the_line_is_a_broken_connection_and_nothing_worse(sshd: Sshd) -> None:
    relay = Relay(sshd.port)
    with tcp_server(relay.handle) as port:
        transport = connect("box", sshd.connection(port=port), sshd.settings(f"box {sshd.public_key()}"))
        assert transport.run("echo fine").ok
        relay.bend = lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]
        with pytest.raises(TransportError):
            transport.run("echo not fine")
        transport.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_server_that_talks_nonsense_is_no_traceback(sshd: Sshd, seed: int) -> None:
    nonsense = random.Random(seed).randbytes(5000)
    with tcp_server(lambda sock: [sock.sendall(b"SSH-2.0-OpenSSH_9.9\r\n" + nonsense), sock.close()]) as port:
        assert f"{HOST}:{port}" in failure(sshd, port=port)


@pytest.mark.parametrize("limit", [1, 30, 60, 700, 1500, 1700, 1900, 2200, 2600, 3000, 3600, 4200, 5000])
def test_a_line_that_breaks_after_any_number_of_bytes_is_no_traceback(sshd: Sshd, limit: int) -> None:
    relay, passed = Relay(sshd.port), [0]

    def count(data: bytes) -> bytes:
        passed[0] += len(data)
        if passed[0] > limit:
            relay.cut()
        return data

    def use(port: int) -> None:
        connection = sshd.connection(port=port, connect_timeout=1.0)
        transport = connect("box", connection, sshd.settings(f"box {sshd.public_key()}"))
        for _ in range(10):
            transport.run("true")

    relay.bend = count
    with tcp_server(relay.handle) as port, pytest.raises(TransportError):
        use(port)


def test_a_name_that_can_be_no_name_is_not_found(sshd: Sshd) -> None:
    assert "is not found" in failure(sshd, address="a..b" + "x" * 80, port=22)
