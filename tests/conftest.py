"""What all tests share: the sandbox that the test run was started in."""

import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

from bootstrap.sandbox import Sandbox


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every program that the tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A busy machine is no failure: how long one example takes is asserted nowhere.
    hypothesis.settings.register_profile("patient", deadline=None)
    hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options stand here: pytest reads no other conftest before it reads its command line."""
    parser.addoption("--update-golden", action="store_true", help="write the rendered folders of tests/golden/ anew")
    parser.addoption("--update-report", action="store_true", help="write tests/report/golden/ anew")


NOT_INSIDE = "not inside a sandbox: `make test` runs these inside `bootstrap sandbox run`"


@dataclass(frozen=True)
class SandboxHosts:
    """The hosts around this test run; all of it works inside the sandbox only."""

    sandbox: Sandbox

    @property
    def names(self) -> list[str]:
        return [state.name for state in self.sandbox.list_hosts()]

    @property
    def key_path(self) -> Path:
        return self.sandbox.key_path()

    @property
    def known_hosts_path(self) -> Path:
        return self.sandbox.known_hosts_path()

    def address(self, name: str) -> str:
        return next(state.address for state in self.sandbox.list_hosts() if state.name == name)

    def ssh(self, host: str, script: str, *, check: bool = True, timeout: float = 120) -> str:
        """Run a script as root on a host, past the product's own transport."""
        command = self.sandbox.ssh_command(host, ["sh", "-s"])
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{host}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def wipe(self, *names: str) -> None:
        self.sandbox.wipe(names)


@pytest.fixture(scope="session")
def sandbox_hosts() -> SandboxHosts:
    current = Sandbox.current()
    if current is None or not current.is_up():
        pytest.skip(NOT_INSIDE)
    return SandboxHosts(current)
