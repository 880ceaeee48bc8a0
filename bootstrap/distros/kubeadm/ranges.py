"""Checks the ranges, the endpoint and the virtual IP against kubeadm's defaults and against each other. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.kubeadm.bridge import MASKS
from bootstrap.distros.kubeadm.documents import PODS, SERVICES
from bootstrap.driver import NativeProblem
from bootstrap.model import Endpoint, Inventory
from bootstrap.ranges import Placed, Range, check_outside_usual, list_addresses, parse_address

LARGEST_GAP = 16  # bits between a pod range and the nodes' (kubernetes: PodSubnetNodeMaskMaxDiff)
FEWEST_SERVICES = 10  # addresses (kubernetes: MinimumAddressesInServiceSubnet)


def check_network(inventory: Inventory) -> Iterator[NativeProblem]:
    """The pod ranges hold a range for each host; defaults are free of what is given."""
    pods = _read(inventory.network.pods, PODS)
    services = _read(inventory.network.services, SERVICES)
    for pod_range in pods:
        yield from _check_size(inventory, pod_range)
    for service_range in services:
        if service_range.num_addresses < FEWEST_SERVICES:
            message = f"the service range {service_range} has fewer than {FEWEST_SERVICES} addresses"
            yield NativeProblem(("network", "services"), message, "Services take one each: a /16 is usual")
    yield from _check_against_defaults(inventory, pods, services)
    yield from check_outside_usual("kubeadm's", inventory, pods, services, _placed_addresses(inventory))
    if inventory.native.get("cni") == "bridge" and len(pods) > 1:
        message = "`cni: bridge` gives pods one family, and two ranges are given"
        yield NativeProblem(("network", "pods"), message, "give one range, or take another network")


def _read(given: tuple[str, ...], usual: tuple[str, ...]) -> list[Range]:
    try:
        return [ipaddress.ip_network(text) for text in given or usual]
    except ValueError:  # reported where ranges are read
        return []


def _check_size(inventory: Inventory, pods: Range) -> Iterator[NativeProblem]:
    mask = node_mask(inventory, pods.version)
    if mask is None:
        return
    path = ("network", "pods") if inventory.network.pods else ("hosts",)
    hosts = len(inventory.hosts)
    room = 2 ** (mask - pods.prefixlen) if mask >= pods.prefixlen else 0
    if room < hosts:
        message = f"the pod range {pods} has room for {room} nodes of /{mask} each, and there are {hosts} hosts"
        smallest = mask - (hosts - 1).bit_length()
        yield NativeProblem(path, message, f"a /{smallest} is the least; kubeadm's usual one is {PODS[0]}")
    elif mask - pods.prefixlen > LARGEST_GAP:
        message = f"the pod range {pods} is too large: with a /{mask} for each node kubeadm takes 2^{LARGEST_GAP} nodes"
        yield NativeProblem(path, message, f"/{mask - LARGEST_GAP} is the largest")


def node_mask(inventory: Inventory, version: int) -> int | None:
    """The size of a node's pod range: the controller manager's argument, or its default; None for what is no number."""
    if inventory.native.get("cni") == "bridge":
        return MASKS[version]
    component = _mapping(_mapping(inventory.native.get("cluster")).get("controllerManager"))
    arguments = component.get("extraArgs")
    names = ("node-cidr-mask-size", f"node-cidr-mask-size-ipv{version}")
    found = [
        str(item.get("value"))
        for item in (arguments if isinstance(arguments, list) else ())
        if isinstance(item, Mapping) and item.get("name") in names
    ]
    if not found:
        return MASKS[version]
    return int(found[-1]) if found[-1].isdecimal() else None


def _check_against_defaults(inventory: Inventory, pods: list[Range], services: list[Range]) -> Iterator[NativeProblem]:
    """What is given must be clear of a default that is not; ranges that are both given are compared elsewhere."""
    network = inventory.network
    if bool(network.pods) == bool(network.services):
        return
    given, other = ("pods", "services") if network.pods else ("services", "pods")
    mine, usual = (pods, services) if network.pods else (services, pods)
    default = usual[0]
    if [each.version for each in mine] != [default.version]:
        message = f"without `network.{other}` there is IPv4 only, and the {given} are given otherwise"
        yield NativeProblem(("network", given), message, f"give `network.{other}` of the same families")
    for each in mine:
        if each.overlaps(default):
            message = f"the range {each} overlaps {default}, kubeadm's usual one for {other}"
            yield NativeProblem(("network", given), message, f"give `network.{other}` too")


def _placed_addresses(inventory: Inventory) -> Iterator[Placed]:
    yield from list_addresses(inventory)
    if inventory.endpoint and (address := parse_address(inventory.endpoint.host)):
        yield ("endpoint",), address


# --- endpoint and virtual IP ---------------------------------------------------------------------


def check_endpoint(inventory: Inventory) -> Iterator[NativeProblem]:
    """Several controllers need an address for all of them; a virtual IP needs one that is nobody's."""
    endpoint, vip = inventory.endpoint, inventory.native.get("vip")
    is_given = endpoint is not None or "endpoint" in inventory.document
    if len(inventory.controllers) > 1 and not is_given:
        message = f"{len(inventory.controllers)} controllers and no `endpoint`: kubeadm lets no second one join without"
        hint = "give a free address, with `kubeadm.vip` to hold it, or a DNS name of your own"
        yield NativeProblem(("hosts",), message, hint)
    if vip is None:
        return
    path = (inventory.distro, "vip")
    if not is_given:
        yield NativeProblem(path, "`vip` without an address to hold", "give the address as `endpoint`")
    elif endpoint is not None and parse_address(endpoint.host) is None:
        message = f"`vip` needs an address, and `endpoint` is the name {endpoint.host}"
        yield NativeProblem(path, message, "give the address as `endpoint`, and the name under `sans`")
    elif endpoint is not None:
        yield from _check_vip(inventory, endpoint)


def _check_vip(inventory: Inventory, endpoint: Endpoint) -> Iterator[NativeProblem]:
    owner = next((h for h in inventory.hosts if endpoint.host in (*h.node_addresses, h.connection.address)), None)
    port = _mapping(_mapping(inventory.native.get("init")).get("localAPIEndpoint")).get("bindPort", 6443)
    if owner:
        message = f"the virtual IP {endpoint.host} is the address of `{owner.name}`"
        yield NativeProblem(("endpoint",), message, "take a free address of the same network, outside of DHCP")
    elif endpoint.port != port:
        message = f"a virtual IP forwards no port: the API listens on {port}, and `endpoint` says {endpoint.port}"
        yield NativeProblem(("endpoint",), message, f"write the port {port}, or give `init.localAPIEndpoint.bindPort`")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
