"""What is locked for k0s, what of it goes where, and whose signature is believed."""

import base64
import hashlib

import pytest

from bootstrap.distros import find_driver
from bootstrap.distros.k0s.upstream import bundle_name, payloads
from bootstrap.errors import LockError
from bootstrap.lock import format_lock, own_path, parse_lock
from bootstrap.model import Lock
from bootstrap.own_files import lock_own_files, obtain_own_file
from bootstrap.signatures import check_signatures
from bootstrap.upstream import lock_files

from .inventories import load

DRIVER = find_driver("k0s")
VERSION = "v1.36.3+k0s.2"
NAME = f"k0s-{VERSION}-amd64"


@pytest.fixture
def mirror(tmp_path):
    """A mirror folder in the release's layout, its checksums written as `sha256sum -b` does."""
    folder = tmp_path / "mirror" / VERSION
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"program")
    (folder / "sha256sums.txt").write_text(f"{hashlib.sha256(b'program').hexdigest()} *{NAME}\n")
    return tmp_path / "mirror"


def test_the_release_s_own_names_are_asked_for(tmp_path):
    files = DRIVER.upstream_files(load(tmp_path, "k0s: {airgap: true}\n"), ["amd64", "arm"])
    release = "https://github.com/k0sproject/k0s/releases/download/v1.36.3%2Bk0s.2"
    assert [file.url for file in files if file.arch == "amd64"] == [
        f"{release}/{NAME}",
        f"{release}/k0s-airgap-bundle-{VERSION}-linux-amd64.tar",
    ]
    assert {file.checksum_url for file in files} == {f"{release}/sha256sums.txt"}
    assert {file.arch for file in files} == {"amd64", "arm"}


def test_before_1_36_a_bundle_had_another_name():
    assert bundle_name("v1.35.7+k0s.0", "arm64") == "k0s-airgap-bundle-v1.35.7+k0s.0-arm64"


def test_checksums_with_an_asterisk_are_read(tmp_path, mirror):
    wanted = DRIVER.upstream_files(load(tmp_path), ["amd64"])
    (file,) = lock_files(wanted, VERSION, str(mirror))
    assert file.sha256 == hashlib.sha256(b"program").hexdigest()
    assert (file.name, file.version) == ("k0s", VERSION)


def test_a_program_that_contradicts_its_checksum_is_refused(tmp_path, mirror):
    (mirror / VERSION / NAME).write_bytes(b"another")
    with pytest.raises(LockError, match="contradict"):
        lock_files(DRIVER.upstream_files(load(tmp_path), ["amd64"]), VERSION, str(mirror))


# --- files of the repository -----------------------------------------------------------------------


def test_files_of_the_repository_are_locked_by_their_path_and_laid_where_k0s_looks(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/own pause.tar").write_bytes(b"tar")
    (tmp_path / "k0s").write_bytes(b"elf")
    inventory = load(tmp_path, "k0s: {k0sBinaryPath: k0s, images: images/own pause.tar, dataDir: /srv/k0s}\n")
    wanted = DRIVER.upstream_files(inventory, ["amd64"])
    assert [own_path(file.url) for file in wanted] == ["k0s", "images/own pause.tar"]
    locked = lock_own_files(wanted, tmp_path)
    lock = parse_lock(format_lock(Lock(locked), locked_by="test"))
    laid = {
        file.path: lock.find(file.name, file.version, "amd64") for file in payloads(inventory, inventory.host("two"))
    }
    assert set(laid) == {"/usr/local/bin/k0s", "/srv/k0s/images/own pause.tar"}
    for file in laid.values():
        assert obtain_own_file(file, tmp_path).is_file()
    assert [file.path for file in payloads(inventory, inventory.host("one"))] == ["/usr/local/bin/k0s"]


def test_a_file_of_the_repository_that_changed_since_is_refused(tmp_path):
    (tmp_path / "k0s").write_bytes(b"elf")
    wanted = DRIVER.upstream_files(load(tmp_path, "k0s: {k0sBinaryPath: k0s}\n"), ["amd64"])
    (file,) = lock_own_files(wanted, tmp_path)
    (tmp_path / "k0s").write_bytes(b"ELF")
    with pytest.raises(LockError, match="not the one that was locked"):
        obtain_own_file(file, tmp_path)
    (tmp_path / "k0s").unlink()
    with pytest.raises(LockError, match="missing or empty"):
        lock_own_files(wanted, tmp_path)


# --- signatures ------------------------------------------------------------------------------------


@pytest.fixture
def signed(tmp_path, mirror):
    """The mirror with a signature as cosign makes it, and the inventory with its key."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(b"program", ec.ECDSA(hashes.SHA256()))
    (mirror / VERSION / f"{NAME}.sig").write_text(base64.b64encode(signature).decode())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "cosign.pub").write_bytes(public)
    return DRIVER.upstream_files(load(tmp_path, "k0s: {cosign: cosign.pub}\n"), ["amd64"])


def test_a_signature_by_the_pinned_key_is_taken(tmp_path, mirror, signed):
    check_signatures(signed, lock_files(signed, VERSION, str(mirror)), VERSION, str(mirror), tmp_path)


def test_another_s_signature_is_refused(tmp_path, mirror, signed):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1()).sign(b"program", ec.ECDSA(hashes.SHA256()))
    for text in (base64.b64encode(other).decode(), "no base64", ""):
        (mirror / VERSION / f"{NAME}.sig").write_text(text)
        with pytest.raises(LockError, match="is not signed by the key"):
            check_signatures(signed, lock_files(signed, VERSION, str(mirror)), VERSION, str(mirror), tmp_path)


def test_a_release_without_signature_is_refused_where_a_key_is_pinned(tmp_path, mirror, signed):
    (mirror / VERSION / f"{NAME}.sig").unlink()
    with pytest.raises(LockError, match="no signature that can be read"):
        check_signatures(signed, lock_files(signed, VERSION, str(mirror)), VERSION, str(mirror), tmp_path)


def test_a_key_that_is_none_is_told(tmp_path, mirror, signed):
    (tmp_path / "cosign.pub").write_text("no key")
    with pytest.raises(LockError, match="signing key can't be read"):
        check_signatures(signed, lock_files(signed, VERSION, str(mirror)), VERSION, str(mirror), tmp_path)
