"""Images of a release from finished programs: which program, which layer, under which name."""

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from bootstrap.images import Blob, Entry, File, Folder, Image, Symlink, make_layer, write_archive
from tests.kubernetes.toolchain import KUBE_VIP, KUBE_VIP_FOLDER, BuildError, last_lines, pinned

# The program `cluster` under these names; see cluster/main.go.
PARTS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
    *("etcd", "etcdctl", "etcdutl", "coredns"),
)
# Programs that are all that their images hold.
ALONE = ("pause", "kube-vip")
# Where programs that are not static want the loader to be.
LOADERS = {"amd64": "lib64/ld-linux-x86-64.so.2", "arm64": "lib/ld-linux-aarch64.so.1"}


def list_names(kubeadm: Path, version: str) -> tuple[str, ...]:
    """The full names of all images that this kubeadm will ask for. Raises BuildError."""
    words = [str(kubeadm), "config", "images", "list", "--kubernetes-version", version]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"kubeadm config images list failed: {last_lines(done.stderr, 3)}")
    return tuple(done.stdout.split())


def check_pins(names: Iterable[str]) -> None:
    """That go.mod pins the etcd and CoreDNS which this Kubernetes wants; BuildError says which it does not.

    Tags are like v1.14.2 and, with a counter of image builds behind the version, 3.6.8-0.
    """
    wanted = {program_of(name): name.rpartition(":")[2].removeprefix("v").partition("-")[0] for name in names}
    pins = {
        "etcd": ("go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3", "go.etcd.io/etcd/etcdutl/v3"),
        "coredns": ("github.com/coredns/coredns",),
    }
    for program, modules in pins.items():
        for module in modules:
            if pinned(module) != f"v{wanted[program]}":
                raise BuildError(f"go.mod pins {module} {pinned(module)}, and this kubeadm wants {wanted[program]}")


def program_of(name: str) -> str:
    """etcd of REGISTRY/etcd:3.6.8-0."""
    return name.rpartition("/")[2].partition(":")[0]


def pack(names: Iterable[str], programs: Path, debian: Path, arch: str, output: Path) -> None:
    """Writes the archive of the images with these names.

    `programs` holds `cluster`, `pause` and `kube-vip`; `debian` is the tree that kube-proxy's iptables and nft come from.
    """
    shared = make_layer(
        {
            "tmp": Folder(0o1777),
            "usr/local/bin/cluster": File((programs / "cluster").read_bytes()),
            **{f"usr/local/bin/{part}": Symlink("cluster") for part in PARTS},
        }
    )
    tools = make_layer(list_network_tools(debian, arch))
    alone = {name: make_layer({name: File((programs / name).read_bytes())}) for name in ALONE}
    # The shared layer is the lowest everywhere: on another one, runtimes would unpack it once more.
    layers = {"kube-proxy": (shared, tools), **{name: (layer,) for name, layer in alone.items()}}
    images = [make_image(name, layers.get(program_of(name), (shared,))) for name in names]
    with output.open("wb") as stream:
        write_archive(images, arch, stream)


def make_image(name: str, layers: tuple[Blob, ...]) -> Image:
    program = program_of(name)
    return Image(name, (f"/{program}" if program in ALONE else f"/usr/local/bin/{program}",), layers)


def kube_vip_name() -> str:
    """The image that the static pod of kube-vip asks for; kubeadm does not list it."""
    return f"ghcr.io/kube-vip/kube-vip:{pinned(KUBE_VIP, KUBE_VIP_FOLDER)}"


def find_debian(tell: Callable[[str], None]) -> Path:
    """The base tree of sandbox hosts, made when there is none. Raises BuildError when that fails.

    It and not this machine: iptables need not be installed here, nor be Debian's, and the tree's suite is pinned.
    """
    from bootstrap.errors import SandboxError
    from bootstrap.sandbox import base

    try:
        tree = base.ensure("systemd", tell)
    except (SandboxError, OSError) as error:
        raise BuildError(f"kube-proxy's image takes iptables from the base tree of sandbox hosts: {error}") from error
    base.hold(tree)
    return tree


def list_network_tools(debian: Path, arch: str) -> dict[str, Entry]:
    """iptables and nft with all that they load, by path in the image."""
    programs = [debian / "usr/sbin/xtables-nft-multi", debian / "usr/sbin/nft"]
    extensions = sorted(debian.glob("usr/lib/*/xtables/*.so"))
    libraries = list_libraries(debian, arch, [*programs, *extensions])
    entries: dict[str, Entry] = {
        str(path.relative_to(debian)): File(path.read_bytes()) for path in (*programs, *extensions, *libraries)
    }
    entries[LOADERS[arch]] = File(find_loader(debian, arch).read_bytes())
    names = [f"{family}{verb}" for family in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")]
    return {**entries, **{f"usr/sbin/{name}": Symlink("xtables-nft-multi") for name in names}}


def list_libraries(debian: Path, arch: str, files: Iterable[Path]) -> list[Path]:
    """Shared libraries in the tree that the files need, by the tree's own loader: no chroot, so no root is needed."""
    loader = find_loader(debian, arch)
    listing = [str(loader), "--inhibit-cache", "--library-path", str(loader.parent), "--list"]
    found: set[str] = set()
    for file in files:
        done = subprocess.run([*listing, str(file)], capture_output=True, text=True, check=False)
        if done.returncode != 0 or "not found" in done.stdout:
            raise BuildError(f"libraries of {file} can't be found: {last_lines(done.stdout + done.stderr, 3)}")
        found.update(re.findall(rf"=> ({re.escape(str(debian))}/\S+) \(0x", done.stdout))
    return sorted(Path(path) for path in found)


def find_loader(debian: Path, arch: str) -> Path:
    """The tree's loader beside its C library, not by the link that programs know."""
    return next(debian.glob(f"usr/lib/*/{LOADERS[arch].rpartition('/')[2]}"))
