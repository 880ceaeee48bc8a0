"""What a mirror's snaps are called, and what the lock says of them."""

import hashlib

import pytest

from bootstrap.distros.microk8s.upstream import list_upstream
from bootstrap.errors import LockError
from bootstrap.upstream import lock_files

from .inventories import load

NAMES = ("core22.snap", "core22.assert", "microk8s.snap", "microk8s.assert")


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "mirror"
    for track in ("1.35", "1.36"):
        (folder / track).mkdir(parents=True)
        for name in NAMES:
            (folder / track / name).write_text(f"{track} {name}\n")
    return folder


def test_without_a_mirror_there_is_nothing_to_lock(tmp_path):
    assert list_upstream(load(tmp_path), ["amd64", "arm64"]) == []


def test_a_mirror_s_files_are_locked_by_their_own_hashes(tmp_path, mirror):
    inventory = load(tmp_path, f"mirror: {mirror}\n")
    locked = {file.name: file for file in lock_files(list_upstream(inventory, ["amd64"]), "1.36", str(mirror))}
    assert set(locked) == {"core22", "core22-assert", "microk8s", "microk8s-assert"}
    assert locked["microk8s"].sha256 == hashlib.sha256(b"1.36 microk8s.snap\n").hexdigest()
    assert locked["core22-assert"].sha256 == hashlib.sha256(b"1.36 core22.assert\n").hexdigest()
    assert {file.version for file in locked.values()} == {"1.36"}


def test_other_architectures_have_their_name_in_the_file_s(tmp_path, mirror):
    inventory = load(tmp_path, f"mirror: {mirror}\nmicrok8s: {{offline: true}}\n")
    files = {file.name: file.url.rpartition("/")[2] for file in list_upstream(inventory, ["arm64", "arm"])}
    assert files["microk8s"] == "microk8s-arm64.snap"
    assert files["core22-assert"] == "core22-arm64.assert"
    with pytest.raises(LockError, match="arm64 was not found") as raised:
        lock_files(list_upstream(inventory, ["arm64"]), "1.36", str(mirror))
    assert "core22-arm64.snap" in str(raised.value.why)


def test_a_mirror_of_other_things_is_no_hindrance_while_there_is_a_store(tmp_path, mirror):
    inventory = load(tmp_path, f"mirror: {mirror}\n", version="1.34")
    assert lock_files(list_upstream(inventory, ["amd64"]), "1.34", str(mirror)) == ()
