"""The files that a kubeadm host needs: which template, with which variables, to which path. Pure; renders nothing."""

from collections.abc import Iterator
from typing import Any

from bootstrap.distros.kubeadm import bridge, layout, runtime
from bootstrap.distros.kubeadm.documents import (
    cluster_documents,
    config_documents,
    join_document,
    kubelet_patch,
    network_of,
    node_addresses,
)
from bootstrap.distros.kubeadm.images import pulled_images, vip_image
from bootstrap.distros.kubeadm.layout import ADMIN, effective, server_port
from bootstrap.distros.kubeadm.packages import FILES, LINKED, find_manager, uses_packages
from bootstrap.distros.kubeadm.payloads import PKI_FILES
from bootstrap.driver import TemplateUse
from bootstrap.facts import bracket
from bootstrap.model import Artifact, Facts, Host, Inventory, Lock

PRIVATE = "0600"
PROGRAM = "0755"


def templates(inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None) -> list[TemplateUse]:
    """Every file of every host.

    Without `facts` the files are those of a cluster yet to be made: addresses that only a host knows stand as comments,
    and each host but the first controller has its join.yaml, to be looked at.
    """
    uses = [use for host in inventory.hosts for use in host_templates(inventory, host, facts, lock)]
    return uses if facts is not None else [*uses, *_joins_of_new_cluster(inventory)]


def host_templates(inventory: Inventory, host: Host, facts: Facts | None, lock: Lock | None) -> Iterator[TemplateUse]:
    """The lasting files of one host: all but join.yaml."""
    if host.role.controls:
        yield _make_config(inventory, host, facts)
    yield from _patches(inventory, host)
    for artifact in pki_artifacts(inventory, host):
        yield _verbatim(host, artifact.path, artifact.content, artifact.mode)
    if host.role.controls and inventory.native.get("vip") and inventory.endpoint:
        yield TemplateUse(host.name, "kube-vip.yaml.j2", layout.KUBE_VIP, vip_variables(inventory, host), PRIVATE)
    yield from _repository(inventory, host, facts)
    yield from _services(inventory, host)
    yield from _runtime(inventory, host, facts)
    yield from _system(inventory, host)
    if inventory.native.get("cni") == "bridge":
        yield from _bridge(inventory, host, facts)
    yield TemplateUse(
        host.name, "prepare.sh.j2", layout.SCRIPT, _prepare_variables(inventory, host, facts, lock), PROGRAM
    )
    for file in host.files:
        yield _verbatim(host, file.path, file.content, file.mode, file.owner)


def _verbatim(host: Host, path: str, content: str, mode: str = "0644", owner: str = "root:root") -> TemplateUse:
    return TemplateUse(host.name, "verbatim.j2", path, {"content": content}, mode, owner)


def _head(inventory: Inventory, host: Host) -> dict[str, Any]:
    return {
        "cluster": inventory.cluster,
        "host": host.name,
        "role": "controller" if host.role.controls else "worker",
    }


# --- kubeadm -------------------------------------------------------------------------------------


def _make_config(inventory: Inventory, host: Host, facts: Facts | None) -> TemplateUse:
    variables = {
        **_head(inventory, host),
        "documents": config_documents(inventory, host, facts),
        "unknown_interface": _unknown_interface(inventory, host, facts),
    }
    return TemplateUse(host.name, "kubeadm.yaml.j2", layout.CONFIG, variables, PRIVATE)


def _unknown_interface(inventory: Inventory, host: Host, facts: Facts | None) -> str | None:
    return host.node_interface if not node_addresses(inventory, host, facts) else None


def join_use(inventory: Inventory, host: Host, *, server: str, mode: str, facts: Facts | None = None) -> TemplateUse:
    """join.yaml of a host, with references to `saved` values.

    `server` is ADDRESS:PORT of a live controller or of the endpoint, `mode` "controller" or "worker". The saved values
    are `join_token`, `ca_hash` (with `sha256:` before it) and, for a controller without `kubeadm.pki`, `certificate_key`.
    """
    variables = {
        **_head(inventory, host),
        "documents": [join_document(inventory, host, server=server, mode=mode, facts=facts)],
        "unknown_interface": _unknown_interface(inventory, host, facts),
    }
    return TemplateUse(host.name, "join.yaml.j2", layout.JOIN, variables, PRIVATE)


