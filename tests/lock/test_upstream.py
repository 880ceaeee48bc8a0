"""Locking: upstream's checksums become the lock, a mirror's files are hashed and compared, what is missing is named."""

import hashlib

import pytest

from bootstrap.driver import UpstreamFile
from bootstrap.errors import LockError
from bootstrap.lock import format_lock, parse_lock, replace_files
from bootstrap.model import Lock
from bootstrap.upstream import lock_files

from .file_server import always, serve

VERSION = "v1.36.3+k3s1"
BINARY, IMAGES, SCRIPT = b"\x7fELF binary" * 1000, b"images" * 5000, b"#!/bin/sh\nset -e\n"
RELEASE = "/k3s-io/k3s/releases/download/v1.36.3+k3s1"
pytestmark = pytest.mark.timeout(60)


def sha(content):
    return hashlib.sha256(content).hexdigest()


SUMS = f"{sha(BINARY)}  k3s\n{sha(IMAGES)}  k3s-airgap-images-amd64.tar.zst\n".encode()


def wanted(root="https://github.com"):
    release = f"{root}/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1"
    sums = f"{release}/sha256sum-amd64.txt"
    return (
        UpstreamFile("k3s", "amd64", f"{release}/k3s", sums),
        UpstreamFile("k3s-airgap-images", "amd64", f"{release}/k3s-airgap-images-amd64.tar.zst", sums, optional=True),
        UpstreamFile("install.sh", "any", f"{root}/k3s-io/k3s/v1.36.3%2Bk3s1/install.sh", None),
    )


def release(folder=RELEASE, script="/k3s-io/k3s/v1.36.3+k3s1/install.sh"):
    return {
        f"{folder}/k3s": BINARY,
        f"{folder}/k3s-airgap-images-amd64.tar.zst": IMAGES,
        f"{folder}/sha256sum-amd64.txt": SUMS,
        script: SCRIPT,
    }


def by_name(files):
    return {file.name: (file.sha256, file.size) for file in files}


ALL = {
    "k3s": (sha(BINARY), len(BINARY)),
    "k3s-airgap-images": (sha(IMAGES), len(IMAGES)),
    "install.sh": (sha(SCRIPT), len(SCRIPT)),
}


def without(files, name):
    return {path: content for path, content in files.items() if not path.endswith(f"/{name}")}


# --- upstream ------------------------------------------------------------------------------------


def test_upstreams_checksums_and_sizes_are_locked_without_reading_the_files():
    with serve(release()) as server:
        files = lock_files(wanted(server.url), VERSION, None)
        assert by_name(files) == ALL
        assert {file.version for file in files} == {VERSION}
        assert [file.url for file in files] == [file.url for file in wanted(server.url)]
        assert sorted(path.rsplit("/", 1)[-1] for path in set(server.got())) == ["install.sh", "sha256sum-amd64.txt"]


def test_an_optional_file_that_is_not_published_is_left_out_and_said():
    sums = SUMS.splitlines(keepends=True)[0]
    notes = []
    with serve(
        {**without(release(), "k3s-airgap-images-amd64.tar.zst"), f"{RELEASE}/sha256sum-amd64.txt": sums}
    ) as server:
        assert "k3s-airgap-images" not in by_name(lock_files(wanted(server.url), VERSION, None, note=notes.append))
    assert notes == ["k3s-airgap-images v1.36.3+k3s1 amd64: not published there, left out"]


@pytest.mark.parametrize("name", ["k3s", "install.sh", "sha256sum-amd64.txt"])
def test_a_required_file_that_is_missing_is_named(name):
    with serve(without(release(), name)) as server, pytest.raises(LockError) as caught:
        lock_files(wanted(server.url), VERSION, None)
    assert caught.value.where.endswith(f"/{name}")
    assert "404" in caught.value.why
    assert "version exists" in caught.value.next_step


@pytest.mark.parametrize("sums", [b"", b"<html>hello</html>", b"0" * 64 + b"  other\n"])
def test_a_checksum_file_that_does_not_list_the_file_is_an_error(sums):
    with (
        serve({**release(), f"{RELEASE}/sha256sum-amd64.txt": sums}) as server,
        pytest.raises(LockError, match="does not list k3s"),
    ):
        lock_files(wanted(server.url), VERSION, None)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><title>Sign in</title>", b"\n<HTML>"])
def test_a_page_in_place_of_the_installer_is_never_locked(content):
    with (
        serve({**release(), "/k3s-io/k3s/v1.36.3+k3s1/install.sh": content}) as server,
        pytest.raises(LockError, match="web page"),
    ):
        lock_files(wanted(server.url), VERSION, None)


def test_an_empty_installer_is_never_locked():
    with (
        serve({**release(), "/k3s-io/k3s/v1.36.3+k3s1/install.sh": b""}) as server,
        pytest.raises(LockError, match="empty"),
    ):
        lock_files(wanted(server.url), VERSION, None)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_an_upstream_that_is_unwell_is_an_error_with_its_status(status):
    with serve({}, always(status)) as server, pytest.raises(LockError) as caught:
        lock_files(wanted(server.url), VERSION, None)
    assert str(status) in caught.value.why


