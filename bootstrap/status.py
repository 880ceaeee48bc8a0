"""Rows of the status table, from the facts of one look. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bootstrap.control_plane import is_ready
from bootstrap.facts import live_nodes
from bootstrap.model import Facts, Host, HostFacts, Inventory
from bootstrap.report import StatusRow


def make_rows(inventory: Inventory, facts: Facts) -> list[StatusRow]:
    """One row per host of the inventory, in its order; a host that could not be asked shows its Node only."""
    nodes = live_nodes(facts) or {}
    now = datetime.now(UTC)
    return [_row(host, facts.get(host.name), nodes.get(host.name), now) for host in inventory.hosts]


def _row(host: Host, facts: HostFacts | None, node: Mapping[str, Any] | None, now: datetime) -> StatusRow:
    return StatusRow(
        host=host.name,
        role=str(host.role),
        version=_version(node) if node is not None else "",
        ready=is_ready(node) if node is not None else None,
        age=_age(node, now) if node is not None else None,
        disk_free_kb=facts.free_kb.get("/var/lib") if facts else None,
        unit=_unit(facts) if facts else "unreachable",
    )


def _version(node: Mapping[str, Any]) -> str:
    """What its kubelet said; a Node that was made by hand has nothing to tell."""
    return str((node.get("status", {}).get("nodeInfo") or {}).get("kubeletVersion") or "")


def _age(node: Mapping[str, Any], now: datetime) -> float | None:
    try:
        return (now - datetime.fromisoformat(node["metadata"]["creationTimestamp"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None


def _unit(facts: HostFacts) -> str:
    there = {name: unit for name, unit in facts.units.items() if unit.load == "loaded"}
    return ", ".join(f"{name} {unit.active}" for name, unit in there.items()) or "not installed"
