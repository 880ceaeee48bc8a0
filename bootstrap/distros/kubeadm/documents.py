"""kubeadm's documents as values: what the inventory's own fields and the native sections make of them. Pure."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from bootstrap.distros.kubeadm.fields import sections
from bootstrap.distros.kubeadm.layout import API_PORT, PATCHES, SOCKET, effective, is_patched, server_port
from bootstrap.distros.kubeadm.versions import KUBELET_API, PROXY_API, config_api
from bootstrap.facts import bracket
from bootstrap.membership import kubelet_may_set
from bootstrap.model import Facts, Host, Inventory
from bootstrap.plan import wanted_marks

PODS, SERVICES, DOMAIN = ("10.244.0.0/16",), ("10.96.0.0/12",), "cluster.local"
TOKEN_LIFE = "24h0m0s"  # noqa: S105 - a duration
SAVED_TOKEN, SAVED_CA, SAVED_CERTIFICATES = "${saved:join_token}", "${saved:ca_hash}", "${saved:certificate_key}"
Document = dict[str, Any]


# --- the cluster's own documents -----------------------------------------------------------------


def cluster_documents(inventory: Inventory) -> dict[str, Document]:
    """ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration as wanted, by kind.

    They are what kubeadm keeps in the ConfigMaps kubeadm-config, kubelet-config and kube-proxy, before its defaults.
    Without kube-proxy its document is left out.
    """
    native = inventory.native
    kubelet = {"cgroupDriver": "systemd", **native.get("kubelet", {})}
    found = {
        "ClusterConfiguration": _cluster(inventory),
        "KubeletConfiguration": _document(KUBELET_API, "KubeletConfiguration", kubelet),
    }
    if not _lookup(native, "cluster", "proxy", "disabled"):
        found["KubeProxyConfiguration"] = _document(PROXY_API, "KubeProxyConfiguration", native.get("proxy", {}))
    return found


def _cluster(inventory: Inventory) -> Document:
    native = dict(inventory.native.get("cluster") or {})
    pods, services, domain = network_of(inventory)
    native["networking"] = {"serviceSubnet": ",".join(services), "podSubnet": ",".join(pods), "dnsDomain": domain}
    native["kubernetesVersion"] = inventory.version
    native["clusterName"] = inventory.cluster
    if inventory.endpoint:
        native["controlPlaneEndpoint"] = f"{bracket(inventory.endpoint.host)}:{inventory.endpoint.port}"
    if names := api_names(inventory):
        native["apiServer"] = {**(native.get("apiServer") or {}), "certSANs": names}
    if inventory.native.get("cni") == "bridge":
        native["controllerManager"] = _keep_ranges(native.get("controllerManager") or {})
    return _document(config_api(inventory.version), "ClusterConfiguration", in_order("cluster", native))


def _keep_ranges(component: Mapping[str, Any]) -> Document:
    """Hosts have pod ranges of their own, so the controller manager shall give none."""
    arguments = [*(component.get("extraArgs") or ()), {"name": "allocate-node-cidrs", "value": "false"}]
    return {**component, "extraArgs": arguments}


def network_of(inventory: Inventory) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Pod ranges, service ranges and domain, kubeadm's usual ones where none are given."""
    network = inventory.network
    return network.pods or PODS, network.services or SERVICES, network.domain or DOMAIN


def api_names(inventory: Inventory) -> list[str]:
    """Names for the API's certificate that kubeadm would not put in by itself.

    It adds the endpoint, the node's name and its advertised address. A controller that is reached at another name or
    address needs that one too; all controllers share the list, for it lies in the cluster's configuration.
    """
    reached = (host.connection.address for host in inventory.controllers if _is_other(host))
    return list(dict.fromkeys([*inventory.sans, *reached]))


def _is_other(host: Host) -> bool:
    """Whether people reach a controller at something else than its node address, and it is no alias of ssh's."""
    address = host.connection.address
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "." in address and not address.endswith(".localhost")
    own = bool(host.node_addresses or host.node_interface)
    return own and not ip.is_loopback and address not in host.node_addresses


# --- the documents of one host -------------------------------------------------------------------


def config_documents(inventory: Inventory, host: Host, facts: Facts | None = None) -> list[Document]:
    """kubeadm.yaml of a controller: InitConfiguration, then the cluster's documents."""
    shared = cluster_documents(inventory)
    if not inventory.native.get("proxy"):
        shared.pop("KubeProxyConfiguration", None)
    return [init_document(inventory, host, facts), *shared.values()]


def init_document(inventory: Inventory, host: Host, facts: Facts | None = None) -> Document:
    """InitConfiguration of a controller. A token stands in it only when the inventory gives one."""
    native = dict(inventory.native.get("init") or {})
    if inventory.token:
        native["bootstrapTokens"] = [{"token": inventory.token.text, "ttl": TOKEN_LIFE}]
    native["nodeRegistration"] = registration(inventory, host, facts)
    if point := api_point(inventory, host, facts):
        native["localAPIEndpoint"] = point
    if has_patches(inventory, host):
        native["patches"] = {"directory": PATCHES}
    return _document(config_api(inventory.version), "InitConfiguration", in_order("init", native))


