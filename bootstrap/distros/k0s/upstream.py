"""What upstream publishes for a k0s cluster, and which locked file goes where on a host. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from posixpath import basename
from urllib.parse import quote

from bootstrap.distros.k0s import layout
from bootstrap.distros.k0s.k0sctl import image_archives
from bootstrap.distros.k0s.layout import effective
from bootstrap.distros.k0s.versions import BUNDLE_NAMES_SYSTEM, parse_version
from bootstrap.driver import UpstreamFile
from bootstrap.lock import OWN_VERSION, own_name, own_url
from bootstrap.model import Host, Inventory

RELEASES = "https://github.com/k0sproject/k0s/releases/download"
PROGRAM, BUNDLE, SUMS = "k0s", "k0s-airgap-bundle", "sha256sums.txt"


@dataclass(frozen=True)
class Payload:
    """A locked file, by name and version, and its place on a host."""

    name: str
    version: str
    path: str
    mode: str


def list_upstream(inventory: Inventory, arches: Sequence[str]) -> list[UpstreamFile]:
    """Every file for artifacts.lock: the release's, and the repository's own programs and images."""
    version = inventory.version
    release = f"{RELEASES}/{quote(version, safe='')}"
    key = str(inventory.native.get("cosign") or "")
    files = []
    for arch in arches:
        if any(not effective(host, "k0sBinaryPath") for host in inventory.hosts):
            url = f"{release}/k0s-{version}-{arch}"
            files.append(UpstreamFile(PROGRAM, arch, url, f"{release}/{SUMS}", signed_by=key))
        if any(effective(host, "airgap") is True for host in inventory.hosts):
            url = f"{release}/{bundle_name(version, arch)}"
            files.append(UpstreamFile(BUNDLE, arch, url, f"{release}/{SUMS}", signed_by=key))
    return [*files, *_own_files(inventory)]


def bundle_name(version: str, arch: str) -> str:
    """The bundle's file: its name tells the system and is a .tar since 1.36."""
    if parse_version(version).series >= BUNDLE_NAMES_SYSTEM:
        return f"{BUNDLE}-{version}-linux-{arch}.tar"
    return f"{BUNDLE}-{version}-{arch}"


def _own_files(inventory: Inventory) -> Iterator[UpstreamFile]:
    paths = [
        path
        for host in inventory.hosts
        for path in (effective(host, "k0sBinaryPath"), *(image_archives(host) if host.role.takes_work else ()))
        if path
    ]
    for path in dict.fromkeys(paths):
        yield UpstreamFile(own_name(path), "any", own_url(path), None, version=OWN_VERSION)


def payloads(inventory: Inventory, host: Host) -> list[Payload]:
    """What of the lock lies on a host, the program first."""
    version = inventory.version
    own = effective(host, "k0sBinaryPath")
    program = (own_name(own), OWN_VERSION) if own else (PROGRAM, version)
    found = [Payload(*program, layout.BINARY, "0755")]
    if not host.role.takes_work:
        return found
    folder = layout.images_folder(host)
    if effective(host, "airgap") is True:
        found.append(Payload(BUNDLE, version, f"{folder}/{BUNDLE}-{version}.tar", "0644"))
    archives = image_archives(host)
    found += [Payload(own_name(path), OWN_VERSION, f"{folder}/{basename(path)}", "0644") for path in archives]
    return found
