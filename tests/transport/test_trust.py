"""Looking at host keys without logging in, and pinning them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from private_sshd import HOST, Sshd, free_port, tcp_server

from bootstrap import trust
from bootstrap.errors import BootstrapError, HostKeyError, UnreachableError
from bootstrap.model import Jump
from bootstrap.transport import known_hosts
from bootstrap.transport.ssh import connect


def test_a_scan_shows_what_the_server_shows_and_logs_in_nowhere(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd(keys=("rsa", "ecdsa", "ed25519"))
    found = trust.scan("box", server.connection(), server.settings("# nothing"))
    assert found.line == f"box,{server.token} {server.public_key('ed25519')}"
    assert found.fingerprint.startswith("SHA256:")
    assert not found.is_pinned
    assert not found.is_changed
    assert "userauth-request" not in server.log


def test_a_server_without_ed25519_shows_what_it_has(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd(keys=("rsa",))
    assert trust.scan("box", server.connection(), server.settings("#")).key.type == "ssh-rsa"


def test_scan_pin_connect(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd()
    settings = server.settings("# pinned keys")
    path = server.folder / "known_hosts"
    trust.pin(path, trust.scan("box", server.connection(), settings))
    pinned = replace(settings, known_hosts=known_hosts.load(path))
    connect("box", server.connection(), pinned).close()
    assert trust.scan("box", server.connection(), pinned).is_pinned
    assert path.read_text() == f"# pinned keys\nbox,{server.token} {server.public_key()}\n"


def test_another_key_needs_the_explicit_word(make_sshd: Callable[..., Sshd]) -> None:
    old, new = make_sshd(), make_sshd()
    settings = new.settings(f"box,{old.token} {old.public_key()}")
    path = new.folder / "known_hosts"
    found = trust.scan("box", new.connection(), settings)
    assert found.is_changed
    before = path.read_text()
    with pytest.raises(HostKeyError) as caught:
        trust.pin(path, found)
    assert "bootstrap trust --replace box" in str(caught.value)
    assert found.fingerprint in str(caught.value)
    assert path.read_text() == before
    trust.pin(path, found, overwrite=True)
    assert path.read_text() == f"box,{new.token} {new.public_key()}\n"


def test_a_pin_written_by_someone_else_meanwhile_is_not_overwritten(make_sshd: Callable[..., Sshd]) -> None:
    old, new = make_sshd(), make_sshd()
    found = trust.scan("box", new.connection(), new.settings("#"))
    path = new.folder / "known_hosts"
    path.write_text(f"box {old.public_key()}\n")
    with pytest.raises(HostKeyError):
        trust.pin(path, found)


def test_jumps_come_first_and_the_target_is_scanned_through_them(make_sshd: Callable[..., Sshd]) -> None:
    bastion, target = make_sshd(), make_sshd()
    jump = Jump(bastion.address, bastion.port, "root", (str(bastion.user_key),))
    connection = target.connection(jumps=(jump,))
    settings = target.settings("#")
    path = target.folder / "known_hosts"
    for name, way in trust.hops("box", connection, settings):
        settings = replace(settings, known_hosts=known_hosts.load(path))
        trust.pin(path, trust.scan(name, way, settings))
    assert path.read_text().splitlines() == [
        "#",
        f"{bastion.token} {bastion.public_key()}",
        f"box,{target.token} {target.public_key()}",
    ]
    connect("box", connection, replace(settings, known_hosts=known_hosts.load(path))).close()
    assert f"port {target.port}" in bastion.log


def test_the_target_can_not_be_scanned_through_an_unpinned_jump(make_sshd: Callable[..., Sshd]) -> None:
    bastion, target = make_sshd(), make_sshd()
    connection = target.connection(jumps=(Jump(bastion.address, bastion.port, "root"),))
    with pytest.raises(HostKeyError):
        trust.scan("box", connection, target.settings("#"))
    assert "Connection from" not in bastion.log


def test_a_server_that_is_not_there_is_unreachable(sshd: Sshd) -> None:
    with pytest.raises(UnreachableError):
        trust.scan("box", sshd.connection(port=free_port()), sshd.settings())
    with tcp_server(lambda sock: sock.recv(1000)) as port, pytest.raises(UnreachableError, match="no SSH banner"):
        trust.scan("box", sshd.connection(address=HOST, port=port, connect_timeout=1.0), sshd.settings())


def test_a_file_that_can_not_be_written_is_an_error_and_stays(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = make_sshd()
    found = trust.scan("box", server.connection(), server.settings("#"))
    with pytest.raises(BootstrapError, match="can't be written"):
        trust.pin(tmp_path / "none" / "known_hosts", found)
    (tmp_path / "known_hosts").write_text("not an entry\n")
    with pytest.raises(BootstrapError, match="known_hosts:1"):
        trust.pin(tmp_path / "known_hosts", found)
    assert sorted(path.name for path in tmp_path.glob("*known*")) == ["known_hosts"]
