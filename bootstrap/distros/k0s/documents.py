"""k0s' documents as values: ClusterConfig of each controller, and what `k0s install` is told on a host. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from bootstrap.distros.k0s.fields import PER_HOST, SPEC
from bootstrap.distros.k0s.flags import flag_value, own_flags, split_arguments
from bootstrap.distros.k0s.layout import (
    API_VERSION,
    KIND,
    config_of,
    data_folder,
    effective,
    is_dynamic,
    is_single,
    lookup,
    server_port,
    storage_type,
)
from bootstrap.facts import bracket
from bootstrap.model import Facts, Host, Inventory, Role

Document = dict[str, Any]
# What k0s deploys in kube-system, by the word that disables it (docs.k0sproject.io/stable/system-monitoring).
WORKLOADS = {"coredns": "coredns", "metrics-server": "metrics-server", "konnectivity-server": "konnectivity-agent"}
PROVIDERS = {"kuberouter": "kube-router", "calico": "calico-node", "custom": ""}


# --- ClusterConfig -------------------------------------------------------------------------------


def document(spec: Mapping[str, Any]) -> Document:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "k0s"}, "spec": dict(spec)}


def cluster_spec(inventory: Inventory, facts: Facts | None = None) -> Document:
    """The `spec` that all controllers share, as spec.k0s.config of a k0sctl.yaml holds it."""
    return _complete(inventory, _cluster_config(inventory), facts)


def host_spec(inventory: Inventory, host: Host, facts: Facts | None = None) -> Document:
    """The `spec` of one controller: what all share, its own differences, and its own addresses.

    The same as k0sctl would write there, so that neither undoes what the other did: `sans` in its order, `peerAddress`
    also beside an external etcd. `api.address` stands there where k0s could take another one of the host's.
    """
    spec = _complete(inventory, own_config(inventory, host), facts)
    address = node_address(host, facts)
    if address and needs_address(spec, host):
        spec["api"] = {"address": address, **spec.get("api", {})}
    if address and storage_type(inventory) == "etcd":
        etcd = lookup(spec, "storage", "etcd") or {}
        spec["storage"] = {**spec["storage"], "etcd": {**etcd, "peerAddress": address}}
    return in_order(spec)


def own_config(inventory: Inventory, host: Host) -> Document:
    """The native `config` for a host: the cluster's, and the parts that a controller may have for itself."""
    shared, own = _cluster_config(inventory), config_of(host)
    for path in PER_HOST:
        if (value := lookup(own, *path)) is not None:
            _put(shared, path, value)
    return shared


def _cluster_config(inventory: Inventory) -> Document:
    config = inventory.native.get("config")
    return deepcopy(dict(config)) if isinstance(config, Mapping) else {}


def _put(values: Document, path: tuple[str, ...], value: Any) -> None:  # noqa: ANN401
    for name in path[:-1]:
        values[name] = dict(values.get(name) or {})
        values = values[name]
    values[path[-1]] = deepcopy(value)


def _complete(inventory: Inventory, spec: Document, facts: Facts | None) -> Document:
    """With what follows from the inventory's own fields, in the order in which people write it."""
    api = dict(spec.get("api") or {})
    if external := external_address(inventory):
        api["externalAddress"] = external
    api["sans"] = api_names(inventory, facts)
    spec["api"] = api
    spec["storage"] = {**(spec.get("storage") or {}), "type": storage_type(inventory)}
    if network := {**(spec.get("network") or {}), **network_fields(inventory)}:
        spec["network"] = network
    return in_order(spec)


def external_address(inventory: Inventory) -> str:
    """spec.api.externalAddress, or nothing: k0s refuses it beside node-local load balancing."""
    endpoint = inventory.endpoint
    if endpoint is None or balances_on_nodes(inventory):
        return ""
    port = server_port(inventory.controllers[0]) if inventory.controllers else endpoint.port
    return endpoint.host if endpoint.port == port else f"{bracket(endpoint.host)}:{endpoint.port}"


def balances_on_nodes(inventory: Inventory) -> bool:
    balancer = lookup(_cluster_config(inventory), "network", "nodeLocalLoadBalancing", "enabled")
    return balancer is True


def api_names(inventory: Inventory, facts: Facts | None = None) -> list[str]:
    """spec.api.sans: the inventory's, the endpoint, then each controller as it is reached and as it is known to others."""
    names = [*inventory.sans, *([inventory.endpoint.host] if inventory.endpoint else [])]
    for host in inventory.controllers:
        names += [host.connection.address, node_address(host, facts)]
    return list(dict.fromkeys(name for name in names if name))


def network_fields(inventory: Inventory) -> Document:
    """What the inventory's `network` is in k0s' words; podCIDR and serviceCIDR are IPv4 where there are two families."""
    found: Document = {}
    pods, services = inventory.network.pods, inventory.network.services
    for name, second, given in (
        ("podCIDR", "IPv6podCIDR", pods),
        ("serviceCIDR", "IPv6serviceCIDR", services),
    ):
        if len(given) == 2:
            first = sorted(given, key=lambda text: ":" in text)
            found[name] = first[0]
            found.setdefault("dualStack", {"enabled": True})[second] = first[1]
        elif given:
            found[name] = given[0]
    if inventory.network.domain:
        found["clusterDomain"] = inventory.network.domain
    if len(pods) == 2 and ":" in pods[0]:
        found["primaryAddressFamily"] = "IPv6"
    return found


