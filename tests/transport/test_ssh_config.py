"""The way to a host, made of the inventory and ~/.ssh/config."""

import getpass
from pathlib import Path

import pytest

from bootstrap.errors import BootstrapError
from bootstrap.model import Connection, Jump
from bootstrap.transport.ssh_config import Hop, SshConfig, load, resolve


def config(tmp_path: Path, text: str) -> SshConfig:
    (tmp_path / "config").write_text(text)
    return load(tmp_path / "config")


def target(tmp_path: Path, text: str, connection: Connection) -> Hop:
    return resolve("pi-1", connection, config(tmp_path, text))[-1]


def test_without_a_file_ssh_defaults_hold() -> None:
    (hop,) = resolve("pi-1", Connection("192.168.1.11"), SshConfig())
    assert (hop.address, hop.port, hop.user) == ("192.168.1.11", 22, getpass.getuser())
    assert hop.names == ("pi-1", "192.168.1.11")


def test_an_alias_brings_name_user_port_and_keys(tmp_path: Path) -> None:
    text = "Host attic\n  HostName 192.168.1.11\n  User ops\n  Port 2222\n  IdentityFile ~/.ssh/attic\n  IdentitiesOnly yes\n"
    hop = target(tmp_path, text, Connection("attic"))
    assert (hop.address, hop.port, hop.user, hop.identities_only) == ("192.168.1.11", 2222, "ops", True)
    assert hop.identity_files == (str(Path("~/.ssh/attic").expanduser()),)
    assert hop.names == ("pi-1", "[192.168.1.11]:2222", "[attic]:2222")


def test_the_inventory_wins_over_the_configuration(tmp_path: Path) -> None:
    text = "Host *\n  User nobody\n  Port 2222\n  IdentityFile /etc/none\n  ProxyJump elsewhere\n"
    given = Connection("10.0.0.1", port=22, user="ops", identity_files=("/keys/a",), jumps=(Jump("bastion"),))
    jump, hop = resolve("pi-1", given, config(tmp_path, text))
    assert (hop.port, hop.user, hop.identity_files, hop.identities_only) == (22, "ops", ("/keys/a",), True)
    assert (jump.address, jump.port, jump.user) == ("bastion", 2222, "nobody")
    assert (jump.names, hop.names) == (("[bastion]:2222",), ("pi-1", "10.0.0.1"))


def test_a_jump_chain_of_the_configuration_is_taken_hop_by_hop(tmp_path: Path) -> None:
    text = "Host inner\n  HostName 10.9.9.9\n  User jim\nHost pi\n  ProxyJump joe@outer:2200,inner,[fd00::5]:2201\n"
    hops = resolve("pi-1", Connection("pi"), config(tmp_path, text))
    assert [(hop.address, hop.port) for hop in hops] == [
        ("outer", 2200),
        ("10.9.9.9", 22),
        ("fd00::5", 2201),
        ("pi", 22),
    ]
    assert [hop.user for hop in hops[:2]] == ["joe", "jim"]


def test_proxyjump_none_means_no_jump(tmp_path: Path) -> None:
    assert (
        len(resolve("pi-1", Connection("pi"), config(tmp_path, "Host pi\n ProxyJump none\nHost *\n ProxyJump b\n")))
        == 1
    )


def test_proxycommand_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError) as caught:
        resolve("pi-1", Connection("pi"), config(tmp_path, "Host pi\n  ProxyCommand nc %h %p\n"))
    assert "ProxyCommand is not supported" in str(caught.value)
    assert "ProxyJump" in str(caught.value)


def test_included_files_count_and_the_block_goes_on_after_them(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("Host attic\n  HostName 10.0.0.5\n")
    text = "Host pi\n  Include conf.d/*.conf\n  Port 2222\n"
    assert target(tmp_path, text, Connection("pi")).port == 2222
    assert target(tmp_path, "Include conf.d/*.conf\nPort 2223\n", Connection("pi")).port == 2223
    assert target(tmp_path, "Include conf.d/*.conf\n", Connection("attic")).address == "10.0.0.5"


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="can't be read"):
        config(tmp_path, "Include config\n")


def test_a_file_that_can_not_be_parsed_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError) as caught:
        config(tmp_path, "Host\n\tnonsense\n")
    assert str(tmp_path / "config") in str(caught.value)


def test_agent_forwarding_in_the_configuration_changes_nothing(tmp_path: Path) -> None:
    with_it = target(tmp_path, "Host *\n  ForwardAgent yes\n", Connection("pi"))
    assert with_it == target(tmp_path, "", Connection("pi"))


@pytest.mark.parametrize(
    "text", ["Host pi\n  Port ssh\n", "Host pi\n  ProxyJump joe@b:none\n", "Host pi\n  Port 70000\n"]
)
def test_what_is_no_port_is_an_error_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(BootstrapError) as caught:
        resolve("pi-1", Connection("pi"), config(tmp_path, text))
    assert f"{tmp_path}/config, Host pi" in str(caught.value)
    assert "not a port" in str(caught.value)


def test_an_identity_file_called_none_is_none(tmp_path: Path) -> None:
    assert target(tmp_path, "Host *\n  IdentityFile none\n", Connection("pi")).identity_files == ()