def _joins_of_new_cluster(inventory: Inventory) -> Iterator[TemplateUse]:
    """As for hosts that hold nothing yet: the first controller founds, the others ask the endpoint, or it."""
    founder = next(iter(inventory.controllers), None)
    if founder is None:
        return
    server = api_server(inventory, founder)
    for host in inventory.hosts:
        if host != founder:
            yield join_use(inventory, host, server=server, mode="controller" if host.role.controls else "worker")


def api_server(inventory: Inventory, controller: Host) -> str:
    """ADDRESS:PORT where the API is asked: the endpoint, or a controller where there is none."""
    if inventory.endpoint:
        return f"{bracket(inventory.endpoint.host)}:{inventory.endpoint.port}"
    address = (*controller.node_addresses, controller.connection.address)[0]
    return f"{bracket(address)}:{server_port(controller)}"


def _patches(inventory: Inventory, host: Host) -> Iterator[TemplateUse]:
    for name, text in layout.host_patches(host).items():
        yield _verbatim(host, f"{layout.PATCHES}/{name}", str(text), PRIVATE)
    if patch := kubelet_patch(inventory, host):
        variables = {**_head(inventory, host), "patch": patch}
        yield TemplateUse(host.name, "kubelet-patch.yaml.j2", layout.KUBELET_PATCH, variables, PRIVATE)


def pki_artifacts(inventory: Inventory, host: Host) -> tuple[Artifact, ...]:
    """The 8 CA files of `kubeadm.pki` for a controller, as references; empty without them and for workers."""
    given = inventory.native.get("pki") or {}
    if not host.role.controls:
        return ()
    return tuple(
        Artifact(
            host.name,
            f"{layout.PKI}/{name}",
            f"{given[name]}\n",
            "0644" if name.endswith(".crt") else PRIVATE,
        )
        for name in PKI_FILES
        if name in given
    )


def vip_variables(inventory: Inventory, host: Host, kubeconfig: str = ADMIN) -> dict[str, Any]:
    """What the manifest of kube-vip needs; `kubeconfig` is super-admin.conf while a founder's `init` runs.

    admin.conf has no rights before `init` is nearly done, and `init` waits for the address (kube-vip issue 684).
    """
    endpoint = inventory.endpoint
    address = endpoint.host if endpoint else ""
    return {
        **_head(inventory, host),
        "address": address,
        "prefix": "128" if ":" in address else "32",
        "port": str(server_port(host)),
        "interface": inventory.native["vip"]["interface"],
        "image": vip_image(inventory),
        "kubeconfig": kubeconfig,
    }


# --- the host around it --------------------------------------------------------------------------


def _repository(inventory: Inventory, host: Host, facts: Facts | None) -> Iterator[TemplateUse]:
    """Where the host's package manager finds Kubernetes, and whose signature it must carry."""
    given = inventory.native.get("repository")
    if not given or not uses_packages(inventory):
        return
    manager = find_manager(host, facts.get(host.name) if facts else None)
    path, key = FILES[manager]
    yield _verbatim(host, key, f"{given['key']}\n")
    variables = {**_head(inventory, host), "url": given["url"], "key": key}
    yield TemplateUse(host.name, f"packages-{manager}.j2", path, variables)


def _services(inventory: Inventory, host: Host) -> Iterator[TemplateUse]:
    variables = {"kubelet": LINKED[layout.KUBELET] if uses_packages(inventory) else layout.KUBELET}
    yield TemplateUse(host.name, "kubelet.service.j2", layout.KUBELET_UNIT, variables)
    yield TemplateUse(host.name, "10-kubeadm.conf.j2", layout.KUBELET_DROP_IN, variables)
    if runtime.is_released(host):
        yield TemplateUse(host.name, "containerd.service.j2", layout.CONTAINERD_UNIT, {})


