"""Addresses of hosts against the ranges that a distribution uses where the inventory gives none. Pure."""

import ipaddress
from collections.abc import Iterable, Iterator

from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Range = ipaddress.IPv4Network | ipaddress.IPv6Network
Placed = tuple[tuple[str | int, ...], Address]  # where in the document, and the address


def parse_address(text: str) -> Address | None:
    """None for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def list_addresses(inventory: Inventory) -> Iterator[Placed]:
    """Every address of every host."""
    for host in inventory.hosts:
        for key, texts in (("node_address", host.node_addresses), ("address", (host.connection.address,))):
            for text in texts:
                if address := parse_address(text):
                    yield (*host.origin, key), address


def check_outside_usual(
    whose: str, inventory: Inventory, pods: Iterable[Range], services: Iterable[Range], addresses: Iterable[Placed]
) -> Iterator[NativeProblem]:
    """Addresses within the usual ranges of `whose`, such as kubeadm's; those within what is given are looked at elsewhere."""
    network = inventory.network
    usual = {"pods": () if network.pods else tuple(pods), "services": () if network.services else tuple(services)}
    for path, address in addresses:
        for kind, ranges in usual.items():
            for each in ranges:
                if address in each:
                    message = f"{address} lies in {each}, {whose} usual range for {kind}"
                    yield NativeProblem(path, message, f"give another range as `network.{kind}`")
