"""An sshd on loopback that is ended after the tests."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "transport"))

from private_sshd import Sshd


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if os.geteuid() != 0:
        pytest.skip("a private sshd that lets root in needs root")
    if not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        pytest.skip("no sshd on this machine: apt-get install openssh-server")
    server = Sshd.make(tmp_path_factory.mktemp("speed") / "server")
    yield server
    server.stop()
