"""A repository of a user, and the program as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
INVENTORY = """\
schema: bootstrap/v1
cluster: home
distro: k3s
version: v1.36.3+k3s1
ssh: {user: root, port: 1}
hosts:
  c1: {address: 127.0.0.1, role: controller+worker}
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


Program = Callable[..., Answer]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Nobody listens at its host's port."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "inventories" / "home.yaml").write_text(INVENTORY)
    (tmp_path / "known_hosts").write_text("")
    return tmp_path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("BOOTSTRAP", "XDG", "KUBE", "PYTHON"))
    }
    return {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TMPDIR": str(tmp_path)}


@pytest.fixture
def bootstrap(repository: Path, environment: dict[str, str]) -> Program:
    """Runs `bootstrap WORDS` in the repository, without a terminal."""

    def run(*words: str, program: tuple[str, ...] = ("-m", "bootstrap"), stdin: str = "", **more: str) -> Answer:
        done = subprocess.run(
            [sys.executable, *program, *words],
            cwd=repository,
            env={**environment, **more},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr + done.stdout
        return Answer(done.returncode, done.stdout, done.stderr)

    return run
