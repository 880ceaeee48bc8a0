"""The files that k3s needs on each host: which template, with which variables, to which path. Pure; renders nothing."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.k3s.keys import keys
from bootstrap.distros.k3s.layout import (
    BINARY,
    CONFIG,
    INSTALLER,
    JOIN,
    REGISTRATION,
    REGISTRIES,
    SCRIPT,
    data_folder,
    effective,
    server_port,
    service,
)
from bootstrap.driver import TemplateUse
from bootstrap.facts import bracket
from bootstrap.membership import kubelet_may_set
from bootstrap.model import Artifact, Facts, Host, Inventory, Lock
from bootstrap.plan import wanted_marks

GENERATED_TOKEN = "${generated:token}"  # noqa: S105 - a reference
PRIVATE = "0600"


def templates(inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None) -> list[TemplateUse]:
    """Every file of every host.

    Without `facts` the files are those of a cluster yet to be made: the first controller founds it, and addresses that
    only a host knows stand as comments. With `lock` the install script checks sha256 sums too.
    """
    return [use for host in inventory.hosts for use in host_templates(inventory, host, facts, lock)]


def host_templates(inventory: Inventory, host: Host, facts: Facts | None, lock: Lock | None) -> Iterator[TemplateUse]:
    """The files of one host, the same as `templates` gives for it."""
    yield TemplateUse(host.name, "config.yaml.j2", CONFIG, _config_variables(inventory, host, facts), PRIVATE)
    yield _verbatim(host, JOIN, _join_of_new_cluster(inventory, host), PRIVATE)
    marks = {"labels": _kubelet_labels(host), "taints": list(wanted_marks(host).taints.values())}
    if any(marks.values()):
        yield TemplateUse(host.name, "registration.yaml.j2", REGISTRATION, marks, PRIVATE)
    if host.native.get("registries"):
        variables = {"registries": host.native["registries"]}
        yield TemplateUse(host.name, "registries.yaml.j2", REGISTRIES, variables, PRIVATE)
    yield TemplateUse(host.name, "install.sh.j2", SCRIPT, _install_variables(inventory, host, facts, lock), "0755")
    if host.role.controls:
        for name, text in (host.native.get("manifests") or {}).items():
            yield _verbatim(host, f"{data_folder(host)}/server/manifests/{name}", str(text), PRIVATE)
    for file in host.files:
        yield _verbatim(host, file.path, file.content, file.mode, file.owner)


def _verbatim(host: Host, path: str, content: str, mode: str, owner: str = "root:root") -> TemplateUse:
    return TemplateUse(host.name, "verbatim.j2", path, {"content": content}, mode, owner)


# --- config.yaml ---------------------------------------------------------------------------------


def _config_variables(inventory: Inventory, host: Host, facts: Facts | None) -> dict[str, Any]:
    native = native_keys(host)
    addresses = node_addresses(inventory, host, facts)
    unknown = host.node_interface if host.node_interface and not addresses else None
    return {
        "cluster": inventory.cluster,
        "host": host.name,
        "role": _role(host),
        "token": _token(inventory, host),
        "node_ips": addresses,
        "unknown_interface": unknown,
        "flannel_interface": _flannel_interface(inventory, host),
        "sans": api_names(inventory, host) if host.role.controls else [],
        "network": inventory.network if host.role.controls else None,
        "native": native,
    }


def _role(host: Host) -> str:
    return "server" if host.role.controls else "agent"


def native_keys(host: Host) -> dict[str, dict[str, Any]]:
    """The native keys of a host by section, in the order written, each key in the section that decides it.

    A key under `config` that only servers have goes to servers alone, for an agent would die of it.
    """
    role = _role(host)
    own = host.native.get(role) or {}
    shared = {name: value for name, value in (host.native.get("config") or {}).items() if name not in own}
    sections = {"config": shared, role: own}
    return {section: kept for section, values in sections.items() if (kept := _keep(values, host))}


def _keep(values: Mapping[str, Any], host: Host) -> dict[str, Any]:
    return {name: value for name, value in values.items() if _belongs_in_config(name, host)}


def _belongs_in_config(name: str, host: Host) -> bool:
    key = keys().get(name)
    if name == "cluster-init":  # decides who founds, which is written to the join file
        return False
    return key is None or (key.server if host.role.controls else key.agent)


def _token(inventory: Inventory, host: Host) -> str:
    """Agents get the agent token where there is one: it lets nobody join a server."""
    own = inventory.token.text if inventory.token else GENERATED_TOKEN
    if host.role.controls:
        return own
    given = (effective(server).get("agent-token") for server in inventory.controllers)
    return next((str(token) for token in given if token), own)


def node_addresses(inventory: Inventory, host: Host, facts: Facts | None = None) -> list[str]:
    """Addresses for `node-ip`, one of each family that the pods have; empty leaves the choice to k3s (the default route's)."""
    if host.node_addresses:
        return list(host.node_addresses)
    if not host.node_interface or not facts or host.name not in facts:
        return []
    found = facts[host.name].node_addresses(host)
    families = [_family(network) for network in inventory.network.pods] or [4]
    return [next(a for a in found if _family(a) == family) for family in families if family in map(_family, found)]


def _family(text: str) -> int:
    return 6 if ":" in text else 4


def _flannel_interface(inventory: Inventory, host: Host) -> str | None:
    """Pod traffic takes the node's interface; by itself flannel would take the default route's."""
    backends = (effective(server).get("flannel-backend") for server in inventory.controllers)
    given = {"flannel-iface", "vpn-auth", "vpn-auth-file"} & effective(host).keys()
    return host.node_interface if not given and "none" not in backends else None


def api_names(inventory: Inventory, host: Host) -> list[str]:
    """Names for the API's certificate: the endpoint, those given, and the host's own address.

    Other controllers' addresses are left out: each adds its own to the certificate that all share, so a further
    controller changes no file of the ones that run.
    """
    endpoint = [inventory.endpoint.host] if inventory.endpoint else []
    own = [host.connection.address] if _is_reachable_name(host.connection.address) else []
    return list(dict.fromkeys([*endpoint, *inventory.sans, *own]))


def _is_reachable_name(address: str) -> bool:
    """An address or a full name: not loopback (a forwarded port), not an alias that only ssh knows."""
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return "." in address and not address.endswith(".localhost")


def _kubelet_labels(host: Host) -> list[str]:
    """Labels that a kubelet may set on its own Node; the others are set through the API."""
    return [f"{name}={value}" for name, value in host.labels.items() if kubelet_may_set(name)]


# --- who founds, who joins -----------------------------------------------------------------------


def join_file(*, founds_etcd: bool, server_url: str) -> str:
    """config.yaml.d/10-join.yaml: how a host gets into the cluster. k3s passes over it once the host is in."""
    if founds_etcd:
        return "# This server founds the etcd cluster.\ncluster-init: true\n"
    if server_url:
        return f"# Where this host asks to join.\nserver: {server_url}\n"
    return (
        "# Nothing to join: this server keeps the cluster in its own datastore, or in the one that config.yaml names.\n"
    )


def join_artifact(host: Host, *, founds_etcd: bool, server_url: str) -> Artifact:
    """The join file of a host as the facts decide it; without etcd and without a URL the host founds or needs neither."""
    return Artifact(host.name, JOIN, join_file(founds_etcd=founds_etcd, server_url=server_url), PRIVATE)


def _join_of_new_cluster(inventory: Inventory, host: Host) -> str:
    """As for hosts that hold nothing yet: the first controller founds, the others ask it."""
    external = any(effective(server).get("datastore-endpoint") for server in inventory.controllers)
    founder = inventory.controllers[0] if inventory.controllers else host
    if host == founder or (external and host.role.controls):
        asked = any(effective(server).get("cluster-init") for server in inventory.controllers)
        return join_file(founds_etcd=not external and (asked or len(inventory.controllers) > 1), server_url="")
    address = (*founder.node_addresses, founder.connection.address)[0]
    return join_file(founds_etcd=False, server_url=f"https://{bracket(address)}:{server_port(founder)}")


# --- the install script --------------------------------------------------------------------------


def _install_variables(inventory: Inventory, host: Host, facts: Facts | None, lock: Lock | None) -> dict[str, Any]:
    arch = facts[host.name].arch if facts and host.name in facts else host.arch
    return {
        "cluster": inventory.cluster,
        "host": host.name,
        "role": _role(host),
        "service": service(host),
        "version": inventory.version,
        "binary": BINARY,
        "installer": INSTALLER,
        "config": CONFIG,
        "join": JOIN,
        "binary_sha256": _sha256(lock, "k3s", inventory.version, arch),
        "installer_sha256": _sha256(lock, "install.sh", inventory.version, arch),
    }


def _sha256(lock: Lock | None, name: str, version: str, arch: str | None) -> str:
    file = lock.find(name, version, arch or "any") if lock else None
    return file.sha256 if file else ""
