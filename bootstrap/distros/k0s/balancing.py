"""Checks of both balancers of the API: virtual IPs on the controllers, and a proxy on each node. Pure."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.k0s.documents import node_address
from bootstrap.distros.k0s.layout import is_single, lookup
from bootstrap.driver import NativeProblem
from bootstrap.forms import Found
from bootstrap.model import Host, Inventory, Role
from bootstrap.sections import Path, Section, find_sections, has_reference

NODES, CONTROLLERS = ("network", "nodeLocalLoadBalancing"), ("network", "controlPlaneLoadBalancing")
LONGEST_PASSWORD = 8


def check_balancing(inventory: Inventory) -> Iterator[NativeProblem]:
    """Problems of `config.network.nodeLocalLoadBalancing` and `.controlPlaneLoadBalancing`."""
    for section in find_sections(inventory):
        if section.name == "config":
            yield from _check_nodes(inventory, section)
            yield from _check_controllers(inventory, section)


def _check_nodes(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if lookup(section.values, *NODES, "enabled") is not True:
        return
    path = (*section.path, *NODES, "enabled")
    endpoint = inventory.endpoint
    if is_single(inventory):
        yield NativeProblem(path, "a single node has nothing to balance", "leave it out")
    elif endpoint and endpoint.host not in virtual_addresses(inventory):
        message = "k0s refuses node-local load balancing beside an external address, and there is an `endpoint`"
        yield NativeProblem(path, message, "choose one of them, or let controlPlaneLoadBalancing hold the endpoint")


def virtual_addresses(inventory: Inventory) -> set[str]:
    """The virtual IPs that keepalived holds, without their prefixes."""
    config = inventory.native.get("config")
    found = set()
    for instance in _items(config if isinstance(config, Mapping) else {}, "vrrpInstances"):
        found |= {str(address).partition("/")[0] for address in instance.get("virtualIPs") or ()}
    return found


def _items(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    given = lookup(values, *CONTROLLERS, "keepalived", name)
    return [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []


def _check_controllers(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if lookup(section.values, *CONTROLLERS, "enabled") is not True:
        return
    path = (*section.path, *CONTROLLERS)
    servers = lookup(section.values, *CONTROLLERS, "keepalived", "virtualServers")
    if is_single(inventory):
        yield NativeProblem((*path, "enabled"), "a single node has nothing to balance", "leave it out")
    if servers and any(host.role is Role.CONTROLLER_WORKER for host in inventory.hosts):
        message = "keepalived's virtual servers don't work on a controller that takes pods as well"
        hint = "leave them out: k0s' own proxy takes their place"
        yield NativeProblem((*path, "keepalived", "virtualServers"), message, hint)
    if not _items(section.values, "vrrpInstances"):
        message = "there is no virtual IP to balance"
        yield NativeProblem((*path, "enabled"), message, "add keepalived.vrrpInstances: [{virtualIPs, authPass}]")
    for index, instance in enumerate(_items(section.values, "vrrpInstances")):
        yield from _check_instance(inventory, (*path, "keepalived", "vrrpInstances", index), instance)


def _check_instance(inventory: Inventory, path: Path, instance: Mapping[str, Any]) -> Iterator[NativeProblem]:
    password = instance.get("authPass")
    if isinstance(password, str) and not has_reference(password) and not 0 < len(password) <= LONGEST_PASSWORD:
        message = f"`authPass` has {len(password)} characters, and keepalived takes 1 to {LONGEST_PASSWORD}"
        yield NativeProblem((*path, "authPass"), message, "it guards against mistakes, not against people")
    identity = instance.get("virtualRouterID")
    if isinstance(identity, int) and not 0 < identity < 256:
        yield NativeProblem((*path, "virtualRouterID"), f"{identity} is no router ID", "a number from 1 to 255")
    if instance.get("unicastPeers") and not instance.get("unicastSourceIP"):
        message = "`unicastPeers` need the address that they see: `unicastSourceIP`"
        yield NativeProblem((*path, "unicastPeers"), message, "write it at each controller, under its own `k0s.config`")
    given = instance.get("virtualIPs")
    for index, text in enumerate(given if isinstance(given, list) else ()):
        found = _check_virtual(inventory, str(text)) if not has_reference(text) else None
        if found:
            yield NativeProblem((*path, "virtualIPs", index), *found)


def _check_virtual(inventory: Inventory, text: str) -> Found | None:
    """A virtual IP with its prefix: free, and in the network of the controllers."""
    try:
        virtual = ipaddress.ip_interface(text)
    except ValueError:
        return f"`{text}` is no address with a prefix", "such as 192.168.1.10/24"
    if "/" not in text:
        return f"`{text}` has no prefix", f"write the length of its network behind it, such as {text}/24"
    holder = next((each.name for each in inventory.hosts if str(virtual.ip) in _addresses(each)), "") or next(
        (other.name for other in inventory.others if other.address == str(virtual.ip)), ""
    )
    if holder:
        return f"{virtual.ip} is the address of {holder}: a virtual IP must be free", "take one that nobody has"
    outside = next((host for host in inventory.controllers if not _is_beside(host, virtual)), None)
    if outside:
        address = node_address(outside)
        message = f"{virtual.ip} is not in the network of controller {outside.name} ({address})"
        return (
            message,
            f"keepalived needs one in the controllers' own network, with its prefix ({virtual.network} here)",
        )
    return None


def _addresses(host: Host) -> set[str]:
    return {host.connection.address, *host.node_addresses}


def _is_beside(host: Host, virtual: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> bool:
    """Whether a controller's address lies in the network of a virtual IP; unknown ones are taken on trust."""
    known = [*host.node_addresses] or [node_address(host)]
    same = [ipaddress.ip_address(text) for text in known if text and (":" in text) == (virtual.version == 6)]
    return not same or any(address in virtual.network for address in same)


__all__ = ["check_balancing", "virtual_addresses"]
