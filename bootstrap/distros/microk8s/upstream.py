"""What a mirror holds for MicroK8s. The store's own files are asked for by snapd, on each host. Pure."""

from collections.abc import Sequence

from bootstrap.distros.microk8s.layout import SNAP_FILES, is_offline
from bootstrap.driver import UpstreamFile
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
        return []
    return [
        UpstreamFile(
            name, arch, f"{STORE}/{inventory.version}/{file_name(name, arch)}", None, optional=not is_offline(inventory)
        )
        for arch in arches
        if arch in ARCHES
        for name in SNAP_FILES
    ]


def file_name(name: str, arch: str) -> str:
    """`microk8s.snap`, `core22-arm64.assert`: the name in a mirror of a file of the lock."""
    snap, _, ending = name.partition("-")
    suffix = "" if arch == "amd64" else f"-{arch}"
    return f"{snap}{suffix}.{ending or 'snap'}"