def needs_address(spec: Mapping[str, Any], host: Host) -> bool:
    """Whether api.address must be said: k0s takes the first address of the host that is not private to it.

    That is the wrong one where the person chose another one than ssh goes to.
    """
    api = spec.get("api") or {}
    if api.get("address"):
        return False
    chosen = host.node_addresses[0] if host.node_addresses else ""
    return api.get("onlyBindToAddress") is True or bool(
        host.node_interface or (chosen and chosen != host.connection.address)
    )


def node_local(spec: Mapping[str, Any]) -> Document:
    """With dynamic configuration: what k0s reads from the file of each controller, and nowhere else."""
    found: Document = {}
    for path in PER_HOST:
        if (value := lookup(spec, *path)) is not None:
            _put(found, path, value)
    return found


def cluster_wide(spec: Mapping[str, Any]) -> Document:
    """With dynamic configuration: what lives in the cluster, in the object `k0s` of kube-system."""
    found = deepcopy(dict(spec))
    for path in PER_HOST:
        parent = lookup(found, *path[:-1]) if path[:-1] else found
        if isinstance(parent, dict):
            parent.pop(path[-1], None)
    return {name: value for name, value in found.items() if value != {}}


def in_order(spec: Mapping[str, Any]) -> Document:
    """The fields in the order in which people write them, mappings inside too; unknown ones behind."""
    ordered = _order(SPEC, spec)
    return ordered if isinstance(ordered, dict) else {}


def _order(known: object, value: object) -> object:
    if not isinstance(known, Mapping) or not isinstance(value, Mapping):
        return value
    names = [*(name for name in known if name in value), *(name for name in value if name not in known)]
    return {name: _order(known.get(name), value[name]) for name in names}


# --- addresses -----------------------------------------------------------------------------------


def node_address(host: Host, facts: Facts | None = None) -> str:
    """The address by which other hosts reach this one; nothing while only the host itself knows it.

    Given, or of the interface that is given, or what ssh goes to when that is one of its own; else what was observed.
    """
    if host.node_addresses:
        return host.node_addresses[0]
    seen = facts[host.name] if facts and host.name in facts else None
    if host.node_interface:
        return next(iter(seen.node_addresses(host)), "") if seen else ""
    reached = host.connection.address
    if _is_address(reached):
        own = {address for interface in seen.interfaces for address in interface.addresses} if seen else {reached}
        if reached in own or not own:
            return reached
    return next(iter(seen.node_addresses(host)), "") if seen else ""


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


# --- k0s install ---------------------------------------------------------------------------------


def install_flags(inventory: Inventory, host: Host, facts: Facts | None = None) -> list[str]:
    """What `k0s install controller|worker` is told, sorted as k0s sorts it in the unit; without --force and --token-file.

    Spelled `--name=value` throughout, for k0sctl compares letters.
    """
    flags = [*given_flags(inventory, host), f"--data-dir={data_folder(host)}"]
    if folder := effective(host, "kubeletRootDir"):
        flags.append(f"--kubelet-root-dir={str(folder).rstrip('/')}")
    if host.role.controls:
        flags.append("--config=/etc/k0s/k0s.yaml")
    flags += role_flags(host)
    if arguments := kubelet_arguments(host, facts):
        flags = [flag for flag in flags if not flag.startswith("--kubelet-extra-args=")]
        flags.append(f"--kubelet-extra-args={' '.join(arguments)}")
    return sorted(flags, key=lambda flag: flag.partition("=")[0])


def given_flags(inventory: Inventory, host: Host) -> list[str]:
    """The flags of the inventory: those that k0sctl does not add by itself."""
    flags = own_flags(host)
    if is_dynamic(inventory) and host.role.controls:
        flags.append("--enable-dynamic-config=true")
    if host.role.takes_work and (profile := effective(host, "profile")):
        flags.append(f"--profile={profile}")
    return flags


def role_flags(host: Host) -> list[str]:
    if host.role is Role.SINGLE:
        return ["--single=true"]
    if host.role is Role.CONTROLLER_WORKER:
        return ["--enable-worker=true", *(["--no-taints=true"] if effective(host, "noTaints") is True else [])]
    return []


def kubelet_arguments(host: Host, facts: Facts | None = None) -> list[str]:
    """The kubelet's arguments, those of the inventory first; none on a host without a kubelet.

    A single node has nobody who must find it, so it gets an address only where one is chosen.
    """
    if not host.role.takes_work:
        return []
    flags = own_flags(host)
    arguments = split_arguments(flag_value(flags, "kubelet-extra-args") or "")
    addresses = list(host.node_addresses) or [node_address(host, facts)]
    chosen = host.role is not Role.SINGLE or host.node_addresses or host.node_interface
    if addresses[0] and chosen and flag_value(flags, "enable-cloud-provider") != "true":
        arguments.append(f"--node-ip={','.join(addresses)}")
    return [*arguments, f"--hostname-override={host.name}"]


# --- what runs in it -----------------------------------------------------------------------------


def list_workloads(inventory: Inventory) -> list[str]:
    """Names in kube-system that must be there when the cluster is well."""
    disabled = _disabled(inventory)
    config = _cluster_config(inventory)
    found = [name for word, name in WORKLOADS.items() if word not in disabled]
    if is_single(inventory) and "konnectivity-agent" in found:
        found.remove("konnectivity-agent")
    if "kube-proxy" not in disabled and not lookup(config, "network", "kubeProxy", "disabled"):
        found.append("kube-proxy")
    provider = PROVIDERS.get(str(lookup(config, "network", "provider") or "kuberouter"), "")
    if provider and "network-provider" not in disabled:
        found.append(provider)
    return found


def _disabled(inventory: Inventory) -> set[str]:
    flags: Iterable[str] = own_flags(inventory.controllers[0]) if inventory.controllers else ()
    value = flag_value(list(flags), "disable-components") or ""
    return set(value.split(","))
