"""The files that a MicroK8s host needs: which template, with which variables, to which path. Pure; renders nothing."""

from collections.abc import Iterator
from typing import Any

from bootstrap.distros.microk8s import layout
from bootstrap.distros.microk8s.addons import choose_addons, list_repositories
from bootstrap.distros.microk8s.documents import fragments, launch_document, node_addresses
from bootstrap.distros.microk8s.layout import effective
from bootstrap.distros.microk8s.versions import channel_of
from bootstrap.driver import TemplateUse
from bootstrap.model import Facts, Host, Inventory, Lock

PRIVATE = "0600"
PKI_FILES = ("ca.crt", "ca.key")


def templates(inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None) -> list[TemplateUse]:  # noqa: ARG001 - snapd checks what it installs
    """Every file of every host, and those of the cluster that are for people."""
    uses = [use for host in inventory.hosts for use in host_templates(inventory, host, facts)]
    return [*uses, addons_script(inventory), join_order(inventory)]


def host_templates(inventory: Inventory, host: Host, facts: Facts | None = None) -> Iterator[TemplateUse]:
    """The files of one host. Those below `layout.CURRENT` have a place only once the snap is installed."""
    yield _launch_configuration(inventory, host, facts)
    yield from _fragments(inventory, host, facts)
    for name, text in effective(host, "registries", {}).items():
        yield _verbatim(host, f"{layout.REGISTRIES}/{name}/hosts.toml", _ended(str(text)), _mode(str(text)))
    if host.role.controls:
        pki = inventory.native.get("pki") or {}
        for name in PKI_FILES:
            if name in pki:
                yield _verbatim(host, f"{layout.PKI}/{name}", f"{pki[name]}\n", PRIVATE)
    for file in host.files:
        yield _verbatim(host, file.path, file.content, file.mode, file.owner)


def _verbatim(host: Host, path: str, content: str, mode: str = "0644", owner: str = "root:root") -> TemplateUse:
    return TemplateUse(host.name, "verbatim.j2", path, {"content": content}, mode, owner)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"


def _mode(text: str) -> str:
    """A file with references in it is for root alone."""
    return PRIVATE if "${" in text else "0644"


def _head(inventory: Inventory, host: Host) -> dict[str, Any]:
    return {
        "cluster": inventory.cluster,
        "host": host.name,
        "role": "controller" if host.role.controls else "worker",
    }


# --- hosts ---------------------------------------------------------------------------------------


def _launch_configuration(inventory: Inventory, host: Host, facts: Facts | None) -> TemplateUse:
    document = launch_document(inventory, host, facts)
    variables = {**_head(inventory, host), "document": document, "unknown_interface": _unknown_interface(host, facts)}
    return TemplateUse(host.name, "microk8s.yaml.j2", layout.LAUNCH_CONFIG, variables, _mode(str(document)))


def _unknown_interface(host: Host, facts: Facts | None) -> str | None:
    return host.node_interface if not node_addresses(host, facts) else None


def _fragments(inventory: Inventory, host: Host, facts: Facts | None) -> Iterator[TemplateUse]:
    for file, lines in fragments(inventory, host, facts).items():
        variables = {
            **_head(inventory, host),
            "file": f"{layout.ARGS}/{file}",
            "service": layout.unit(layout.READERS[file]),
            "lines": lines,
        }
        yield TemplateUse(host.name, "arguments.j2", f"{layout.FRAGMENTS}/{file}", variables, _mode("".join(lines)))


# --- the cluster, for people ---------------------------------------------------------------------


def addons_script(inventory: Inventory) -> TemplateUse:
    """addons.sh: what the add-ons are made with, one command a line, safe to run by hand on a controller."""
    variables = {
        "cluster": inventory.cluster,
        "version": inventory.version,
        "microk8s": layout.MICROK8S,
        "repositories": list(list_repositories(inventory)),
        "addons": choose_addons(inventory),
    }
    return TemplateUse(layout.CLUSTER_HOST, "addons.sh.j2", layout.ADDONS_SCRIPT, variables, "0755")


def join_order(inventory: Inventory) -> TemplateUse:
    """join-order.txt: who founds the cluster where there is none, and who joins it, in which order."""
    founder = next(iter(inventory.controllers), None)
    variables = {
        "cluster": inventory.cluster,
        "channel": channel_of(inventory),
        "founder": founder,
        "controllers": inventory.controllers[1:],
        "workers": inventory.workers,
    }
    return TemplateUse(layout.CLUSTER_HOST, "join-order.txt.j2", layout.JOIN_ORDER, variables)


__all__ = ["addons_script", "host_templates", "join_order", "templates"]
