"""Checks that no placed file takes the place of one that bootstrap writes. Pure."""

from collections.abc import Iterator, Mapping

from bootstrap.distros.kubeadm import layout
from bootstrap.driver import NativeProblem
from bootstrap.model import Inventory
from bootstrap.sections import find_layers

OURS = (
    layout.SCRIPT,
    layout.ROUTES_SCRIPT,
    layout.ROUTES_UNIT,
    layout.KUBELET_UNIT,
    layout.KUBELET_DROP_IN,
    layout.CONTAINERD_CONFIG,
    layout.CRICTL_CONFIG,
    layout.MODULES,
    layout.SYSCTL,
    layout.CONFLIST,
    layout.KUBE_VIP,
    *layout.BINARIES.values(),
)
FOLDERS = {
    f"{layout.FOLDER}/": "its keys stand under `{distro}`, where they are checked",
    f"{layout.PKI}/": "write the 8 files under `{distro}.pki`",
    f"{layout.REGISTRIES}/": "write them under `{distro}.registries`",
}


def check_files(inventory: Inventory) -> Iterator[NativeProblem]:
    """Problems of `files` in every layer."""
    for layer in find_layers(inventory):
        files = layer.values.get("files")
        for index, file in enumerate(files if isinstance(files, list) else []):
            place = str(file.get("path", "")) if isinstance(file, Mapping) else ""
            hint = next((hint for folder, hint in FOLDERS.items() if place.startswith(folder)), "")
            if place in OURS or hint:
                path = (*layer.path, "files", index, "path")
                message = f"{place} is written by bootstrap itself"
                yield NativeProblem(path, message, hint.format(distro=inventory.distro))
