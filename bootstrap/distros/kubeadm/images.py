"""The images that kubeadm makes a cluster from: their names, their digests in the lock, and whether a host has those. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from bootstrap.distros.kubeadm.layout import SCRIPT as PREPARE
from bootstrap.distros.kubeadm.versions import GRAMMAR, REPOSITORY, companion_tags, part_version, pause_tag
from bootstrap.driver import PlanInput, UpstreamFile
from bootstrap.lock import manifest_url
from bootstrap.model import Finding, Host, HostFacts, Inventory, Lock

COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
ON_EVERY_NODE = ("kube-proxy", "pause", "coredns")  # what may run on a worker; controllers run all
# Name, tag or digest of each image, as containerd keeps them; its client asks only a containerd that runs.
SCRIPT = """
PATH=$PATH:/usr/local/bin
[ -S /run/containerd/containerd.sock ] || exit 0
timeout 20 ctr --namespace k8s.io images list | awk 'NR > 1 { print $1, $3 }'
"""


def parse_images(text: str) -> dict[str, str]:
    """Digest by the image's name and tag."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2 and row[1].startswith("sha256:")}


def image_repository(inventory: Inventory) -> str:
    """Where kubeadm takes Kubernetes' images from."""
    return str((inventory.native.get("cluster") or {}).get("imageRepository") or REPOSITORY)


def sandbox_image(inventory: Inventory) -> str:
    """The image of pods' sandboxes: the one that kubeadm lists, else it warns and pulls a second one."""
    return f"{image_repository(inventory)}/pause:{pause_tag(inventory.version)}"


def vip_image(inventory: Inventory) -> str:
    """The image of kube-vip, which kubeadm does not list."""
    return f"ghcr.io/kube-vip/kube-vip:v{part_version(inventory, 'kube-vip')}"


def list_images(inventory: Inventory) -> dict[str, str]:
    """Short name -> image, as `kubeadm config images list` names them (kubernetes: cmd/kubeadm/app/images), and kube-vip's.

    The tags of etcd and CoreDNS are kubeadm's own constants: with a release that is not known here they are left out.
    """
    repository, cluster = image_repository(inventory), inventory.native.get("cluster") or {}
    found = {name: f"{repository}/{name}:{inventory.version}" for name in COMPONENTS}
    found["pause"] = sandbox_image(inventory)
    etcd_tag, dns_tag = companion_tags(inventory.version) or ("", "")
    etcd, dns = (cluster.get("etcd") or {}).get("local") or {}, cluster.get("dns") or {}
    if tag := _text(etcd, "imageTag") or etcd_tag:
        found["etcd"] = f"{_text(etcd, 'imageRepository') or repository}/etcd:{tag}"
    if tag := _text(dns, "imageTag") or dns_tag:
        where = _text(dns, "imageRepository") or repository
        found["coredns"] = f"{f'{where}/coredns' if where == REPOSITORY else where}/coredns:{tag}"
    if inventory.native.get("vip") and inventory.endpoint:
        found["kube-vip"] = vip_image(inventory)
    external = (cluster.get("etcd") or {}).get("external")
    unused = {"etcd"} if external else set()
    unused |= {name for name, key in (("coredns", "dns"), ("kube-proxy", "proxy")) if _is_disabled(cluster, key)}
    return {name: image for name, image in found.items() if name not in unused and "${" not in image}


def _text(section: Mapping[str, Any], key: str) -> str:
    return str(section.get(key) or "")


def _is_disabled(cluster: Mapping[str, Any], key: str) -> bool:
    return (cluster.get(key) or {}).get("disabled") is True


def list_manifests(inventory: Inventory) -> Iterator[UpstreamFile]:
    """For the lock: each image as its manifest, one for all architectures; optional, for a registry may ask for a login."""
    if not GRAMMAR.fullmatch(inventory.version):
        return
    for name, image in list_images(inventory).items():
        tag = image.rpartition(":")[2]
        yield UpstreamFile(f"image-{name}", "any", manifest_url(image), None, optional=True, version=tag)


def locked_digests(inventory: Inventory, lock: Lock, arch: str) -> dict[str, str]:
    """Image -> digest. Empty where an image archive is locked for the host: its images are that archive's."""
    if not GRAMMAR.fullmatch(inventory.version) or lock.find("kubernetes-images", inventory.version, arch):
        return {}
    locked = {
        image: lock.find(f"image-{name}", image.rpartition(":")[2], arch)
        for name, image in list_images(inventory).items()
    }
    return {
        image: f"sha256:{file.sha256}"
        for image, file in locked.items()
        if file is not None and file.url == manifest_url(image)
    }


def pulled_images(inventory: Inventory, host: Host, lock: Lock, arch: str) -> dict[str, str]:
    """Image -> digest of what may run on a host: it is pulled by the digest before anything asks for the tag."""
    images = list_images(inventory) if GRAMMAR.fullmatch(inventory.version) else {}
    mine = {image for name, image in images.items() if host.role.controls or name in ON_EVERY_NODE}
    return {image: digest for image, digest in locked_digests(inventory, lock, arch).items() if image in mine}


def check_images(plan_input: PlanInput, host: Host, facts: HostFacts, *, joined: bool) -> Iterator[Finding]:
    """An image under the name of a locked one that is another: a remark, for whoever is yet to run it pulls the locked one."""
    present: Mapping[str, str] = facts.values.get("images") or {}
    for image, digest in locked_digests(plan_input.inventory, plan_input.lock, facts.arch).items():
        if image in present and present[image] != digest:
            message = f"its {image} is {_short(present[image])}, and artifacts.lock says {_short(digest)}"
            hint = f"run {PREPARE} there: it pulls the locked one; or `bootstrap lock`, and look at the diff"
            yield Finding(host.name, message, hint if joined else "the locked one takes its place", stops=False)


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12]
