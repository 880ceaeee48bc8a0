"""Addresses against each other: unique nodes, ranges free of hosts, the endpoint on nobody's wrong machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bootstrap.inventory.checks.network import Ranges
from bootstrap.inventory.draft import Draft, attempt
from bootstrap.inventory.problems import Path, Problems
from bootstrap.inventory.ranges import Entry
from bootstrap.inventory.tree import texts
from bootstrap.inventory.values import Ip, Unfit, find_ip, parse_address, parse_cidr, parse_endpoint, parse_ip
from bootstrap.model import Endpoint, Role


@dataclass(frozen=True)
class Address:
    """An address, whose it is, and where it stands."""

    ip: Ip
    whose: str
    path: Path


def check_addresses(draft: Draft, problems: Problems) -> None:
    nodes = [address for entry in draft.entries for address in node_addresses(entry, draft, problems)]
    check_unique(nodes, problems)
    for name, other in draft.document.get("others", {}).items():
        if "address" in other:
            attempt(problems, ("others", name, "address"), parse_address, other["address"])
    check_ranges([*nodes, *outside(draft)], draft, problems)
    check_endpoint(draft, problems)


def node_addresses(entry: Entry, draft: Draft, problems: Problems) -> list[Address]:
    """The node addresses of a host that are legal."""
    path = (*entry.path, "node_address")
    found: list[Address] = []
    for at, text in texts(entry.settings.get("node_address"), path):
        ip = attempt(problems, at, parse_ip, text)
        if ip and any(other.ip.version == ip.version for other in found):
            problems.add(at, f"two IPv{ip.version} addresses", "two addresses are one of IPv4 and one of IPv6")
        elif ip:
            found.append(Address(ip, f"host `{entry.name}`", at))
    if found and not problems.touches(path):
        check_order(found, path, draft, problems)
    return found


def check_order(found: Sequence[Address], path: Path, draft: Draft, problems: Problems) -> None:
    """A node has the families of the pod ranges, in their order."""
    pods = [network.version for _, network in ranges(draft, "pods")]
    versions = [address.ip.version for address in found]
    if pods and versions[: len(pods)] != pods:
        given = " then ".join(f"IPv{version}" for version in versions)
        wanted = " then ".join(f"IPv{version}" for version in pods)
        problems.add(
            path,
            f"the node has {given}, but the pod ranges are {wanted}",
            "give one address of each family in this order",
        )


def check_unique(addresses: Sequence[Address], problems: Problems) -> None:
    first: dict[Ip, Address] = {}
    for address in addresses:
        other = first.setdefault(address.ip, address)
        if other is not address:
            message = f"{address.whose} and {other.whose} have the same node address {address.ip}"
            problems.add(address.path, message, f"the other one is on line {problems.value_position(other.path).line}")


def outside(draft: Draft) -> Iterator[Address]:
    """Every other address that must not lie in a range of the cluster: where ssh goes, other machines, the endpoint."""
    for entry in draft.entries:
        if ip := find_ip(entry.settings.get("address", "")):
            yield Address(ip, f"host `{entry.name}`", (*entry.path, "address"))
    for name, other in draft.document.get("others", {}).items():
        if ip := find_ip(other.get("address", "")):
            yield Address(ip, f"`{name}`", ("others", name, "address"))
    endpoint = read_endpoint(draft)
    if endpoint and (ip := find_ip(endpoint.host)):
        yield Address(ip, "the endpoint", ("endpoint",))


def check_ranges(addresses: Sequence[Address], draft: Draft, problems: Problems) -> None:
    """No address of a machine inside the cluster's ranges: its traffic would go astray."""
    for kind in ("pods", "services"):
        for path, network in ranges(draft, kind):
            inside = [
                address for address in addresses if address.ip.version == network.version and address.ip in network
            ]
            if inside:
                named = ", ".join(dict.fromkeys(f"{address.whose} ({address.ip})" for address in inside[:3]))
                more = f" and {len(inside) - 3} more" if len(inside) > 3 else ""
                problems.add(
                    path,
                    f"the {kind.removesuffix('s')} range {network} holds {named}{more}",
                    "choose a range that is used nowhere else",
                )


def ranges(draft: Draft, kind: str) -> Ranges:
    """The legal ranges of a kind."""
    found: Ranges = []
    for path, text in texts(draft.document.get("network", {}).get(kind), ("network", kind)):
        try:
            found.append((path, parse_cidr(text)))
        except Unfit:
            continue
    return found


def read_endpoint(draft: Draft) -> Endpoint | None:
    try:
        return parse_endpoint(draft.document["endpoint"])
    except (KeyError, Unfit):
        return None


def check_endpoint(draft: Draft, problems: Problems) -> None:
    """The endpoint may be a controller's address or nobody's, never one that only a worker has."""
    endpoint = read_endpoint(draft)
    if endpoint is None:
        return
    holders = [entry for entry in draft.entries if endpoint.host in own_addresses(entry)]
    if holders and all(entry.settings.get("role", Role.WORKER) == Role.WORKER for entry in holders):
        message = f"the endpoint {endpoint.host} is the address of the worker `{holders[0].name}`"
        problems.add(
            ("endpoint",), message, "no API answers there: give a virtual IP, a balancer or a controller's address"
        )


def own_addresses(entry: Entry) -> set[str]:
    node = entry.settings.get("node_address", ())
    return {entry.settings.get("address", ""), *([node] if isinstance(node, str) else [text for text in node if text])}
