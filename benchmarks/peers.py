"""The tools we are compared with: installed from PyPI into virtual environments of their own, never imported."""

import subprocess
import sys
from pathlib import Path

from platformdirs import user_cache_path

PEERS = {"ansible-core": "ansible-core==2.19.*", "pyinfra": "pyinfra==3.*"}
PROGRAMS = {"ansible-core": "ansible-playbook", "pyinfra": "pyinfra"}


def install_peer(name: str) -> Path:
    """The folder with the peer's programs; made once and kept in the cache. Raises CalledProcessError without a network."""
    folder = user_cache_path("bootstrap") / "benchmarks" / name
    if not (folder / "bin" / PROGRAMS[name]).exists():
        print(f"installing {PEERS[name]} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "pip", "--quiet", "--disable-pip-version-check", "install", PEERS[name]]
        subprocess.run(pip, check=True)
    return folder / "bin"


def version_of(name: str, bin_folder: Path) -> str:
    show = [bin_folder / "pip", "--disable-pip-version-check", "show", name]
    lines = subprocess.run(show, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Version:"))
