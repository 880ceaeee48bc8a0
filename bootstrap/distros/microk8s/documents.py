"""The launch configuration and the arguments of one host, as values. Pure; writes no text."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.microk8s.addons import dns_address
from bootstrap.distros.microk8s.fields import ARGUMENT_KEYS, CONTROLLER_FILES, WORKER_FILES
from bootstrap.distros.microk8s.layout import arguments_of, effective
from bootstrap.distros.microk8s.network import DOMAIN, api_addresses, cni_variables, domain_of
from bootstrap.model import Facts, Host, Inventory

LAUNCH_VERSION = "0.1.0"  # of the launch configuration's format, as the snap's own default has it
Arguments = dict[str, str | None]  # None: the argument goes
Document = dict[str, Any]


def launch_document(inventory: Inventory, host: Host, facts: Facts | None = None) -> Document:
    """What /etc/microk8s.yaml says: this node's settings.

    No add-ons and no join stand in it: the agent would run them again and again, and tell nobody how they end. The
    snap's own default has dns among its add-ons, and so does not count here.
    """
    files = arguments(inventory, host, facts)
    document: Document = {"version": LAUNCH_VERSION}
    document |= {key: files[file] for file, key in ARGUMENT_KEYS.items() if files.get(file)}
    if cni := {**cni_variables(inventory), **_fragment(host).get("extraCNIEnv", {})}:
        document["extraCNIEnv"] = cni
    if host.role.controls and (names := api_names(inventory, host)):
        document["extraSANs"] = names
    if variables := containerd_variables(host):
        document["extraContainerdEnv"] = variables
    if registries := dict(effective(host, "registries", {})):
        document["containerdRegistryConfigs"] = registries
    document |= {key: value for key, value in _fragment(host).items() if key != "extraCNIEnv"}
    if domain := failure_domain(host):
        own = document.get("extraConfigFiles") or {}
        document["extraConfigFiles"] = {**own, "ha-conf": f"failure-domain={domain}\n"}
    return document


def _fragment(host: Host) -> Mapping[str, Any]:
    fragment = effective(host, "fragment", {})
    return fragment if isinstance(fragment, Mapping) else {}


# --- arguments -----------------------------------------------------------------------------------


def arguments(inventory: Inventory, host: Host, facts: Facts | None = None) -> dict[str, Arguments]:
    """File of arguments -> what shall stand in it on this host; the rest of each file is the snap's.

    Ranges are not among them: the snap writes those itself, once, by `extraCNIEnv`.
    """
    return {
        file: found
        for file in ARGUMENT_KEYS
        if reads(host, file) and (found := {**_own_arguments(inventory, host, file, facts), **_given(host, file)})
    }


def reads(host: Host, file: str) -> bool:
    """Whether a service that runs on this host reads this file."""
    return file not in (WORKER_FILES if host.role.controls else CONTROLLER_FILES)


def _own_arguments(inventory: Inventory, host: Host, file: str, facts: Facts | None) -> Arguments:
    addresses = node_addresses(host, facts)
    if file == "kubelet":
        dns = dns_address(inventory)
        given = {
            "--node-ip": ",".join(addresses),
            "--cluster-domain": domain_of(inventory) if dns else "",
            "--cluster-dns": dns,
        }
        return {name: value for name, value in given.items() if value}
    if file == "kube-apiserver" and addresses:
        return {"--advertise-address": addresses[0]}
    return {}


def _given(host: Host, file: str) -> Arguments:
    return {name: _text(value) for name, value in arguments_of(host, file).items()}


def _text(value: object) -> str | None:
    """An argument's value as its file holds it; an empty text takes the argument away."""
    if value == "":
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def node_addresses(host: Host, facts: Facts | None = None) -> tuple[str, ...]:
    """The node's addresses where they are chosen; else the snap takes the default route's."""
    if host.node_addresses:
        return host.node_addresses
    if not host.node_interface or not facts or host.name not in facts:
        return ()
    return tuple(facts[host.name].node_addresses(host))


def containerd_variables(host: Host) -> Arguments:
    """containerd's environment."""
    return {name: _text(value) for name, value in effective(host, "containerdEnv", {}).items()}


def failure_domain(host: Host) -> int | None:
    """The number of what fails together, on hosts that may hold dqlite's data."""
    value = effective(host, "failureDomain")
    return value if host.role.controls and isinstance(value, int) else None


def fragments(inventory: Inventory, host: Host, facts: Facts | None = None) -> dict[str, list[str]]:
    """File below ARGS -> the lines of its fragment: `NAME=VALUE` shall stand there, `!NAME` shall not.

    A join writes kubelet's arguments anew, and later changes never pass through the launch configuration: the fragments
    say what must be so at all times.
    """
    files = {file: list(_lines(given)) for file, given in arguments(inventory, host, facts).items()}
    files["containerd-env"] = list(_lines(containerd_variables(host)))
    if domain := failure_domain(host):
        files["ha-conf"] = [f"failure-domain={domain}"]
    return {file: lines for file, lines in files.items() if lines}


def _lines(given: Arguments) -> Iterator[str]:
    for name, value in given.items():
        yield f"!{name}" if value is None else f"{name}={value}"


# --- names ---------------------------------------------------------------------------------------


def api_names(inventory: Inventory, host: Host) -> list[str]:
    """Names for the API's certificate on a controller that MicroK8s would not put in by itself.

    It adds all addresses of the host, cluster.local's names and 10.152.183.1, which are fixed in its template.
    """
    names = list(inventory.sans)
    if inventory.endpoint:
        names.insert(0, inventory.endpoint.host)
    if inventory.network.services:
        names += api_addresses(inventory)
    if domain_of(inventory) != DOMAIN:
        names.append(f"kubernetes.default.svc.{domain_of(inventory)}")
    if _is_other(host):
        names.append(host.connection.address)
    return list(dict.fromkeys(names))


def _is_other(host: Host) -> bool:
    """Whether people reach a controller at something that is no address of it, and no alias of ssh's."""
    address = host.connection.address
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "." in address and not address.endswith(".localhost")
    return bool(host.node_addresses) and not ip.is_loopback and address not in host.node_addresses
