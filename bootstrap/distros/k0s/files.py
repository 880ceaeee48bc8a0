"""The files that a k0s host needs: which template, with which variables, to which path. Pure; renders nothing."""

from collections.abc import Iterator
from typing import Any

from bootstrap.distros.k0s import environment, layout
from bootstrap.distros.k0s.documents import document, host_spec, install_flags, node_address
from bootstrap.distros.k0s.k0sctl import k0sctl_variables
from bootstrap.distros.k0s.layout import effective
from bootstrap.distros.k0s.placed import placed_files
from bootstrap.driver import TemplateUse
from bootstrap.model import Artifact, Facts, Host, Inventory, Lock, Role

PRIVATE = "0600"


def templates(inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None) -> list[TemplateUse]:
    """Every file of every host, and k0sctl.yaml for people: no host gets that one.

    Without `facts` the files are those of a cluster yet to be made: addresses that only a host knows stand as comments.
    """
    uses = [use for host in inventory.hosts for use in host_templates(inventory, host, facts, lock)]
    if facts is not None:
        return uses
    return [TemplateUse("_cluster", "k0sctl.yaml.j2", layout.K0SCTL, k0sctl_variables(inventory)), *uses]


def host_templates(
    inventory: Inventory,
    host: Host,
    facts: Facts | None,
    lock: Lock | None,  # noqa: ARG001 - nothing rendered depends on what is downloaded
) -> Iterator[TemplateUse]:
    """The files of one host."""
    if host.role.controls:
        yield _make_config(inventory, host, facts)
    yield TemplateUse(host.name, "install-flags.j2", layout.INSTALL_FLAGS, _flag_variables(inventory, host, facts))
    yield from _environment(host, facts)
    for artifact in (*pki_artifacts(inventory, host), *manifest_artifacts(host)):
        yield _verbatim(artifact)
    for file in placed_files(host):
        yield _verbatim(Artifact(host.name, file.path, file.content, file.mode, file.owner))


def _verbatim(artifact: Artifact) -> TemplateUse:
    content = {"content": artifact.content}
    return TemplateUse(artifact.host, "verbatim.j2", artifact.path, content, artifact.mode, artifact.owner)


def _head(inventory: Inventory, host: Host) -> dict[str, Any]:
    return {"cluster": inventory.cluster, "host": host.name, "role": host.role.value}


def _make_config(inventory: Inventory, host: Host, facts: Facts | None) -> TemplateUse:
    variables = {
        **_head(inventory, host),
        "document": document(host_spec(inventory, host, facts)),
        "unknown_address": not node_address(host, facts),
        "dynamic": layout.is_dynamic(inventory),
    }
    return TemplateUse(host.name, "k0s.yaml.j2", layout.CONFIG, variables, PRIVATE)


def _flag_variables(inventory: Inventory, host: Host, facts: Facts | None) -> dict[str, Any]:
    return {
        **_head(inventory, host),
        "kind": layout.kind(host),
        "flags": install_flags(inventory, host, facts),
        "unknown_address": host.role in (Role.WORKER, Role.CONTROLLER_WORKER) and not node_address(host, facts),
    }


def _environment(host: Host, facts: Facts | None) -> Iterator[TemplateUse]:
    """The service's variables; on a host that was not seen yet, as systemd wants them."""
    plain, secret = environment.variables(host), environment.secret_variables(host)
    if not plain and not secret:
        return
    init = facts[host.name].init if facts and host.name in facts else "systemd"
    path = layout.environment_path(host, init)
    if init == "openrc":
        values = {name: environment.shell_value(value) for name, value in {**plain, **secret}.items()}
        yield TemplateUse(host.name, "conf.d.j2", path, {"variables": values}, PRIVATE if secret else "0644")
        return
    values = {name: environment.systemd_value(value) for name, value in plain.items()}
    file = layout.SECRET_ENVIRONMENT if secret else ""
    yield TemplateUse(host.name, "env.conf.j2", path, {"variables": values, "file": file})
    if secret:
        yield TemplateUse(host.name, "environment.j2", layout.SECRET_ENVIRONMENT, {"variables": secret}, PRIVATE)


def pki_artifacts(inventory: Inventory, host: Host) -> tuple[Artifact, ...]:
    """The files of `k0s.pki` for a controller, as references; empty without them and for workers."""
    given = inventory.native.get("pki") or {}
    if not host.role.controls:
        return ()
    folder = layout.pki_folder(host)
    return tuple(
        Artifact(
            host.name, f"{folder}/{name}", f"{given[name]}\n", "0644" if name.endswith((".crt", ".pub")) else PRIVATE
        )
        for name in (*layout.PKI_FILES, *layout.ETCD_PKI_FILES)
        if name in given
    )


def manifest_artifacts(host: Host) -> tuple[Artifact, ...]:
    """The stacks of `k0s.manifests` for a controller: any of them may come to apply them."""
    given = effective(host, "manifests", {})
    if not host.role.controls or not isinstance(given, dict):
        return ()
    folder = layout.manifests_folder(host)
    return tuple(
        Artifact(host.name, f"{folder}/{name}", text, PRIVATE if "${" in text else "0644")
        for name, text in given.items()
        if isinstance(text, str)
    )


__all__ = ["host_templates", "manifest_artifacts", "pki_artifacts", "templates"]
