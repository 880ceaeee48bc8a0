"""What a mirror holds for MicroK8s. The store's own files are asked for by snapd, on each host. Pure."""

from collections.abc import Sequence
from posixpath import basename

from bootstrap.distros.microk8s.layout import SIDELOAD, SNAP_FILES, is_offline
from bootstrap.driver import UpstreamFile
from bootstrap.lock import OWN_VERSION, own_name, own_url
from bootstrap.model import Inventory

STORE = "https://snapcraft.io/microk8s"
ARCHES = ("amd64", "arm64")


def list_upstream(inventory: Inventory, arches: Sequence[str]) -> list[UpstreamFile]:
    """The snap, its base and their assertions, where a mirror holds them; nothing without one. `offline` needs them all.

    The store publishes no checksums that others can read, and serves no file by the name of a channel: without a mirror
    the version and `microk8s.revision` say what hosts get, and snapd checks it by its signed assertions. With one, the
    hashes are those of the mirror's files. amd64 has the plain names, as `snap download --basename` writes them.
    """
    if not (inventory.mirror or is_offline(inventory)):
        return _own_files(inventory)
    snaps = [
        UpstreamFile(
            name, arch, f"{STORE}/{inventory.version}/{file_name(name, arch)}", None, optional=not is_offline(inventory)
        )
        for arch in arches
        if arch in ARCHES
        for name in SNAP_FILES
    ]
    return [*snaps, *_own_files(inventory)]


def _own_files(inventory: Inventory) -> list[UpstreamFile]:
    """Archives of images that lie in the repository."""
    return [
        UpstreamFile(own_name(path), "any", own_url(path), None, version=OWN_VERSION) for path in _archives(inventory)
    ]


def sideload_files(inventory: Inventory) -> list[tuple[str, str, str]]:
    """Name and version in the lock of each archive of images, and where the snap looks for it at its install."""
    return [(own_name(path), OWN_VERSION, f"{SIDELOAD}/{basename(path)}") for path in _archives(inventory)]


def _archives(inventory: Inventory) -> list[str]:
    given = inventory.native.get("sideload") or []
    return list(dict.fromkeys(given if isinstance(given, list) else [str(given)]))


def file_name(name: str, arch: str) -> str:
    """`microk8s.snap`, `core22-arm64.assert`: the name in a mirror of a file of the lock."""
    snap, _, ending = name.partition("-")
    suffix = "" if arch == "amd64" else f"-{arch}"
    return f"{snap}{suffix}.{ending or 'snap'}"
