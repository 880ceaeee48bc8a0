"""kubeadm: what it is told, asked, and how its changes are ordered. Unaware of other distributions."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bootstrap.driver import NativeProblem, TemplateUse, UpstreamFile

if TYPE_CHECKING:
    from bootstrap.model import Facts, Inventory, Lock


class Kubeadm:
    """The kubeadm driver."""

    name = "kubeadm"

    def check(self, inventory: Inventory) -> list[NativeProblem]:
        from bootstrap.distros.kubeadm.native import check_native

        return check_native(inventory)

    def check_token(self, token: str) -> str:
        from bootstrap.distros.kubeadm.native import check_token

        return check_token(token)

    def templates(
        self, inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None
    ) -> Sequence[TemplateUse]:
        from bootstrap.distros.kubeadm.files import templates

        return templates(inventory, facts, lock)

    def upstream_files(self, inventory: Inventory, arches: Sequence[str]) -> Sequence[UpstreamFile]:
        from bootstrap.distros.kubeadm.upstream import list_upstream

        return list_upstream(inventory, arches)


DRIVER = Kubeadm()
__all__ = ["DRIVER", "Kubeadm"]
