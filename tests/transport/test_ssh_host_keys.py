"""Pinned host keys against a real sshd: a wrong one is refused before anything of ours is offered."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from private_sshd import HOST, Sshd, make_key

from bootstrap.errors import HostKeyError
from bootstrap.model import Jump
from bootstrap.transport.known_hosts import parse_line
from bootstrap.transport.ssh import connect


def other_key(tmp_path: Path, kind: str = "ed25519") -> str:
    make_key(tmp_path / f"other_{kind}", kind)
    return " ".join((tmp_path / f"other_{kind}.pub").read_text().split()[:2])


def fingerprint(text: str) -> str:
    line = parse_line(f"x {text}")
    assert line
    return line.key.fingerprint


def refusal(server: Sshd, *lines: str) -> str:
    with pytest.raises(HostKeyError) as caught:
        connect("box", server.connection(), server.settings(*lines))
    return str(caught.value)


def test_the_pinned_key_is_accepted_by_name_by_address_and_hashed(sshd: Sshd) -> None:
    for line in (f"box {sshd.public_key()}", f"{sshd.token} {sshd.public_key()}"):
        connect("box", sshd.connection(), sshd.settings(line)).close()
    settings = sshd.settings(f"{sshd.token} {sshd.public_key()}")
    path = sshd.folder / "known_hosts"
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert path.read_text().startswith("|1|")
    settings = sshd.settings(path.read_text().strip())
    connect("box", sshd.connection(), settings).close()


def test_without_a_pin_nothing_is_sent_at_all(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd()
    message = refusal(server, "# nothing")
    assert "no host key is pinned" in message
    assert "bootstrap trust box" in message
    assert "Connection from" not in server.log


def test_a_wrong_key_is_refused_before_authentication_with_both_prints(
    make_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    server = make_sshd()
    wrong = other_key(tmp_path)
    message = refusal(server, f"box,{server.token} {wrong}")
    assert fingerprint(wrong) in message
    assert fingerprint(server.public_key()) in message
    assert "bootstrap trust --replace box" in message
    assert "Connection from" in server.log
    assert "userauth-request" not in server.log


def test_the_log_does_show_an_authentication_when_there_is_one(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd()
    connect("box", server.connection(), server.settings()).close()
    assert "userauth-request" in server.log


def test_the_name_of_the_inventory_decides_and_not_another_hosts_line_for_the_address(
    sshd: Sshd, tmp_path: Path
) -> None:
    right, wrong = sshd.public_key(), other_key(tmp_path)
    connect("box", sshd.connection(), sshd.settings(f"other,{sshd.token} {wrong}", f"box {right}")).close()
    assert "not the pinned one" in refusal(sshd, f"other,{sshd.token} {right}", f"box {wrong}")


def test_a_server_with_several_keys_is_asked_for_the_pinned_type(make_sshd: Callable[..., Sshd]) -> None:
    server = make_sshd(keys=("ed25519", "ecdsa", "rsa"))
    for kind in ("rsa", "ecdsa", "ed25519"):
        connect("box", server.connection(), server.settings(f"box {server.public_key(kind)}")).close()


def test_two_pins_of_a_host_are_both_good(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = make_sshd(keys=("ecdsa",))
    lines = (f"box {other_key(tmp_path)}", f"box {server.public_key('ecdsa')}")
    connect("box", server.connection(), server.settings(*lines)).close()


def test_a_server_that_lost_the_pinned_type_is_a_changed_key(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = make_sshd(keys=("rsa",))
    message = refusal(server, f"box {other_key(tmp_path)}")
    assert fingerprint(server.public_key("rsa")) in message
    assert "ssh-rsa" in message


def test_a_revoked_key_is_refused_though_it_is_pinned(sshd: Sshd) -> None:
    message = refusal(sshd, f"box {sshd.public_key()}", f"@revoked * {sshd.public_key()}")
    assert "revoked" in message


def test_a_server_that_offers_a_revoked_key_is_told_apart_from_a_reinstalled_one(sshd: Sshd, tmp_path: Path) -> None:
    message = refusal(sshd, f"box {other_key(tmp_path)}", f"@revoked {sshd.token} {sshd.public_key()}")
    assert "offers a host key that is revoked" in message


def test_a_certificate_authority_is_refused_as_unsupported(sshd: Sshd) -> None:
    message = refusal(sshd, f"@cert-authority * {sshd.public_key()}")
    assert "@cert-authority" in message
    assert "not supported" in message


def test_a_pin_of_an_unknown_type_is_named_and_harmless_beside_a_known_one(sshd: Sshd) -> None:
    body = b"ssh-dss"
    blob = len(body).to_bytes(4, "big") + body + b"\0\0\0\1x"
    old = f"box ssh-dss {base64.b64encode(blob).decode()}"
    assert "not supported" in refusal(sshd, old)
    connect("box", sshd.connection(), sshd.settings(old, f"box {sshd.public_key()}")).close()


def test_a_server_on_another_port_of_the_same_address_is_another_server(
    make_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    bastion, target = make_sshd(), make_sshd()
    lines = (
        f"{HOST} {other_key(tmp_path)}",  # whatever listens on port 22 there
        f"{bastion.token} {bastion.public_key()}",
        f"{target.token} {target.public_key()}",
    )
    jump = Jump(bastion.address, bastion.port, "root", (str(bastion.user_key),))
    connect("box", target.connection(jumps=(jump,)), target.settings(*lines)).close()
