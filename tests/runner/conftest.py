"""Hosts in folders, under each shell that hosts have."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.model import Secret
from bootstrap.progress import HostLogs
from bootstrap.redact import Redactor
from bootstrap.runner import Runner
from tests.fakes import Machine, Notes, ShellTransport

RUN = "20260101-000000-abcdef"
LEASE = f'{{"run": "{RUN}", "operation": "apply home", "owner": "me", "uptime": "1", "boot_id": "b"}}\n'


@pytest.fixture(scope="session", params=["dash", "busybox"])
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, ...], Path | None]:
    """A shell, and the folder of its commands where it brings them itself."""
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"{request.param} is not installed: apt-get install {request.param}")
    if request.param == "dash":
        return (program,), None
    folder = tmp_path_factory.mktemp("applets")
    for name in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (folder / name).symlink_to(program)
    return (program, "sh"), folder


@pytest.fixture
def machine(tmp_path: Path, shell: tuple[tuple[str, ...], Path | None]) -> Machine:
    """A host on which this run holds the lease."""
    return hold_lease(Machine("h1", tmp_path / "h1", *shell))


def hold_lease(machine: Machine) -> Machine:
    folder = machine.place("/run/bootstrap")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lease").write_text(LEASE)
    return machine


@pytest.fixture
def make_runner(tmp_path: Path) -> Callable[..., Runner]:
    def make(*machines: Machine, **options: object) -> Runner:
        by_name = {machine.name: machine for machine in machines}

        def connect(name: str) -> ShellTransport:
            return by_name[name].connect()

        def fill(text: str, saved: dict[str, Secret]) -> str:
            for name, secret in saved.items():
                text = text.replace(f"${{saved:{name}}}", secret.reveal())
            return text

        def obtain(file: object) -> Path:
            raise AssertionError("nothing is to be uploaded here")

        settings = {
            "connect": connect,
            "run_id": RUN,
            "fill": fill,
            "obtain": obtain,
            "download_on_hosts": False,
            "progress": Notes(),
            "logs": HostLogs(tmp_path / "logs", Redactor()),
            **options,
        }
        return Runner(**settings)  # type: ignore[arg-type]

    return make
