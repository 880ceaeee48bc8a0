"""The files that a kubeadm host needs: which template, with which variables, to which path. Pure; renders nothing."""

from collections.abc import Iterator
from typing import Any

from bootstrap.driver import TemplateUse
from bootstrap.model import Artifact, Facts, Host, Inventory, Lock


def templates(inventory: Inventory, facts: Facts | None = None, lock: Lock | None = None) -> list[TemplateUse]:
    """Every file of every host; without `facts` also each host's join.yaml, to be looked at."""
    return [use for host in inventory.hosts for use in host_templates(inventory, host, facts, lock)]


def host_templates(inventory: Inventory, host: Host, facts: Facts | None, lock: Lock | None) -> Iterator[TemplateUse]:  # noqa: ARG001
    """The lasting files of one host: all but join.yaml."""
    yield from ()


def join_use(inventory: Inventory, host: Host, *, server: str, mode: str) -> TemplateUse:
    """join.yaml of a host. `server` is ADDRESS:PORT, `mode` "controller" or "worker"."""
    raise NotImplementedError


def cluster_documents(inventory: Inventory) -> dict[str, dict[str, Any]]:
    """ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration as wanted, by kind."""
    raise NotImplementedError


def pki_artifacts(inventory: Inventory, host: Host) -> tuple[Artifact, ...]:
    """The 8 CA files of `kubeadm.pki` for a controller, as references; empty without them and for workers."""
    raise NotImplementedError