def _runtime(inventory: Inventory, host: Host, facts: Facts | None) -> Iterator[TemplateUse]:
    template = runtime.containerd_template(inventory, host, facts)
    variables = runtime.containerd_variables(inventory, host, facts)
    yield TemplateUse(host.name, template, layout.CONTAINERD_CONFIG, variables, _mode(variables["own"]))
    for path, variables in runtime.registry_files(host).items():
        mode = _mode("".join([variables["server"], *variables["mirrors"]]))
        yield TemplateUse(host.name, "hosts.toml.j2", path, variables, mode)
    yield TemplateUse(host.name, "crictl.yaml.j2", layout.CRICTL_CONFIG, {"socket": layout.SOCKET})


def _mode(text: str) -> str:
    """A file with references in it is for root alone."""
    return PRIVATE if "${" in text else "0644"


def _system(inventory: Inventory, host: Host) -> Iterator[TemplateUse]:
    if loads_modules(host):
        yield TemplateUse(host.name, "modules.conf.j2", layout.MODULES, {})
    yield TemplateUse(host.name, "sysctl.conf.j2", layout.SYSCTL, _families(inventory))


def _families(inventory: Inventory) -> dict[str, bool]:
    pods = network_of(inventory)[0]
    return {"ipv4": any(":" not in text for text in pods), "ipv6": any(":" in text for text in pods)}


def loads_modules(host: Host) -> bool:
    return effective(host, "runtime_options").get("load_modules") is not False


def _bridge(inventory: Inventory, host: Host, facts: Facts | None) -> Iterator[TemplateUse]:
    conflist = bridge.conflist_variables(inventory, host, facts)
    yield TemplateUse(host.name, "bridge.conflist.j2", layout.CONFLIST, dict(conflist))
    routes = {**_head(inventory, host), "routes": bridge.routes(inventory, host, facts)}
    yield TemplateUse(host.name, "routes.j2", layout.ROUTES, routes)
    script = {
        **_head(inventory, host),
        "routes": layout.ROUTES,
        "subnet": conflist["subnet"],
        "pods": network_of(inventory)[0][0],
        "iptables": "ip6tables" if ":" in conflist["subnet"] else "iptables",
        "family": "-6" if ":" in conflist["subnet"] else "-4",
    }
    yield TemplateUse(host.name, "routes.sh.j2", layout.ROUTES_SCRIPT, script, PROGRAM)
    yield TemplateUse(
        host.name, "routes.service.j2", layout.ROUTES_UNIT, {"script": layout.ROUTES_SCRIPT, "routes": layout.ROUTES}
    )


# --- the prepare script --------------------------------------------------------------------------


def _prepare_variables(inventory: Inventory, host: Host, facts: Facts | None, lock: Lock | None) -> dict[str, Any]:
    arch = facts[host.name].arch if facts and host.name in facts else host.arch
    released = runtime.is_released(host)
    plugins = runtime.plugin_folder(inventory, host, facts)
    packaged = runtime.packaged_plugins(host, facts)
    repository = runtime.image_repository(inventory)
    return {
        **_head(inventory, host),
        "version": inventory.version,
        "programs": layout.BINARIES,
        "sums": {name: _sha256(lock, name, inventory.version, arch) for name in layout.BINARIES},
        "archives": layout.RUNTIME_FILES if released else {},
        "config": layout.CONTAINERD_CONFIG,
        "socket": layout.SOCKET.removeprefix("unix://"),
        "linked_plugins": packaged if not released and plugins != packaged else "",
        "plugins": plugins,
        "modules": loads_modules(host),
        "sysctl": layout.SYSCTL,
        "swap_was_on": layout.SWAP_WAS_ON,
        "keeps_swap": effective(host, "kubelet").get("failSwapOn") is False,
        "images": layout.IMAGES,
        "image": f"{repository}/kube-proxy:{inventory.version}",
        "sandbox_image": runtime.sandbox_image(inventory),
        "digests": pulled_images(inventory, host, lock, arch) if lock and arch else {},
        "registries": layout.REGISTRIES,
        "routes_service": layout.ROUTES_SERVICE if inventory.native.get("cni") == "bridge" else "",
    }


def _sha256(lock: Lock | None, name: str, version: str, arch: str | None) -> str:
    file = lock.find(name, version, arch or "any") if lock else None
    return file.sha256 if file else ""


__all__ = [
    "api_server",
    "cluster_documents",
    "host_templates",
    "join_use",
    "pki_artifacts",
    "templates",
    "vip_variables",
]
