"""Small inventories and facts for tests."""

from pathlib import Path
from typing import Any

from bootstrap.inventory import load_inventory
from bootstrap.model import FileFacts, HostFacts, Interface, Inventory, digest
from bootstrap.render import render

HEAD = """\
schema: bootstrap/v1
cluster: home
distro: kubeadm
version: v1.36.3
"""
HOSTS = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12}
  three: {address: 192.168.1.13}
"""


def load(folder: Path, text: str = "", *, head: str = HEAD, hosts: str = HOSTS) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(head + hosts + text)
    return load_inventory(path, {})


def read(inventory: Inventory, uses: list[Any]) -> dict[tuple[str, str], str]:
    """(host, path) -> text of the rendered files."""
    return {(artifact.host, artifact.path): artifact.content for artifact in render(inventory, uses)}


def seen(name: str, address: str = "", files: dict[str, str] | None = None, **fields: Any) -> HostFacts:
    """A host with these files on it."""
    found = {
        path: FileFacts(digest(text), "0644", "root:root", len(text), text) for path, text in (files or {}).items()
    }
    return HostFacts(
        name,
        arch="amd64",
        os="debian 13",
        default_interface="eth0",
        interfaces=(Interface("eth0", (address,)),) if address else (),
        files=found,
        **fields,
    )
