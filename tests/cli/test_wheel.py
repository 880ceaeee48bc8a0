"""What is built can be installed, and brings its templates along."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT

EXAMPLE = ROOT / "examples" / "k3s"
WITHOUT_REGISTRY = "needs a package registry: pip can't install the wheel's dependencies here"

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(words, cwd=cwd, env={**environment, **more}, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_its_templates_and_its_schema(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for template in (ROOT / "templates").rglob("*.j2"):
        assert f"bootstrap/templates/{template.relative_to(ROOT / 'templates')}" in names
    for module in (ROOT / "bootstrap").rglob("*.py"):
        assert str(module.relative_to(ROOT)) in names
    assert "bootstrap/inventory/inventory.schema.json" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/"))]


def test_installed_into_an_empty_environment_it_renders_the_example(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    made = run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    installed = run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=tmp_path)
    if "No matching distribution" in installed.stderr or "Connection" in installed.stderr:
        pytest.skip(WITHOUT_REGISTRY)
    assert installed.returncode == 0, installed.stderr
    shutil.copytree(EXAMPLE, tmp_path / "repository", ignore=shutil.ignore_patterns("rendered"))
    program = python.parent / "bootstrap"
    done = run(program, "render", cwd=tmp_path / "repository", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "repository" / "rendered" / "home").iterdir())
    assert written == ["ctl-1", "ctl-2", "ctl-3", "nas-node", "pi-1"]
    assert run(program, "render", "--check", cwd=tmp_path / "repository", HOME=str(tmp_path)).returncode == 0
    assert run(program, "validate", cwd=tmp_path / "repository", HOME=str(tmp_path)).returncode == 0
