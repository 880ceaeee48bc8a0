"""A release downloaded into a mirror folder, from a file server and a registry on this machine."""

import hashlib
import json
import platform
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import programs
from tests.kubernetes import build as building
from tests.kubernetes import download as downloading
from tests.kubernetes.build import MACHINES, Release
from tests.kubernetes.download import Download, download, is_full
from tests.kubernetes.packing import kube_vip_name
from tests.kubernetes.toolchain import BuildError
from tests.lock.file_server import FileServer, Handler, serve

ARCH = MACHINES.get(platform.machine(), "")
VERSION = "v9.8.7"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
NAMES = ("registry.example/kube-proxy:v9.8.7", "registry.example/coredns/coredns:v1")
pytestmark = [
    pytest.mark.skipif(not ARCH, reason=f"Kubernetes is downloaded for {', '.join(MACHINES)}"),
    pytest.mark.timeout(120),
]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_image(files: dict[str, bytes], name: str, *layers: bytes, kind: str = MANIFEST) -> str:
    """An image behind an index of two architectures; returns the digest of the one for this machine."""
    path, tag = name.partition("/")[2].rsplit(":", 1)
    base, config = f"/v2/{path}", json.dumps({"architecture": ARCH, "of": name}).encode()
    parts = [{"mediaType": "x", "digest": f"sha256:{sha(part)}", "size": len(part)} for part in (config, *layers)]
    manifest = json.dumps({"mediaType": kind, "config": parts[0], "layers": parts[1:]}).encode()
    entries = [
        {"digest": f"sha256:{'0' * 64}", "platform": {"os": "linux", "architecture": "s390x"}},
        {"digest": f"sha256:{sha(manifest)}", "platform": {"os": "linux", "architecture": ARCH}},
    ]
    files[f"{base}/manifests/{tag}"] = json.dumps({"mediaType": INDEX, "manifests": entries}).encode()
    files[f"{base}/manifests/sha256:{sha(manifest)}"] = manifest
    files |= {f"{base}/blobs/sha256:{sha(part)}": part for part in (config, *layers)}
    return f"sha256:{sha(manifest)}"


def make_release() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name in building.PROGRAMS:
        program = f"#!/bin/sh\n# {name}\nprintf '%s\\n' {' '.join(NAMES)}\n".encode()
        files[f"/{VERSION}/bin/linux/{ARCH}/{name}"] = program
        files[f"/{VERSION}/bin/linux/{ARCH}/{name}.sha256"] = sha(program).encode()
    return files


def as_registry(handler: Handler, content: bytes, number: int) -> bool:
    """A token for whoever asks, and manifests with their type."""
    if handler.path.startswith("/token"):
        handler.reply(200, b'{"token": "t"}')
        return True
    if "/v2/" in handler.path and handler.headers.get("Authorization") != "Bearer t":
        handler.reply(401, b"", WWW_Authenticate=f'Bearer realm="http://{handler.headers["Host"]}/token"')
        return True
    if "/manifests/" in handler.path and content:
        handler.reply(200, content, Content_Type=json.loads(content)["mediaType"])
        return True
    return False


@pytest.fixture
def server() -> Iterator[FileServer]:
    files = make_release()
    put_image(files, NAMES[0], b"base", b"proxy")
    put_image(files, NAMES[1], b"base", b"dns", kind=DOCKER)
    put_image(files, kube_vip_name(), b"vip")
    with serve(files, as_registry) as server:
        yield server


@pytest.fixture
def task(server: FileServer, tmp_path: Path) -> Download:
    def find(image: str) -> str:
        return f"{server.url}/v2/{image.rpartition(':')[0].partition('/')[2]}"

    return Download(Release(VERSION, ARCH, tmp_path / "mirror" / VERSION), server.url, find)


def test_the_folder_has_the_layout_of_a_build(task: Download) -> None:
    download(task)
    files = [task.folder / name for name in task.release.files]
    assert len(files) == 4
    for file in files:
        assert file.with_name(f"{file.name}.sha256").read_text() == sha(file.read_bytes())
    assert (task.folder / f"bin/linux/{ARCH}/kubelet").stat().st_mode & 0o777 == 0o755
    assert not task.release.unfinished.exists()


def test_the_archive_holds_every_image_for_this_machine_under_its_name(task: Download, server: FileServer) -> None:
    download(task)
    with tarfile.open(task.folder / task.release.images) as tar:
        members = {member.name: member for member in tar if member.isfile()}
        read: Callable[[str], bytes] = lambda name: tar.extractfile(members[name]).read()  # type: ignore[union-attr] # noqa: E731
        index = json.loads(read("index.json"))
        for name in members:
            if name.startswith("blobs/"):
                assert sha(read(name)) == name.rpartition("/")[2]
        for entry in index["manifests"]:
            manifest = json.loads(read(f"blobs/{entry['digest'].replace(':', '/')}"))
            assert entry["mediaType"] == manifest["mediaType"]
            assert entry["platform"] == {"architecture": ARCH, "os": "linux"}
            wanted = {f"blobs/{part['digest'].replace(':', '/')}" for part in (manifest["config"], *manifest["layers"])}
            assert wanted <= set(members)
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == sorted(
        [*NAMES, kube_vip_name()]
    )


