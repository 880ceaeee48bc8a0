"""Small inventories and facts for tests."""

from pathlib import Path
from typing import Any

from bootstrap.inventory import load_inventory
from bootstrap.model import HostFacts, Interface, Inventory
from bootstrap.render import render

HEAD = """\
schema: bootstrap/v1
cluster: home
distro: k0s
version: v1.36.3+k0s.2
"""
HOSTS = """\
hosts:
  one: {address: 192.168.1.11, role: controller}
  two: {address: 192.168.1.12}
"""
THREE = """\
hosts:
  one: {address: 192.168.1.11, role: controller}
  two: {address: 192.168.1.12, role: controller}
  three: {address: 192.168.1.13, role: controller+worker, k0s: {noTaints: true}}
"""


def load(folder: Path, text: str = "", *, head: str = HEAD, hosts: str = HOSTS) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(head + hosts + text)
    return load_inventory(path, {})


def read(inventory: Inventory, uses: list[Any]) -> dict[tuple[str, str], str]:
    """(host, path) -> text of the rendered files."""
    return {(artifact.host, artifact.path): artifact.content for artifact in render(inventory, uses)}


def seen(name: str, *addresses: str, **fields: Any) -> HostFacts:
    """A host with one address on each of its interfaces eth0, eth1, ..."""
    interfaces = tuple(Interface(f"eth{index}", (address,)) for index, address in enumerate(addresses))
    return HostFacts(name, arch="amd64", os="debian 13", default_interface="eth0", interfaces=interfaces, **fields)
