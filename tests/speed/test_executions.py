"""A look at a host, and so a run that changes nothing, is one connection and one execution, counted on a real sshd."""

from collections.abc import Sequence

from private_sshd import Sshd

from bootstrap.connections import Connections
from bootstrap.distros import find_driver
from bootstrap.facts import shared_probes
from bootstrap.model import Connection, Host, Inventory, Probe, Role
from bootstrap.observe import observe
from bootstrap.transport.ssh import SshTransport, connect

MANY = tuple(f"/etc/bootstrap-no-such-file-{index}" for index in range(40))


def count(server: Sshd, probes: dict[str, Sequence[Probe]]) -> tuple[dict[str, int], int]:
    """Look at all hosts; executions by host, and connections in all."""
    settings = server.settings()
    opened: list[SshTransport] = []

    def open_one(name: str) -> SshTransport:
        opened.append(connect(name, server.connection(), settings))
        return opened[-1]

    pool = Connections(open_one)
    try:
        facts, failed = observe(pool.get, probes)
        assert not failed
        assert set(facts) == set(probes)
    finally:
        pool.close()
    return {transport.host: transport.executions for transport in opened}, len(opened)


def test_each_host_costs_one_connection_and_one_execution(sshd: Sshd) -> None:
    names = [f"h{index}" for index in range(5)]
    executions, connections = count(
        sshd, {name: shared_probes(("/etc/hostname",), ("/bin/sh",), ("ssh",)) for name in names}
    )
    assert executions == dict.fromkeys(names, 1)
    assert connections == len(names)


def test_more_files_and_services_cost_no_more_executions(sshd: Sshd) -> None:
    executions, _ = count(sshd, {"h1": shared_probes(MANY, MANY, [f"unit-{index}" for index in range(40)])})
    assert executions == {"h1": 1}


def test_all_probes_of_a_k3s_controller_are_one_execution(sshd: Sshd) -> None:
    host = Host("h1", Connection("192.0.2.1"), Role.CONTROLLER_WORKER)
    inventory = Inventory("home.yaml", "home", "k3s", "v1.36.3+k3s1", (host,))
    executions, connections = count(sshd, {"h1": find_driver("k3s").probes(inventory, host)})
    assert (executions, connections) == ({"h1": 1}, 1)


def test_a_second_look_uses_the_connection_of_the_first(sshd: Sshd) -> None:
    settings = sshd.settings()
    opened: list[SshTransport] = []

    def open_one(name: str) -> SshTransport:
        opened.append(connect(name, sshd.connection(), settings))
        return opened[-1]

    pool = Connections(open_one)
    probes = {"h1": shared_probes((), (), ())}
    for _ in range(2):
        observe(pool.get, probes)
    pool.close()
    assert [transport.executions for transport in opened] == [2]


def test_an_answer_comes_in_few_pieces(sshd: Sshd) -> None:
    """Each piece is a packet that is decrypted and handed from thread to thread here."""
    from paramiko.channel import Channel

    pieces: list[int] = []
    original = Channel._feed
    try:
        Channel._feed = lambda self, message: (pieces.append(1), original(self, message))[1]  # type: ignore[method-assign]
        count(sshd, {"h1": shared_probes(MANY, MANY, ("ssh",))})
    finally:
        Channel._feed = original
    assert len(pieces) <= 6
