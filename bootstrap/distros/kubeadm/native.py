"""Checks the native keys of a kubeadm inventory: known, of the right form, at the right place. Pure."""

from collections.abc import Iterator

from bootstrap.distros.kubeadm.fields import CLUSTER_SECTIONS, sections
from bootstrap.distros.kubeadm.layout import SOCKETS
from bootstrap.distros.kubeadm.payloads import check_patches, check_pki, check_registries, check_repository, check_toml
from bootstrap.distros.kubeadm.placed import check_files
from bootstrap.distros.kubeadm.ranges import check_endpoint, check_network
from bootstrap.distros.kubeadm.shapes import check_fields
from bootstrap.distros.kubeadm.tokens import check_token
from bootstrap.distros.kubeadm.versions import (
    CONTAINERD_2,
    GRAMMAR,
    PART_GRAMMAR,
    PARTS,
    check_version,
    parse_version,
)
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import Section, find_sections, has_reference, suggest_field

WORDS = {
    "cni": ("flannel", "calico", "cilium", "bridge", "none"),
    "programs": ("release", "packages"),
    "runtime": ("release", "packages"),
}


def check_native(inventory: Inventory) -> list[NativeProblem]:
    """Every mistake in the version, the native sections and the placed files, in the order of the document's layers."""
    problems = list(_check_version(inventory))
    for section in find_sections(inventory):
        if section.name in CLUSTER_SECTIONS and not section.layer.is_cluster:
            problems.append(_wrong_layer(inventory, section))
        else:
            problems += _check_section(inventory, section)
    return [*problems, *check_network(inventory), *check_endpoint(inventory), *check_files(inventory)]


def _check_version(inventory: Inventory) -> Iterator[NativeProblem]:
    message, hint = check_version(inventory.version)
    if message:
        yield NativeProblem(("version",), message, hint)


def _wrong_layer(inventory: Inventory, section: Section) -> NativeProblem:
    message = f"`{section.name}` is the whole cluster's"
    hint = f"move it from {section.layer} to `{inventory.distro}.{section.name}` at the top level"
    if section.name == "init" or section.name == "join":
        hint += "; settings of one node stand under `node`"
    return NativeProblem(section.path, message, hint)


def _check_section(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    if section.name in WORDS:
        yield from _check_word(section)
    if section.name in sections():
        yield from check_fields(inventory, section)
    if section.name == "node":
        yield from _check_socket(section)
    elif section.name == "repository":
        yield from check_repository(inventory, section)
    elif section.name == "versions":
        yield from _check_parts(inventory, section)
    elif section.name == "patches":
        yield from check_patches(inventory, section)
    elif section.name == "containerd":
        yield from check_toml(section)
    elif section.name == "registries":
        yield from check_registries(section)
    elif section.name == "pki":
        yield from check_pki(section)


def _check_word(section: Section) -> Iterator[NativeProblem]:
    words = WORDS[section.name]
    if isinstance(section.value, str) and section.value not in words and not has_reference(section.value):
        hint = suggest_field(section.value, words) or f"one of {', '.join(words)}"
        yield NativeProblem(section.path, f"`{section.name}` can't be `{section.value}`", hint)


def _check_socket(section: Section) -> Iterator[NativeProblem]:
    socket = section.values.get("criSocket")
    if isinstance(socket, str) and socket not in SOCKETS and not has_reference(socket):
        message = f"`criSocket` names another runtime than containerd, which bootstrap sets up: {socket}"
        yield NativeProblem((*section.path, "criSocket"), message, f"leave it out, or write {SOCKETS[0]}")


def _check_parts(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    for name, value in section.values.items():
        path = (*section.path, name)
        if name not in PARTS:
            hint = suggest_field(name, PARTS) or f"one of {', '.join(PARTS)}"
            yield NativeProblem(path, f"`{name}` has no version here", hint)
        elif isinstance(value, str) and not PART_GRAMMAR.fullmatch(value):
            bare = value.removeprefix("v")
            hint = f"did you mean `{bare}`?" if PART_GRAMMAR.fullmatch(bare) else "an exact release, such as 2.2.1"
            yield NativeProblem(path, f"`{value}` is no version of {name}", hint)
    yield from _check_containerd(inventory, section)


def _check_containerd(inventory: Inventory, section: Section) -> Iterator[NativeProblem]:
    value = section.values.get("containerd")
    if not isinstance(value, str) or not PART_GRAMMAR.fullmatch(value) or not GRAMMAR.fullmatch(inventory.version):
        return
    if int(value.partition(".")[0]) < 2 and parse_version(inventory.version).series >= CONTAINERD_2:
        message = f"containerd {value} is too old for a kubelet of {inventory.version}"
        yield NativeProblem(
            (*section.path, "containerd"),
            message,
            f"from v{CONTAINERD_2[0]}.{CONTAINERD_2[1]} on it needs 2.0 or later",
        )


__all__ = ["check_native", "check_token"]
