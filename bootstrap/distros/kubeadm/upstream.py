"""What upstream publishes for a kubeadm cluster, and where. Pure."""

from collections.abc import Iterator, Sequence

from bootstrap.distros.kubeadm.images import list_manifests
from bootstrap.distros.kubeadm.layout import BINARIES, effective
from bootstrap.distros.kubeadm.packages import uses_packages
from bootstrap.distros.kubeadm.versions import part_version as part_version
from bootstrap.driver import UpstreamFile
from bootstrap.model import Inventory

KUBERNETES = "https://dl.k8s.io/release"
GITHUB = "https://github.com"
RAW = "https://raw.githubusercontent.com"
CHARTS = "https://helm.cilium.io"


def network_parts(inventory: Inventory) -> tuple[str, ...]:
    """The locked files that the pod network is installed from."""
    cni = inventory.native.get("cni", "flannel")
    return {"flannel": ("flannel",), "calico": ("calico",), "cilium": ("cilium", "cilium-cli")}.get(cni, ())


def list_upstream(inventory: Inventory, arches: Sequence[str]) -> list[UpstreamFile]:
    """Every file for artifacts.lock: with a mirror the archive of images that it may hold, else the images' digests."""
    released = any(effective(host, "runtime") == "release" for host in inventory.hosts)
    files: list[UpstreamFile] = []
    for arch in arches:
        files += [] if uses_packages(inventory) else _programs(inventory, arch)
        files += _image_archive(inventory, arch)
        if released:
            files += _runtime(inventory, arch)
    if not inventory.mirror:
        files += list_manifests(inventory)
    return [*files, *_network(inventory, arches)]


def _programs(inventory: Inventory, arch: str) -> Iterator[UpstreamFile]:
    release = f"{KUBERNETES}/{inventory.version}"
    for name in BINARIES:
        url = f"{release}/bin/linux/{arch}/{name}"
        yield UpstreamFile(name, arch, url, f"{url}.sha256")


def _image_archive(inventory: Inventory, arch: str) -> Iterator[UpstreamFile]:
    release = f"{KUBERNETES}/{inventory.version}"
    if inventory.mirror:
        yield UpstreamFile("kubernetes-images", arch, f"{release}/kubernetes-images-{arch}.tar", None, optional=True)


def _runtime(inventory: Inventory, arch: str) -> Iterator[UpstreamFile]:
    """containerd publishes nothing for 32-bit arm, so an unstated architecture may lack it."""
    version = part_version(inventory, "containerd")
    url = f"{_release('containerd/containerd', version)}/containerd-{version}-linux-{arch}.tar.gz"
    yield UpstreamFile("containerd", arch, url, f"{url}.sha256sum", version=version)
    version = part_version(inventory, "runc")
    release = _release("opencontainers/runc", version)
    name = "armhf" if arch == "arm" else arch
    yield UpstreamFile("runc", arch, f"{release}/runc.{name}", f"{release}/runc.sha256sum", version=version)
    version = part_version(inventory, "cni-plugins")
    url = f"{_release('containernetworking/plugins', version)}/cni-plugins-linux-{arch}-v{version}.tgz"
    yield UpstreamFile("cni-plugins", arch, url, f"{url}.sha256", version=version)
    version = part_version(inventory, "crictl")
    url = f"{_release('kubernetes-sigs/cri-tools', version)}/crictl-v{version}-linux-{arch}.tar.gz"
    yield UpstreamFile("crictl", arch, url, f"{url}.sha256", version=version)


def _network(inventory: Inventory, arches: Sequence[str]) -> Iterator[UpstreamFile]:
    for name in network_parts(inventory):
        version = part_version(inventory, name)
        if name == "flannel":
            url = f"{_release('flannel-io/flannel', version)}/kube-flannel.yml"
        elif name == "calico":
            url = f"{RAW}/projectcalico/calico/v{version}/manifests/calico.yaml"
        elif name == "cilium":
            url = f"{CHARTS}/cilium-{version}.tgz"
        else:
            yield from (_cilium_cli(arch, version) for arch in arches if arch != "arm")
            continue
        yield UpstreamFile(name, "any", url, None, version=version)


def _cilium_cli(arch: str, version: str) -> UpstreamFile:
    url = f"{_release('cilium/cilium-cli', version)}/cilium-linux-{arch}.tar.gz"
    return UpstreamFile("cilium-cli", arch, url, f"{url}.sha256sum", version=version)


def _release(project: str, version: str) -> str:
    return f"{GITHUB}/{project}/releases/download/v{version}"
