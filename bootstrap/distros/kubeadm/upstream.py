"""What upstream publishes for a kubeadm cluster, and where. Pure."""

from collections.abc import Sequence

from bootstrap.driver import UpstreamFile
from bootstrap.model import Inventory


def list_upstream(inventory: Inventory, arches: Sequence[str]) -> list[UpstreamFile]:  # noqa: ARG001
    """Every file for artifacts.lock."""
    return []
