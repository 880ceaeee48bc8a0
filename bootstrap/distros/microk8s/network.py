"""The cluster's ranges and domain as MicroK8s is told them, its own where none are given. Pure."""

import ipaddress
from collections.abc import Sequence

from bootstrap.model import Inventory

PODS, SERVICES, DOMAIN = "10.1.0.0/16", "10.152.183.0/24", "cluster.local"  # microk8s-resources/default-args/cni-env
DNS_OFFSET = 10


def pods_of(inventory: Inventory) -> tuple[str, ...]:
    return inventory.network.pods or (PODS,)


def services_of(inventory: Inventory) -> tuple[str, ...]:
    return inventory.network.services or (SERVICES,)


def domain_of(inventory: Inventory) -> str:
    return inventory.network.domain or DOMAIN


def service_address(inventory: Inventory, offset: int, services: Sequence[str] = ()) -> str:
    """An address of the first service range, counted from its start: 1 is the API's own, 10 usually that of DNS."""
    first = ipaddress.ip_network((services or services_of(inventory))[0])
    return str(first[min(offset, first.num_addresses - 2)])


def api_addresses(inventory: Inventory) -> list[str]:
    """The API's own Service, one address of each family."""
    return [service_address(inventory, 1, (each,)) for each in services_of(inventory)]


def cni_variables(inventory: Inventory) -> dict[str, str]:
    """`extraCNIEnv` for given ranges: MicroK8s sets Calico and every component's ranges by it, once, at install.

    Empty where no range is given.
    """
    if not (inventory.network.pods or inventory.network.services):
        return {}
    variables = {}
    for family in (4, 6):
        pods, services = (_of_family(ranges, family) for ranges in (pods_of(inventory), services_of(inventory)))
        variables[f"IPv{family}_SUPPORT"] = "true" if pods and services else "false"
        if pods and services:
            variables |= {f"IPv{family}_CLUSTER_CIDR": pods, f"IPv{family}_SERVICE_CIDR": services}
    return variables


def _of_family(ranges: Sequence[str], family: int) -> str:
    return next((each for each in ranges if (":" in each) == (family == 6)), "")