def test_nothing_listens():
    with pytest.raises(LockError, match="can't be reached") as caught:
        lock_files(wanted("http://127.0.0.1:9"), VERSION, None)
    assert "mirror" in caught.value.next_step


def test_a_file_with_a_version_of_its_own_is_locked_and_looked_for_under_it(tmp_path):
    release = "https://github.com/containerd/containerd/releases/download/v2.2.1"
    own = UpstreamFile("containerd", "amd64", f"{release}/containerd-2.2.1-linux-amd64.tar.gz", None, version="2.2.1")
    mirror = write(tmp_path, {f"/{folder}/containerd-2.2.1-linux-amd64.tar.gz": text for folder, text in FOLDERS})
    (file,) = lock_files([own], VERSION, mirror)
    assert (file.version, file.sha256) == ("2.2.1", sha(b"its own"))
    lock = replace_files(Lock(), [file])
    assert parse_lock(format_lock(lock, locked_by="bootstrap 1.0"), file="artifacts.lock") == lock


FOLDERS = [("2.2.1", b"its own"), (VERSION, b"the cluster's")]


# --- mirrors -------------------------------------------------------------------------------------


def write(root, files):
    for path, content in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return str(root)


LAYOUTS = ["", "/v1.36.3+k3s1", "/k3s/v1.36.3+k3s1", "/v1.36.3%2Bk3s1", RELEASE]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_mirror_gives_the_same_lock_as_upstream(tmp_path, layout):
    notes = []
    files = lock_files(wanted(), VERSION, write(tmp_path, release(layout, f"{layout}/install.sh")), note=notes.append)
    assert by_name(files) == ALL
    assert files[0].url == "https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/k3s"
    assert notes == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_web_mirror_gives_the_same_lock_as_upstream(layout):
    with serve(release(f"/m{layout}", f"/m{layout}/install.sh")) as server:
        files = lock_files(wanted(), VERSION, f"{server.url}/m/")
    assert by_name(files) == ALL
    assert files[0].url.startswith("https://github.com/")


def mirrors(tmp_path, files):
    """The same mirror as a folder and on the web."""
    yield write(tmp_path, files)
    with serve(files) as server:
        yield server.url


def flat(*missing, **changed):
    files = {**release("", "/install.sh"), **changed}
    for name in missing:
        del files[f"/{name}"]
    return files


def test_bytes_that_contradict_the_mirrors_checksum_file_are_refused(tmp_path):
    for mirror in mirrors(tmp_path, flat(**{"/k3s": b"X" + BINARY[1:]})):
        with pytest.raises(LockError, match="contradict the checksum file") as caught:
            lock_files(wanted(), VERSION, mirror)
        assert sha(BINARY) in caught.value.why


def test_without_a_checksum_file_the_files_are_locked_by_their_own_hash_and_that_is_said(tmp_path):
    for mirror in mirrors(tmp_path, flat("sha256sum-amd64.txt")):
        notes = []
        assert by_name(lock_files(wanted(), VERSION, mirror, note=notes.append)) == ALL
        assert len(notes) == 2
        assert all("sha256sum-amd64.txt" in note and "nothing confirms" in note for note in notes)


def test_a_mirror_without_the_images_is_enough(tmp_path):
    for mirror in mirrors(tmp_path, flat("k3s-airgap-images-amd64.tar.zst")):
        assert sorted(by_name(lock_files(wanted(), VERSION, mirror))) == ["install.sh", "k3s"]


def test_a_mirror_without_a_required_file_says_where_it_looked(tmp_path):
    for mirror in mirrors(tmp_path, flat("install.sh")):
        with pytest.raises(LockError, match=r"install\.sh v1\.36\.3\+k3s1 any was not found") as caught:
            lock_files(wanted(), VERSION, mirror)
        assert caught.value.where == mirror
        assert "k3s/v1.36.3+k3s1" in caught.value.why


def test_the_checksum_file_beside_the_binary_counts_and_no_other(tmp_path):
    files = {**release(f"/{VERSION}", f"/{VERSION}/install.sh"), "/sha256sum-amd64.txt": b"0" * 64 + b"  k3s\n"}
    for mirror in mirrors(tmp_path, files):
        assert by_name(lock_files(wanted(), VERSION, mirror)) == ALL


def test_a_mirror_of_pages_is_never_locked():
    with serve({}, always(200, b"<html>everything is fine</html>")) as server, pytest.raises(LockError):
        lock_files(wanted(), VERSION, server.url)


def test_an_empty_mirror_and_none_at_all(tmp_path):
    with pytest.raises(LockError, match="was not found"):
        lock_files(wanted(), VERSION, str(tmp_path))
    with pytest.raises(LockError, match="no folder"):
        lock_files(wanted(), VERSION, str(tmp_path / "none"))
