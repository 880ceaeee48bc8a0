"""Small inventories for tests."""

from pathlib import Path
from typing import Any

from bootstrap.inventory import load_inventory
from bootstrap.model import Inventory
from bootstrap.render import render

HEAD = """\
schema: bootstrap/v1
cluster: home
distro: microk8s
version: "1.36"
"""
HOSTS = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12}
"""


def load(folder: Path, text: str = "", *, version: str = "1.36", hosts: str = HOSTS) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(HEAD.replace("1.36", version) + hosts + text)
    return load_inventory(path, {})


def read(inventory: Inventory, uses: list[Any]) -> dict[tuple[str, str], str]:
    """(host, path) -> text of the rendered files."""
    return {(artifact.host, artifact.path): artifact.content for artifact in render(inventory, uses)}
