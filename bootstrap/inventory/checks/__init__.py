"""What a schema can't say: syntax of values, names that must exist, addresses that must differ. Pure.

Every check adds what it finds to `problems` and goes on.
"""

from bootstrap.inventory.checks.addresses import check_addresses
from bootstrap.inventory.checks.cluster import check_cluster
from bootstrap.inventory.checks.connections import check_connections
from bootstrap.inventory.checks.names import check_names
from bootstrap.inventory.checks.network import check_network
from bootstrap.inventory.checks.nodes import check_nodes
from bootstrap.inventory.checks.payloads import check_payloads
from bootstrap.inventory.draft import Draft
from bootstrap.inventory.problems import Problems

CHECKS = (
    check_names,
    check_connections,
    check_network,
    check_addresses,
    check_nodes,
    check_payloads,
    check_cluster,
)


def check_values(draft: Draft, problems: Problems) -> None:
    """Run every check."""
    for check in CHECKS:
        check(draft, problems)


__all__ = ["CHECKS", "check_values"]
