"""What every tool finds already done on a host: a binary of 1 MB, three files, a service, four kernel settings."""

import hashlib
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

SETTINGS = ("kernel.pid_max", "vm.swappiness", "fs.file-max", "net.ipv4.ip_forward")
SERVICE = "k3s"
# The service's state in systemd's words; a machine without systemd has none, which is a state too.
SERVICE_SCRIPT = (
    f"if [ -d /run/systemd/system ]; then systemctl show --property=ActiveState {SERVICE}.service; else echo none; fi"
)


@dataclass(frozen=True)
class State:
    """Paths and contents; all hosts are one machine, so each lies there once."""

    binary: Path
    sha256: str
    size: int
    files: dict[str, tuple[str, str]]  # path -> content, mode
    settings: dict[str, str]
    service: str  # what SERVICE_SCRIPT prints


def make_state(folder: Path) -> State:
    """Write the files as root; what the kernel and the init system have is taken as it is."""
    folder.mkdir()
    content = random.Random(1).randbytes(1_000_000)
    binary = folder / "program"
    binary.write_bytes(content)
    binary.chmod(0o755)
    files = {
        str(folder / "config.yaml"): ("disable:\n- traefik\nwrite-kubeconfig-mode: '0600'\n" * 10, "0600"),
        str(folder / "registries.yaml"): ("mirrors: {}\n" * 20, "0600"),
        str(folder / "install.sh"): ("#!/bin/sh\nset -eu\nexit 0\n" * 40, "0755"),
    }
    for path, (text, mode) in files.items():
        Path(path).write_text(text)
        os.chmod(path, int(mode, 8))
    settings = {name: Path("/proc/sys", *name.split(".")).read_text().strip() for name in SETTINGS}
    asked = subprocess.run(["sh", "-c", SERVICE_SCRIPT], check=True, capture_output=True, text=True)
    return State(binary, hashlib.sha256(content).hexdigest(), len(content), files, settings, asked.stdout.strip())
