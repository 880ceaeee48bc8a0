"""Connections that break while a command runs: what is unknown is called unknown, and nothing hangs."""

import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_sshd import Relay, Sshd, attempt, end_of, running, tcp_server, wait_for

from bootstrap.errors import ConnectionLostError, DeadlineError, TransportError, UnreachableError
from bootstrap.model import Jump
from bootstrap.transport.ssh import SshTransport, connect


def run_in_thread(
    transport: SshTransport, script: str, deadline: float
) -> tuple[threading.Thread, list[BaseException]]:
    failures: list[BaseException] = []
    thread = threading.Thread(target=attempt, args=(lambda: transport.run(script, deadline=deadline), failures))
    thread.start()
    return thread, failures


@pytest.fixture
def server(make_sshd: Callable[..., Sshd]) -> Sshd:
    return make_sshd()


@pytest.fixture
def lonely(server: Sshd) -> Iterator[SshTransport]:
    transport = connect("box", server.connection(), server.settings())
    yield transport
    transport.close()


def test_a_killed_session_is_a_lost_connection_and_the_outcome_unknown(server: Sshd, lonely: SshTransport) -> None:
    thread, failures = run_in_thread(lonely, "sleep 86421", 60)
    wait_for(lambda: running("sleep 86421"), "the command to start")
    server.signal_sessions(signal.SIGKILL)
    thread.join(25)
    assert [type(failure) for failure in failures] == [ConnectionLostError]
    assert "not known" in str(failures[0])
    end_of("sleep 86421")


def test_a_command_on_a_dead_connection_is_not_run_and_says_so(server: Sshd, lonely: SshTransport) -> None:
    server.signal_sessions(signal.SIGKILL)
    time.sleep(0.3)
    with pytest.raises(UnreachableError) as caught:
        lonely.run("true")
    assert "nothing was run" in str(caught.value)


