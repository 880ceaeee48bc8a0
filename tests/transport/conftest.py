"""Servers for the transport's tests: a private sshd for the whole session, or one for a test that breaks it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_sshd import Sshd

from bootstrap.transport.ssh import SshTransport, connect


def _need_sshd() -> None:
    if os.geteuid() != 0:
        pytest.skip("a private sshd that lets root in needs root")
    if not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        pytest.skip("no sshd on this machine: apt-get install openssh-server")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that no test may change."""
    _need_sshd()
    server = Sshd.make(tmp_path_factory.mktemp("sshd") / "server")
    yield server
    server.stop()


@pytest.fixture
def make_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Servers of the test's own."""
    _need_sshd()
    servers: list[Sshd] = []

    def make(*options: str, **more: object) -> Sshd:
        servers.append(Sshd.make(tmp_path / f"sshd-{len(servers)}", *options, **more))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def box(sshd: Sshd) -> Iterator[SshTransport]:
    """A connection to the session's server."""
    transport = connect("box", sshd.connection(), sshd.settings())
    yield transport
    transport.close()