def join_document(inventory: Inventory, host: Host, *, server: str, mode: str, facts: Facts | None = None) -> Document:
    """JoinConfiguration of a host, with references to what a live controller gives."""
    native = dict(inventory.native.get("join") or {})
    native["nodeRegistration"] = registration(inventory, host, facts)
    native["discovery"] = {
        "bootstrapToken": {"token": SAVED_TOKEN, "apiServerEndpoint": server, "caCertHashes": [SAVED_CA]}
    }
    if mode == "controller":
        native["controlPlane"] = _control_plane(inventory, host, facts)
    if has_patches(inventory, host):
        native["patches"] = {"directory": PATCHES}
    return _document(config_api(inventory.version), "JoinConfiguration", in_order("join", native))


def _control_plane(inventory: Inventory, host: Host, facts: Facts | None) -> Document:
    """Never empty: its presence makes the host a controller, and YAML readers drop what is nothing."""
    point = api_point(inventory, host, facts) or {"bindPort": API_PORT}
    key = {} if inventory.native.get("pki") else {"certificateKey": SAVED_CERTIFICATES}
    return {"localAPIEndpoint": point, **key}


def registration(inventory: Inventory, host: Host, facts: Facts | None = None) -> Document:
    """nodeRegistration of a host, at init and join."""
    native = dict(effective(host, "node"))
    own = kubelet_arguments(inventory, host, facts)
    if arguments := [*own, *(native.get("kubeletExtraArgs") or ())]:
        native["kubeletExtraArgs"] = arguments
    native["name"] = host.name
    native.setdefault("criSocket", SOCKET)
    native["taints"] = [_taint(text) for text in wanted_marks(host).taints.values()]
    return in_order("node", native)


def _taint(text: str) -> Document:
    mark, _, effect = text.rpartition(":")
    key, _, value = mark.partition("=")
    return {"key": key, **({"value": value} if value else {}), "effect": effect}


def kubelet_arguments(inventory: Inventory, host: Host, facts: Facts | None = None) -> list[Document]:
    """The kubelet's arguments that follow from the inventory: its addresses, and the labels that it may set itself."""
    addresses = node_addresses(inventory, host, facts)
    labels = [f"{name}={value}" for name, value in host.labels.items() if kubelet_may_set(name)]
    given = {"node-ip": addresses, "node-labels": labels}
    return [{"name": name, "value": ",".join(values)} for name, values in given.items() if values]


def api_point(inventory: Inventory, host: Host, facts: Facts | None = None) -> Document:
    """localAPIEndpoint: the first node address where one is chosen, and a port of its own."""
    addresses = node_addresses(inventory, host, facts)
    port = server_port(host)
    return {
        **({"advertiseAddress": addresses[0]} if addresses else {}),
        **({"bindPort": port} if port != API_PORT else {}),
    }


def node_addresses(inventory: Inventory, host: Host, facts: Facts | None = None) -> list[str]:
    """The node's addresses where they are chosen, one of each family that the pods have; else kubeadm takes its own."""
    if host.node_addresses:
        return list(host.node_addresses)
    if not host.node_interface or not facts or host.name not in facts:
        return []
    found = seen_addresses(inventory, host, facts)
    families = [_family(network) for network in network_of(inventory)[0]]
    return [next(a for a in found if _family(a) == family) for family in families if family in map(_family, found)]


def seen_addresses(inventory: Inventory, host: Host, facts: Facts | None) -> list[str]:
    """What a host itself has on its interface; a virtual IP that it carries at the moment is none of its own."""
    shared = inventory.endpoint.host if inventory.endpoint else ""
    seen = facts[host.name].node_addresses(host) if facts and host.name in facts else ()
    return [address for address in seen if address != shared]


def _family(text: str) -> int:
    return 6 if ":" in text else 4


# --- patches -------------------------------------------------------------------------------------


def kubelet_patch(inventory: Inventory, host: Host) -> Document:
    """What differs on a host from the cluster's KubeletConfiguration, as a strategic merge patch; empty without."""
    shared: Mapping[str, Any] = inventory.native.get("kubelet") or {}
    changes = difference(shared, effective(host, "kubelet"))
    return _document(KUBELET_API, "KubeletConfiguration", in_order("kubelet", changes)) if changes else {}


def difference(shared: Mapping[str, Any], own: Mapping[str, Any]) -> Document:
    """What turns `shared` into `own` when it is merged in: a field that is to go is null."""
    changes: Document = {}
    for name, value in own.items():
        before = shared.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := difference(before, value):
                changes[name] = inner
        elif name not in shared or value != before:
            changes[name] = value
    return {**changes, **{name: None for name in shared if name not in own}}


def has_patches(inventory: Inventory, host: Host) -> bool:
    """Whether anything is to lie in the folder of patches."""
    return is_patched(host) or bool(kubelet_patch(inventory, host))


# --- words ---------------------------------------------------------------------------------------


def _document(api: str, kind: str, fields: Mapping[str, Any]) -> Document:
    return {"apiVersion": api, "kind": kind, **fields}


def in_order(section: str, fields: Mapping[str, Any]) -> Document:
    """The fields in the order of upstream's types, those that are unknown here behind them."""
    known = sections()[section]
    return {name: fields[name] for name in _order(known, fields)}


def _order(known: Iterable[str], fields: Mapping[str, Any]) -> list[str]:
    first = [name for name in known if name in fields]
    return [*first, *(name for name in fields if name not in first)]


def _lookup(values: Mapping[str, Any], *path: str) -> Any:  # noqa: ANN401
    found: Any = values
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
