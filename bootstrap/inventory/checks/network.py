"""The cluster's own ranges: legal, of the same families, apart from each other; names in the API's certificate."""

import re
from collections.abc import Sequence

from bootstrap.inventory.draft import Draft, attempt
from bootstrap.inventory.problems import Path, Problems
from bootstrap.inventory.tree import texts
from bootstrap.inventory.values import DNS_NAME, Cidr, Unfit, find_ip, parse_cidr, parse_endpoint

# The API server refuses a service range of more than 20 host bits
# (kubernetes: cmd/kube-apiserver/app/options/validation.go, maxCIDRBits).
SERVICE_BITS = 20

Ranges = list[tuple[Path, Cidr]]


def check_network(draft: Draft, problems: Problems) -> None:
    pods, services = read_ranges(draft, "pods", problems), read_ranges(draft, "services", problems)
    for path, network in services:
        if network.max_prefixlen - network.prefixlen > SERVICE_BITS:
            limit = network.max_prefixlen - SERVICE_BITS
            problems.add(
                path, f"the service range {network} is too large for the API server", f"/{limit} is the largest"
            )
    check_families(pods, services, problems)
    check_apart(pods, services, problems)
    domain = draft.document.get("network", {}).get("domain")
    if domain is not None:
        attempt(problems, ("network", "domain"), check_domain, domain)
    if "endpoint" in draft.document and not problems.touches(("endpoint",)):
        attempt(problems, ("endpoint",), parse_endpoint, draft.document["endpoint"])
    for path, name in texts(draft.document.get("sans"), ("sans",)):
        attempt(problems, path, check_san, name)


def read_ranges(draft: Draft, kind: str, problems: Problems) -> Ranges:
    """The ranges of a kind that are legal."""
    path: Path = ("network", kind)
    found: Ranges = []
    for at, text in texts(draft.document.get("network", {}).get(kind), path):
        network = attempt(problems, at, parse_cidr, text)
        if network and any(other.version == network.version for _, other in found):
            problems.add(at, f"two IPv{network.version} ranges", "two ranges are one of IPv4 and one of IPv6")
        elif network:
            found.append((at, network))
    return found


def check_families(pods: Ranges, services: Ranges, problems: Problems) -> None:
    """Both kinds have the same families in the same order, for the first is the cluster's primary one."""
    if not pods or not services or any(problems.touches(("network", kind)) for kind in ("pods", "services")):
        return
    wanted, given = families(pods), families(services)
    if wanted != given:
        message = f"the services have {' and '.join(given)}, but the pods have {' and '.join(wanted)}"
        problems.add(("network", "services"), message, "both need the same families in the same order")


def families(ranges: Ranges) -> list[str]:
    return [f"IPv{network.version}" for _, network in ranges]


def check_apart(pods: Sequence[tuple[Path, Cidr]], services: Ranges, problems: Problems) -> None:
    for path, network in services:
        for _, other in pods:
            if network.version == other.version and network.overlaps(other):
                problems.add(path, f"the service range {network} overlaps the pod range {other}", "keep them apart")


def check_domain(text: str) -> None:
    if not re.fullmatch(DNS_NAME, text) or len(text) > 253:
        raise Unfit(f"`{text}` is not a DNS domain", "lower case, for example cluster.local")


def check_san(text: str) -> None:
    name = text.removeprefix("*.").lower()
    if find_ip(text):
        return
    if not re.fullmatch(DNS_NAME, name) or re.fullmatch(r"[0-9.]+", text) or len(text) > 253:
        raise Unfit(
            f"`{text}` is neither an IP address nor a DNS name", "no scheme, no port: a certificate holds names"
        )
