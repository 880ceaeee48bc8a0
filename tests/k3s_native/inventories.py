"""Small inventories and facts for tests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bootstrap.driver import PlanInput
from bootstrap.errors import InventoryError
from bootstrap.inventory import load_inventory
from bootstrap.model import Connection, Host, HostFacts, Interface, Inventory, Lock, Role, UnitFacts

HEAD = """\
schema: bootstrap/v1
cluster: home
distro: k3s
version: v1.36.3+k3s1
"""
HOSTS = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12}
"""


def load(folder: Path, text: str, *, head: str = HEAD, hosts: str = HOSTS) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(head + hosts + text)
    return load_inventory(path, {})


def find_problems(folder: Path, text: str, *, head: str = HEAD, hosts: str = HOSTS) -> list[str]:
    """Each problem as `source line | message | hint`."""
    try:
        load(folder, text, head=head, hosts=hosts)
    except InventoryError as error:
        return [f"{problem.source.strip()} | {problem.message} | {problem.hint}" for problem in error.problems]
    return []


def make_host(name: str, role: Role = Role.CONTROLLER_WORKER, **fields: Any) -> Host:
    address = fields.pop("address", f"192.168.1.{10 + len(name)}")
    return Host(name, Connection(address), role, origin=("hosts", name), **fields)


def make_inventory(*hosts: Host, **fields: Any) -> Inventory:
    fields = {"version": "v1.36.3+k3s1", **fields}
    return Inventory(file="home.yaml", cluster="home", distro="k3s", hosts=hosts, **fields)


def make_facts(name: str, **fields: Any) -> HostFacts:
    """A healthy host with nothing on it."""
    healthy = HostFacts(
        host=name,
        hostname=name,
        machine_id=f"machine-{name}",
        boot_id=f"boot-{name}",
        os="debian 13",
        arch="amd64",
        init="systemd",
        memory_kb=8_000_000,
        free_kb={"/": 50_000_000, "/var/lib": 50_000_000, "/usr/local": 50_000_000, "/etc": 50_000_000},
        default_interface="eth0",
        interfaces=(Interface("eth0", ("192.168.1.11", "192.168.1.12", "192.168.1.13")),),
    )
    return replace(healthy, **fields)


def make_input(inventory: Inventory, *facts: HostFacts) -> PlanInput:
    return PlanInput(inventory, (), {each.host: each for each in facts}, Lock(), {})


RUNNING = {"k3s": UnitFacts(load="loaded", active="active", enabled="enabled")}
