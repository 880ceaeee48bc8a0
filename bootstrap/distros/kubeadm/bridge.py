"""Pod subnets of the `bridge` network: one for each host, kept once given. Pure."""

import ipaddress
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain

from bootstrap.distros.kubeadm.documents import network_of, node_addresses, seen_addresses
from bootstrap.distros.kubeadm.layout import CONFLIST, ROUTES
from bootstrap.model import Facts, Host, Inventory

MASKS = {4: 24, 6: 64}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def allocate(inventory: Inventory, facts: Facts | None = None) -> dict[str, str]:
    """Host -> its pod subnet of the first pod range, such as 10.244.3.0/24.

    A host keeps the subnet that its own conflist says, or, where it is wiped or unreachable, the one to which the routes
    of other hosts lead by its address. The others get the first free ones in the inventory's order, so without facts the
    n-th host has the n-th. Raises ValueError when the range has too few, which `check` reports before.
    """
    pods = ipaddress.ip_network(network_of(inventory)[0][0])
    kept, routed = _kept(inventory, facts or {}, pods), _routed(facts or {})
    unclaimed = (text for text in map(str, subnets(pods)) if text not in kept.values() and text not in routed)
    stale = (text for text in routed if text not in kept.values() and _fits(text, pods))  # better than none
    free = chain(unclaimed, stale)
    try:
        return {host.name: kept.get(host.name) or next(free) for host in inventory.hosts}
    except StopIteration:
        raise ValueError(f"{pods} has too few subnets for {len(inventory.hosts)} hosts") from None


def subnets(pods: Network) -> Iterator[Network]:
    """The node subnets of a pod range, in order; none when the range is smaller than one."""
    mask = MASKS[pods.version]
    return pods.subnets(new_prefix=mask) if mask >= pods.prefixlen else iter(())


def _kept(inventory: Inventory, facts: Facts, pods: Network) -> dict[str, str]:
    """What hosts have already; when two claim one, as after a disk was copied, the first one keeps it."""
    by_address = {address: subnet for subnet, address in _routed(facts).items()}
    own = {host.name: _own_subnet(facts, host) for host in inventory.hosts}
    known = {host.name: by_address.get(next_hop(inventory, host, facts), "") for host in inventory.hosts}
    kept: dict[str, str] = {}
    for claims in (own, known):
        for name, subnet in claims.items():
            if name not in kept and _fits(subnet, pods) and subnet not in kept.values():
                kept[name] = subnet
    return kept


def _own_subnet(facts: Facts, host: Host) -> str:
    file = facts[host.name].files.get(CONFLIST) if host.name in facts else None
    return read_subnet(file.content or "") if file else ""


def _routed(facts: Facts) -> dict[str, str]:
    """Subnet -> address of the host that has it, as the files of routes say; disagreeing ones are old ones."""
    found: dict[str, str] = {}
    for seen in facts.values():
        file = seen.files.get(ROUTES)
        found.update(_read_routes(file.content or "") if file else ())
    return found


@lru_cache(maxsize=1024)  # each host's file is asked for when the files of any host are made
def _read_routes(text: str) -> tuple[tuple[str, str], ...]:
    lines = (line.split() for line in text.splitlines())
    return tuple((words[0], words[2]) for words in lines if len(words) == 3 and words[1] == "via")


def _fits(text: str, pods: Network) -> bool:
    try:
        subnet = ipaddress.ip_network(text)
    except ValueError:
        return False
    same = subnet.version == pods.version and subnet.prefixlen == MASKS[pods.version]
    return same and subnet.network_address in pods


def read_subnet(conflist: str) -> str:
    """The subnet in a conflist of ours; empty for another file."""
    try:
        (plugin,) = (each for each in json.loads(conflist)["plugins"] if each["type"] == "bridge")
        return str(plugin["ipam"]["ranges"][0][0]["subnet"])
    except (ValueError, LookupError, TypeError):
        return ""


def routes(inventory: Inventory, host: Host, facts: Facts | None = None) -> list[tuple[str, str]]:
    """(subnet, address) of every other host: where its pods are, and by which way."""
    given = allocate(inventory, facts)
    return [(given[other.name], next_hop(inventory, other, facts)) for other in inventory.hosts if other != host]


def next_hop(inventory: Inventory, host: Host, facts: Facts | None = None) -> str:
    """The node address by which other hosts reach a host: chosen, seen, or the one that ssh uses."""
    family = ipaddress.ip_network(network_of(inventory)[0][0]).version
    seen = seen_addresses(inventory, host, facts)
    found = (*node_addresses(inventory, host, facts), *seen, host.connection.address)
    return next((address for address in found if (6 if ":" in address else 4) == family), found[-1])


def conflist_variables(inventory: Inventory, host: Host, facts: Facts | None = None) -> Mapping[str, str]:
    """What the conflist template needs."""
    subnet = allocate(inventory, facts)[host.name]
    return {"subnet": subnet, "default_route": "::/0" if ":" in subnet else "0.0.0.0/0"}
