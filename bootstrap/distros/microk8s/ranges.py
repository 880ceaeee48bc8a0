"""Checks the ranges and the endpoint against MicroK8s' own and against each other. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping

from bootstrap.distros.microk8s.layout import server_port
from bootstrap.distros.microk8s.network import pods_of, services_of
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.ranges import Range, check_outside_usual, list_addresses

FEWEST_SERVICES = 16  # the API has the first address, DNS the tenth


def check_network(inventory: Inventory) -> Iterator[NativeProblem]:
    """What is given must be clear of a default that is not; what is given twice is compared elsewhere."""
    pods, services = _read(pods_of(inventory)), _read(services_of(inventory))
    for each in services:
        if each.num_addresses < FEWEST_SERVICES:
            message = f"the service range {each} has fewer than {FEWEST_SERVICES} addresses"
            yield NativeProblem(("network", "services"), message, "DNS takes the tenth: a /24 is usual")
    network = inventory.network
    if bool(network.pods) != bool(network.services):
        given, other = ("pods", "services") if network.pods else ("services", "pods")
        yield from _check_against_default(given, other, *((pods, services) if network.pods else (services, pods)))
    yield from check_outside_usual("MicroK8s'", inventory, pods, services, list_addresses(inventory))


def _read(texts: tuple[str, ...]) -> list[Range]:
    try:
        return [ipaddress.ip_network(text) for text in texts]
    except ValueError:  # reported where ranges are read
        return []


def _check_against_default(given: str, other: str, mine: list[Range], usual: list[Range]) -> Iterator[NativeProblem]:
    default = usual[0]
    if mine and [each.version for each in mine] != [default.version]:
        message = f"without `network.{other}` there is IPv4 only, and the {given} are given otherwise"
        yield NativeProblem(("network", given), message, f"give `network.{other}` of the same families")
        return
    for each in mine:
        if each.overlaps(default):
            message = f"the range {each} overlaps {default}, MicroK8s' usual one for {other}"
            yield NativeProblem(("network", given), message, f"give `network.{other}` too")


def check_endpoint(inventory: Inventory) -> Iterator[NativeProblem]:
    """MicroK8s' API has a port of its own, and an endpoint without a port would mean 6443."""
    written = inventory.document.get("endpoint")
    if inventory.endpoint is None or not inventory.controllers or _has_port(written):
        return
    port = server_port(inventory.controllers[0])
    address = inventory.endpoint.host
    shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    message = f"MicroK8s' API listens on {port}, and an endpoint without a port means {inventory.endpoint.port}"
    yield NativeProblem(("endpoint",), message, f"write {shown}, or the port of a balancer that forwards")


def _has_port(written: object) -> bool:
    if isinstance(written, Mapping):
        return "port" in written
    text = str(written or "")
    return (text.startswith("[") and "]:" in text) or text.count(":") == 1