def test_a_frozen_server_is_given_up_at_the_deadline(server: Sshd, lonely: SshTransport) -> None:
    thread, failures = run_in_thread(lonely, "sleep 86422", 3)
    wait_for(lambda: running("sleep 86422"), "the command to start")
    server.signal_sessions(signal.SIGSTOP)
    thread.join(25)
    assert [type(failure) for failure in failures] == [DeadlineError]
    assert "silent since" in str(failures[0])
    wait_for(lambda: not running("sleep 86422"), "the host to end the command by itself")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life are asked for each second, and three may be missed."""
    from bootstrap.transport import sockets, wire

    monkeypatch.setattr(sockets, "KEEPALIVE", 1)
    monkeypatch.setattr(wire, "MAX_UNANSWERED", 3)


def test_a_frozen_server_is_given_up_without_waiting_for_a_long_deadline(
    impatient: None, server: Sshd, make_sshd: Callable[..., Sshd]
) -> None:
    bastion = make_sshd()
    jump = Jump(bastion.address, bastion.port, "root", (str(bastion.user_key),))
    lines = (f"{bastion.token} {bastion.public_key()}", f"box {server.public_key()}")
    for jumps in ((), (jump,)):
        transport = connect("box", server.connection(jumps=jumps), server.settings(*lines))
        thread, failures = run_in_thread(transport, "sleep 86425", 3600)
        wait_for(lambda: running("sleep 86425"), "the command to start")
        server.signal_sessions(signal.SIGSTOP)
        thread.join(30)
        assert [type(failure) for failure in failures] == [ConnectionLostError]
        transport.close()
        server.signal_sessions(signal.SIGKILL)
        end_of("sleep 86425")
        wait_for(lambda: not server.sessions(), "the session to end")


def test_an_idle_connection_lives_on(impatient: None, server: Sshd) -> None:
    transport = connect("box", server.connection(), server.settings())
    assert transport.run("sleep 6; echo still here", deadline=30).stdout == "still here\n"
    time.sleep(6)
    assert transport.run("echo and here").stdout == "and here\n"
    transport.close()


def test_closing_a_connection_to_a_frozen_server_does_not_hang(server: Sshd, lonely: SshTransport) -> None:
    thread, _ = run_in_thread(lonely, "cat >/dev/null; sleep 30", 60)
    wait_for(lambda: lonely.executions == 1, "the command to start")
    server.signal_sessions(signal.SIGSTOP)
    closing = threading.Thread(target=lonely.close)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
    thread.join(10)
    assert not thread.is_alive()


def test_closing_while_a_large_upload_is_stuck_does_not_hang(server: Sshd, lonely: SshTransport) -> None:
    failures: list[BaseException] = []
    content = b"x" * 50_000_000
    thread = threading.Thread(
        target=attempt, args=(lambda: lonely.run("sleep 86423", stdin=content, deadline=60), failures)
    )
    thread.start()
    wait_for(lambda: running("sleep 86423"), "the command to start")
    server.signal_sessions(signal.SIGSTOP)
    time.sleep(0.5)
    closing = threading.Thread(target=lonely.close)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
    thread.join(10)
    assert [type(failure) for failure in failures] == [ConnectionLostError]
    end_of("sleep 86423")


def test_closing_twice_is_fine(lonely: SshTransport) -> None:
    lonely.close()
    lonely.close()


def test_a_shell_that_is_killed_on_the_host_leaves_the_outcome_unknown(lonely: SshTransport) -> None:
    with pytest.raises(ConnectionLostError) as caught:
        lonely.run("kill -KILL $PPID; sleep 1")
    assert "shell that watched it" in str(caught.value)
    assert lonely.run("echo the connection is still good").ok


def test_a_cut_after_the_answer_costs_nothing(server: Sshd) -> None:
    relay = Relay(server.port)
    with tcp_server(relay.handle) as port:
        transport = connect("box", server.connection(port=port), server.settings(f"box {server.public_key()}"))
        assert transport.run("echo done").stdout == "done\n"
        relay.cut()
        with pytest.raises(TransportError):
            transport.run("true")
        transport.close()


def test_no_thread_of_a_closed_connection_stays(server: Sshd) -> None:
    before = threading.active_count()
    for _ in range(3):
        transport = connect("box", server.connection(), server.settings())
        transport.run("true")
        transport.close()
    wait_for(lambda: threading.active_count() <= before, "the threads to end")


# --- a line that goes dead -----------------------------------------------------------------------


@pytest.fixture
def wire() -> Iterator[tuple[str, str]]:
    """A network namespace behind a cable: its name and its address. Taking `veth-b0` down is pulling the plug."""
    if not shutil.which("ip"):
        pytest.skip("no ip command: apt-get install iproute2")
    name = "bootstrap-wire"
    commands = (
        f"ip netns add {name}",
        f"ip link add veth-b0 type veth peer name veth-b1 netns {name}",
        "ip addr add 198.51.100.1/30 dev veth-b0",
        "ip link set veth-b0 up",
        f"ip -n {name} addr add 198.51.100.2/30 dev veth-b1",
        f"ip -n {name} link set veth-b1 up",
        f"ip -n {name} link set lo up",
    )
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield name, "198.51.100.2"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.slow
def test_a_dead_line_is_noticed_long_before_the_deadline(
    wire: tuple[str, str], make_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    namespace, address = wire
    server = make_sshd(prefix=("ip", "netns", "exec", namespace), address=address)
    transport = connect("box", server.connection(), server.settings())
    thread, failures = run_in_thread(transport, "sleep 86424", 3600)
    wait_for(lambda: running("sleep 86424"), "the command to start")
    subprocess.run(["ip", "link", "set", "veth-b0", "down"], check=True)
    thread.join(60)
    assert [type(failure) for failure in failures] == [ConnectionLostError]
    transport.close()
    end_of("sleep 86424")