def test_a_layer_of_two_images_is_asked_for_once(task: Download, server: FileServer) -> None:
    download(task)
    assert len({path for path in server.got() if path.endswith(sha(b"base"))}) == 1


def test_a_full_folder_is_left_alone_without_a_question(task: Download, server: FileServer) -> None:
    download(task)
    server.requests.clear()
    download(task)
    assert server.requests == []
    (task.folder / task.release.images).unlink()
    assert not is_full(task)


def test_an_interrupted_download_goes_on_with_what_is_whole(task: Download, server: FileServer) -> None:
    last = next(path for path in server.files if path.endswith(f"/blobs/sha256:{sha(b'vip')}"))
    layer = server.files.pop(last)
    with pytest.raises(Exception, match="no such image"):
        download(task)
    assert not task.stamp.exists()
    server.files[last] = layer
    server.requests.clear()
    download(task)
    assert is_full(task)
    assert not any(path.endswith(("/kubeadm", sha(b"base"))) for path in server.got())


def test_what_was_built_in_the_folder_makes_way(task: Download) -> None:
    task.folder.mkdir(parents=True)
    task.release.stamp.write_text("built\n")
    download(task)
    assert not task.release.stamp.exists()


@pytest.mark.parametrize("what", ["/kubelet", f"/blobs/sha256:{sha(b'proxy')}"])
def test_other_bytes_than_the_checksum_says_are_not_kept(task: Download, server: FileServer, what: str) -> None:
    path = next(path for path in server.files if path.endswith(what))
    server.files[path] = b"other"
    with pytest.raises(Exception, match=r"instead of|not the one that was asked for"):
        download(task)
    assert not task.stamp.exists()
    assert not [
        file
        for file in task.folder.rglob("*")
        if file.is_file() and file.read_bytes() == b"other" and "partial" not in file.name
    ]


def test_an_image_that_is_not_for_this_machine_is_named(task: Download, server: FileServer) -> None:
    path = "/v2/kube-proxy/manifests/v9.8.7"
    server.files[path] = server.files[path].replace(f'"{ARCH}"'.encode(), b'"mips"')
    with pytest.raises(BuildError, match=r"registry\.example/kube-proxy:v9\.8\.7 is not there for"):
        download(task)


def test_names_lead_to_their_registries() -> None:
    assert (
        downloading.find_registry("registry.k8s.io/coredns/coredns:v1") == "https://registry.k8s.io/v2/coredns/coredns"
    )
    assert downloading.find_registry("docker.io/library/x:1") == "https://registry-1.docker.io/v2/library/x"


def test_a_download_that_fails_is_one_line_and_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "fetch_program", refuse)
    assert downloading.main(["--version", VERSION, "--arch", ARCH, "--output", str(tmp_path)]) == 1
    assert "download.py: it is not there; what is whole is kept: run it again" in capsys.readouterr().err


def refuse(*_: object) -> None:
    raise BuildError("it is not there")


# ---- which of the two programs fills the folder


@pytest.fixture
def supply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> programs.Supply:
    monkeypatch.setattr(programs, "user_cache_path", lambda name: tmp_path)
    return programs.SUPPLIES["kubeadm"]


@pytest.mark.parametrize("reachable", [True, False])
def test_the_release_is_downloaded_where_it_can_be_reached(
    supply: programs.Supply, monkeypatch: pytest.MonkeyPatch, reachable: bool
) -> None:
    monkeypatch.setattr(programs, "can_download", lambda url: reachable)
    assert supply.choose(VERSION).name == ("download.py" if reachable else "build.py")


def test_what_was_downloaded_is_not_built_over_without_a_network(
    supply: programs.Supply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "can_download", lambda url: False)
    (supply.cache / VERSION).mkdir(parents=True)
    (supply.cache / VERSION / downloading.STAMP).touch()
    assert supply.choose(VERSION).name == "download.py"


def test_the_demo_of_kubeadm_always_has_a_mirror(supply: programs.Supply, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.delenv("BOOTSTRAP_MIRROR", raising=False)
    monkeypatch.setattr(programs, "can_download", lambda url: True)
    monkeypatch.setattr(programs.subprocess, "run", lambda command, **_: made.append(command[1]))
    assert programs.find_demo_mirror(supply) == str(supply.cache)
    assert [Path(program).name for program in made] == ["download.py"]
    assert programs.find_demo_mirror(programs.SUPPLIES["k3s"]) == ""
