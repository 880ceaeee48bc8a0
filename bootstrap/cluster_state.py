"""What the Kubernetes API answered in one look, and readers that trust nothing of its shape. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class ClusterState:
    """What the API answered in one look: lists as they came, `items` may be null.

    `server_time` is the API server's own clock. `renewed_ago` holds the Nodes whose Lease was seen to change
    while we looked, and how many seconds ago by our own monotonic clock.
    """

    readyz: str = ""
    version: Raw = field(default_factory=dict)
    nodes: Raw = field(default_factory=dict)
    leases: Raw = field(default_factory=dict)
    deployments: Raw = field(default_factory=dict)
    daemonsets: Raw = field(default_factory=dict)
    pods: Raw = field(default_factory=dict)
    server_time: datetime | None = None
    certificate_expiry: datetime | None = None
    renewed_ago: Mapping[str, float] = field(default_factory=dict)


def items(answer: Raw) -> list[Raw]:
    """The entries of a list answer; a null list, which a Go server may send for an empty one, is empty."""
    return as_list(answer.get("items"))


def name_of(thing: Raw) -> str:
    return str(as_mapping(thing.get("metadata")).get("name") or "")


def find_node(state: ClusterState, name: str) -> Raw | None:
    return next((node for node in items(state.nodes) if name_of(node) == name), None)


def waits_for_network(node: Raw) -> bool:
    """The kubelet runs and lacks nothing but a CNI (its own words: `cni plugin not initialized`)."""
    ready = conditions_of(node).get("Ready", {})
    message = str(ready.get("message") or "")
    return ready.get("status") == "False" and "NetworkReady=false" in message and message.count("=false") == 1


def heartbeat_of(state: ClusterState, node: Raw) -> str:
    """When the kubelet last reported, as the API writes it: the Lease's time, else the Ready condition's."""
    lease = next((lease for lease in items(state.leases) if name_of(lease) == name_of(node)), {})
    renewed = as_mapping(lease.get("spec")).get("renewTime")
    return str(renewed or conditions_of(node).get("Ready", {}).get("lastHeartbeatTime") or "")


def parse_time(text: str) -> datetime | None:
    """RFC 3339, the only form that the API writes."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def shorten(text: str, limit: int = 200) -> str:
    """One printable line: messages come from registries and may hold anything."""
    line = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(line.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def as_mapping(value: object) -> Raw:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Raw]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def conditions_of(thing: Raw) -> dict[str, Raw]:
    return {str(entry.get("type")): entry for entry in as_list(as_mapping(thing.get("status")).get("conditions"))}
