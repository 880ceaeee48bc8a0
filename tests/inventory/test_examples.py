"""The examples load and are what they say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bootstrap.inventory import load_inventory
from bootstrap.model import Endpoint, Inventory, Reference, Role

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*/inventories/*.yaml"))


def load(path: Path) -> Inventory:
    return load_inventory(path, {})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_example_loads(path: Path) -> None:
    assert load(path).hosts


def test_the_homelab_has_three_controllers_and_two_workers() -> None:
    inventory = load(REPOSITORY / "examples/k3s/inventories/home.yaml")
    assert [host.name for host in inventory.controllers] == ["ctl-1", "ctl-2", "ctl-3"]
    assert [host.name for host in inventory.workers] == ["nas-node", "pi-1"]
    assert inventory.endpoint == Endpoint("192.168.1.10")
    assert inventory.token == Reference("secret", "k3s.token")
    assert inventory.host("pi-1").connection.user == "pi"
    assert inventory.host("ctl-3").connection.address == "192.168.1.13"
    assert inventory.host("nas-node").files[0].content.startswith("fs.inotify")


def test_the_virtual_ip_of_the_manifest_is_the_endpoint() -> None:
    inventory = load(REPOSITORY / "examples/k3s/inventories/home.yaml")
    manifest = inventory.native["manifests"]["kube-vip.yaml"]
    addresses = [value for name, value in environment(manifest) if name == "address"]
    assert inventory.endpoint
    assert addresses == [inventory.endpoint.host]


def environment(manifest: str) -> Iterator[tuple[str, str]]:
    """The variables of every container of a manifest."""
    for document in yaml.safe_load_all(manifest):
        containers = document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
        yield from ((item["name"], item["value"]) for container in containers for item in container["env"])


def test_the_single_machine_takes_ten_lines() -> None:
    path = REPOSITORY / "examples/k3s-single/inventories/home.yaml"
    assert len(path.read_text().splitlines()) == 10
    assert [host.role for host in load(path).hosts] == [Role.CONTROLLER_WORKER]
