"""Hosts behind other hosts: every hop is pinned, has its own user and keys, and is not overrun."""

import threading
from collections.abc import Callable

import pytest
from private_sshd import Sshd, attempt, make_key

from bootstrap.errors import AuthenticationError, HostKeyError, UnreachableError
from bootstrap.model import Jump
from bootstrap.transport.ssh import connect


@pytest.fixture
def chain(make_sshd: Callable[..., Sshd]) -> tuple[Sshd, Sshd, Sshd]:
    """Two bastions, each with a key of its own, and the target."""
    return make_sshd(), make_sshd(), make_sshd()


def jump(server: Sshd, **more: object) -> Jump:
    given = {"address": server.address, "port": server.port, "user": "root", "identity_files": (str(server.user_key),)}
    return Jump(**{**given, **more})


def pins(*servers: Sshd, target: Sshd) -> tuple[str, ...]:
    return (*(f"{server.token} {server.public_key()}" for server in servers), f"box {target.public_key()}")


def test_a_chain_of_two_is_passed_with_three_different_keys(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, second, target = chain
    connection = target.connection(jumps=(jump(first), jump(second)))
    transport = connect("box", connection, target.settings(*pins(first, second, target=target)))
    assert transport.run("cat", stdin=b"x" * 3_000_000).stdout == "x" * 3_000_000
    assert "direct-tcpip" in first.log
    assert "direct-tcpip" in second.log
    assert f"port {target.port}" in second.log
    transport.close()


def test_an_unpinned_jump_is_refused_before_a_packet_goes_out(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, _, target = chain
    with pytest.raises(HostKeyError) as caught:
        connect("box", target.connection(jumps=(jump(first),)), target.settings(*pins(target=target)))
    assert f"bootstrap trust {first.token}" in str(caught.value)
    assert "Connection from" not in first.log


def test_a_jump_with_another_key_is_refused_before_authentication(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, second, target = chain
    lines = (f"{first.token} {second.public_key()}", f"box {target.public_key()}")
    with pytest.raises(HostKeyError) as caught:
        connect("box", target.connection(jumps=(jump(first),)), target.settings(*lines))
    assert caught.value.host == "box"
    assert first.token in str(caught.value)
    assert "userauth-request" not in first.log


def test_the_target_behind_a_jump_is_pinned_too(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, second, target = chain
    lines = (f"{first.token} {first.public_key()}", f"box {second.public_key()}")
    with pytest.raises(HostKeyError) as caught:
        connect("box", target.connection(jumps=(jump(first),)), target.settings(*lines))
    assert "bootstrap trust --replace box" in str(caught.value)
    assert "userauth-request" not in target.log


def test_the_targets_key_is_not_offered_to_the_jump(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, _, target = chain
    stranger = make_key(first.folder / "stranger")
    connection = target.connection(jumps=(jump(first, identity_files=(str(stranger),)),))
    with pytest.raises(AuthenticationError) as caught:
        connect("box", connection, target.settings(*pins(first, target=target)))
    assert str(stranger) in str(caught.value)
    assert str(target.user_key) not in str(caught.value)
    assert "Connection from" not in target.log


def test_a_target_that_the_jump_can_not_reach_is_told_so(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, _, target = chain
    target.stop()
    with pytest.raises(UnreachableError) as caught:
        connect("box", target.connection(jumps=(jump(first),)), target.settings(*pins(first, target=target)))
    assert f"can't connect to {target.address}:{target.port}" in str(caught.value)


def test_proxyjump_of_the_configuration_is_pinned_as_well(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    first, _, target = chain
    folder = target.folder / "dot-ssh"
    folder.mkdir()
    (folder / "config").write_text(
        f"Host bastion\n  HostName {first.address}\n  Port {first.port}\n  User root\n  IdentityFile {first.user_key}\n"
        f"Host inside\n  HostName {target.address}\n  Port {target.port}\n  ProxyJump bastion\n"
    )
    connection = target.connection(address="inside", port=None)
    with pytest.raises(HostKeyError):
        connect("box", connection, target.settings(*pins(target=target)))
    transport = connect("box", connection, target.settings(*pins(first, target=target)))
    assert transport.run("echo in").stdout == "in\n"
    transport.close()


def test_a_crowd_through_one_bastion_never_meets_its_limit(make_sshd: Callable[..., Sshd]) -> None:
    bastion, target = make_sshd("MaxStartups 10:100:10"), make_sshd("MaxStartups 100")
    settings = target.settings(*pins(bastion, target=target))
    connection = target.connection(jumps=(jump(bastion),), connect_timeout=60.0)
    failures: list[BaseException] = []
    work = [
        threading.Thread(target=attempt, args=(lambda: connect("box", connection, settings).close(), failures))
        for _ in range(16)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert failures == []
    assert "drop connection" not in bastion.log
    assert "beginning MaxStartups" not in bastion.log


def test_closing_ends_the_jumps_too(chain: tuple[Sshd, Sshd, Sshd]) -> None:
    from private_sshd import wait_for

    first, _, target = chain
    transport = connect("box", target.connection(jumps=(jump(first),)), target.settings(*pins(first, target=target)))
    transport.run("true")
    transport.close()
    wait_for(lambda: not first.sessions() and not target.sessions(), "the sessions to end")
