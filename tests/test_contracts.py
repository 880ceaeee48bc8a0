"""The import contracts of pyproject.toml hold, and catch what they are there to catch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or ""
PURE = (
    "model",
    "distros",
    "report",
    "plan.py",
    "facts.py",
    "quorum.py",
    "diffs.py",
    "redact.py",
    "driver.py",
    "operations.py",
    "status.py",
)

pytestmark = pytest.mark.skipif(not LINT, reason="import-linter is not installed: pip install -e '.[dev]'")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "bootstrap", tmp_path / "bootstrap", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(checkout: Path) -> tuple[int, str]:
    done = subprocess.run([LINT, "--no-cache"], cwd=checkout, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_all_contracts_are_kept(checkout: Path) -> None:
    code, text = lint(checkout)
    assert code == 0, text
    assert "0 broken" in text


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("bootstrap/facts.py", "import fabric", "the core is pure"),
        ("bootstrap/distros/k3s/waits.py", "def look() -> None:\n    import subprocess", "the core is pure"),
        (
            "bootstrap/runner.py",
            "def look() -> None:\n    import paramiko",
            "fabric, paramiko and invoke stay in the transport",
        ),
        ("bootstrap/verify.py", "import kubernetes", "the kubernetes client stays in the API"),
        ("bootstrap/plan.py", "from bootstrap.pipeline import apply", "imports point down only"),
        ("bootstrap/observe.py", "import bootstrap.runner", "imports point down only"),
        ("bootstrap/unlisted.py", "import bootstrap.model", "unlisted"),
        (
            "bootstrap/distros/other.py",
            "from bootstrap.distros.k3s.layout import CONFIG",
            "distributions are unaware of each other",
        ),
    ],
)
def test_a_planted_violation_is_caught(checkout: Path, module: str, line: str, contract: str) -> None:
    path = checkout / module
    path.write_text((path.read_text() if path.exists() else '"""Planted."""\n') + f"\n{line}\n")
    code, text = lint(checkout)
    assert code != 0
    broken = [line for line in text.splitlines() if "BROKEN" in line or "unlisted" in line]
    assert any(contract in line for line in broken), text


def test_the_core_reads_no_address() -> None:
    """urllib.parse is pure and urllib.request is not: import-linter can't tell a package's parts from each other."""
    paths = [
        path
        for name in PURE
        for path in ((ROOT / "bootstrap" / name).rglob("*.py") if "." not in name else [ROOT / "bootstrap" / name])
    ]
    assert len(paths) > 30
    assert [path for path in paths if "urllib.request" in path.read_text() or "urlopen" in path.read_text()] == []
