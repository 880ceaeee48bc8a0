"""Pod subnets of the `bridge` network: one for each host, kept once given. Pure."""

from bootstrap.model import Facts, Inventory


def allocate(inventory: Inventory, facts: Facts | None = None) -> dict[str, str]:
    """Host -> its pod subnet, such as 10.244.3.0/24."""
    raise NotImplementedError
