"""Checks the native keys of a MicroK8s inventory: known, of the right form, at the right place. Pure."""

from collections.abc import Iterator

from bootstrap.distros.microk8s.addon_checks import check_addons
from bootstrap.distros.microk8s.arguments import check_arguments, check_environment
from bootstrap.distros.microk8s.fields import CLUSTER_SECTIONS
from bootstrap.distros.microk8s.launch import check_fragment
from bootstrap.distros.microk8s.payloads import (
    check_files,
    check_pki,
    check_registries,
    check_repositories,
    check_sideload,
)
from bootstrap.distros.microk8s.ranges import check_endpoint, check_network
from bootstrap.distros.microk8s.upstream import ARCHES
from bootstrap.distros.microk8s.versions import check_channel, check_version
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Section, find_sections


def check_native(inventory: Inventory) -> list[NativeProblem]:
    """Every mistake in the version, the native sections and the add-ons, in the order of the document's layers."""
    problems = list(_check_version(inventory))
    for section in find_sections(inventory):
        if section.name in CLUSTER_SECTIONS and not section.layer.is_cluster:
            problems.append(_wrong_layer(inventory, section))
        else:
            problems += _check_section(inventory, section)
    problems += [
        *_check_arches(inventory),
        *_check_controllers(inventory),
        *check_network(inventory),
        *check_endpoint(inventory),
    ]
    return [*problems, *check_addons(inventory), *check_files(inventory)]


def _check_version(inventory: Inventory) -> Iterator[NativeProblem]:
    message, hint = check_version(inventory.version)
    if message:
        yield NativeProblem(("version",), message, hint)


def _wrong_layer(inventory: Inventory, section: Section) -> NativeProblem:
    hint = f"move it from {section.layer} to `{inventory.distro}.{section.name}` at the top level"
    return NativeProblem(section.path, f"`{section.name}` is the whole cluster's", hint)


def _check_section(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if section.name == "channel":
        yield from _check_channel(inventory, section)
    elif section.name == "revision":
        yield from _check_revision(inventory, section)
    elif section.name == "args":
        yield from check_arguments(inventory, section)
    elif section.name == "containerdEnv":
        yield from check_environment(section)
    elif section.name == "registries":
        yield from check_registries(section)
    elif section.name == "fragment":
        yield from check_fragment(section)
    elif section.name == "ha":
        yield from _check_ha(inventory, section)
    elif section.name == "failureDomain":
        yield from _check_failure_domain(section)
    elif section.name == "repositories":
        yield from check_repositories(section)
    elif section.name == "sideload":
        yield from check_sideload(section)
    elif section.name == "pki":
        yield from check_pki(section)


def _check_channel(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if isinstance(section.value, str) and not check_version(inventory.version)[0]:
        message, hint = check_channel(inventory.version, section.value)
        if message:
            yield NativeProblem(section.path, message, hint)


def _check_revision(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    """Each architecture has builds of its own, so one number is wrong for some hosts."""
    arches = {host.arch for host in section.layer.hosts if host.arch}
    if len(arches) > 1:
        message = (
            f"revision {section.value} is a build for one architecture, and hosts are of {' and '.join(sorted(arches))}"
        )
        yield NativeProblem(section.path, message, "make a group of each architecture, with its own revision")
    if inventory.native.get("offline") is True:
        message = "`revision` is asked of the store, and with `offline` the mirror decides"
        yield NativeProblem(section.path, message, "leave it out: artifacts.lock pins the mirror's snap")


def _check_ha(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if section.value is False and len(inventory.hosts) > 1:
        message = f"`ha: false` is for a lone node, and here are {len(inventory.hosts)} hosts: nodes can't join one without dqlite"
        yield NativeProblem(section.path, message, "leave it out")


def _check_failure_domain(section: Section) -> Iterator[NativeProblem]:
    hosts = section.layer.hosts
    if hosts and not any(host.role.controls for host in hosts):
        message = (
            f"`failureDomain` has no effect here: {section.layer} is for workers only, which hold no data of dqlite"
        )
        yield NativeProblem(section.path, message, "move it to a layer of controllers")


def _check_arches(inventory: Inventory) -> Iterator[NativeProblem]:
    for host in inventory.hosts:
        if host.arch and host.arch not in ARCHES:
            message = f"MicroK8s has no snap for {host.arch}: it is for {' and '.join(ARCHES)}"
            hint = "install a 64-bit system there" if host.arch == "arm" else ""
            yield NativeProblem((*host.origin, "arch"), message, hint)


def _check_controllers(inventory: Inventory) -> Iterator[NativeProblem]:
    """dqlite has three voters at most, whatever the number of controllers from three on; with two it can lose none."""
    if len(inventory.controllers) == 2:
        message = "2 controllers hold dqlite's data: it needs a majority, so the loss of either stops both"
        yield NativeProblem(("hosts",), message, "have 1 controller, or 3 and more; others can be workers")
