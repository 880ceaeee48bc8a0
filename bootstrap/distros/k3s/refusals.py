"""Changes that a living k3s cluster can't take, and why. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bootstrap.control_plane import refuse_changes
from bootstrap.distros.k3s.cluster import Cluster
from bootstrap.distros.k3s.keys import fixed_keys
from bootstrap.distros.k3s.layout import CONFIG, service
from bootstrap.model import Host
from bootstrap.plan import filled_content, find_artifact

OTHER_SERVICE = {"k3s": "k3s-agent", "k3s-agent": "k3s"}


def refuse_impossible_changes(cluster: Cluster) -> None:
    """Raises PlanRefusedError that names every such change at once."""
    refuse_changes(
        [
            *_role_changes(cluster),
            *_fixed_changes(cluster),
            *_token_changes(cluster),
            *_datastore_changes(cluster),
            *_separate_clusters(cluster),
        ]
    )


def _role_changes(cluster: Cluster) -> Iterator[str]:
    for host in (*cluster.controllers, *cluster.workers):
        other = cluster.facts(host).units.get(OTHER_SERVICE[service(host)])
        if other is not None and other.load == "loaded":
            was = "controller" if OTHER_SERVICE[service(host)] == "k3s" else "worker"
            yield f"{host.name} is a {was} and shall become {host.role}: `bootstrap remove {host.name}` first, then apply"


def _token_changes(cluster: Cluster) -> Iterator[str]:
    """The token encrypts the datastore's bootstrap data: another one in the file locks the servers out (k3s#4640)."""
    reference = cluster.plan_input.inventory.token
    wanted = cluster.plan_input.secrets.get(reference.text) if reference else None
    for host in cluster.members:
        actual = cluster.facts(host).values.get("token")
        if wanted and actual and wanted.reveal().rsplit(":", 1)[-1] != actual.reveal():
            yield f"{host.name}: {reference.text if reference else 'token'} is not the cluster's token; `k3s token rotate` changes it"
            return


def _datastore_changes(cluster: Cluster) -> Iterator[str]:
    embedded = sorted({str(cluster.facts(host).values["datastore"]) for host in cluster.members} & {"etcd", "sqlite"})
    if cluster.is_external and embedded:
        yield f"the datastore is {' and '.join(embedded)}; k3s can't move it to datastore-endpoint"
    elsewhere = [host.name for host in cluster.members if cluster.facts(host).values["datastore"] == "external"]
    if elsewhere and not cluster.is_external:
        yield f"the datastore of {', '.join(elsewhere)} is an external one; k3s can't move it, and datastore-endpoint names none"


def _separate_clusters(cluster: Cluster) -> Iterator[str]:
    """A datastore on the host itself serves one server, and servers of one cluster show nodes in common."""
    alone = [host.name for host in cluster.members if cluster.facts(host).values["datastore"] == "sqlite"]
    for name in alone if len(cluster.members) > 1 else ():
        others = ", ".join(host.name for host in cluster.members if host.name != name)
        yield f"{name} has a datastore of its own beside {others}: these are separate clusters"
        return
    first: set[str] = set()
    for host in cluster.members:
        nodes = cluster.facts(host).values.get("nodes") or {}
        identities = {str(node["metadata"].get("uid") or name) for name, node in nodes.items()}
        first = first or identities
        if identities and not first & identities:
            yield f"{host.name} serves another cluster, with the nodes {', '.join(sorted(nodes))}"


def _fixed_changes(cluster: Cluster) -> Iterator[str]:
    """k3s checks critical values at a server's first join only: later ones start, then crash in a loop."""
    for host in cluster.members:
        before, after = _started_with(cluster, host), _wanted(cluster, host)
        for key, default in fixed_keys().items():
            old, new = _text(before.get(key, default)), _text(after.get(key, default))
            if before and old != new:
                yield f"{host.name}: {key} is fixed when the cluster is made: it is {old or 'not set'}, the inventory says {new or 'not set'}"


def _wanted(cluster: Cluster, host: Host) -> Mapping[str, Any]:
    artifact = find_artifact(cluster.plan_input, host.name, CONFIG)
    return _load(filled_content(cluster.plan_input, artifact)) if artifact else {}


def _started_with(cluster: Cluster, host: Host) -> Mapping[str, Any]:
    """What the running k3s was started with, by its Node's annotation k3s.io/node-args, else its config file."""
    node = cluster.node(host) or {}
    text = (node.get("metadata") or {}).get("annotations", {}).get("k3s.io/node-args")
    if text:
        return parse_node_args(text)
    file = cluster.facts(host).files.get(CONFIG)
    return _load(file.content or "") if file else {}


def parse_node_args(text: str) -> dict[str, Any]:
    """`["server","--cluster-cidr","10.42.0.0/16","--secrets-encryption",...]` as keys and values."""
    try:
        words = [str(word) for word in json.loads(text)][1:]
    except (ValueError, TypeError):
        return {}
    values: dict[str, Any] = {}
    for index, word in enumerate(words):
        if not word.startswith("--"):
            continue
        key, equals, value = word[2:].partition("=")
        following = words[index + 1] if index + 1 < len(words) else "--"
        found = value if equals else "true" if following.startswith("--") else following
        values[key] = (
            [*values[key], found]
            if isinstance(values.get(key), list)
            else [values[key], found]
            if key in values
            else found
        )
    return values


def _load(text: str) -> Mapping[str, Any]:
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _text(value: object) -> str:
    """One spelling for comparison: lists and comma strings alike, booleans as k3s prints them."""
    if isinstance(value, list | tuple):
        return ",".join(sorted(_text(item) for item in value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
