"""artifacts.lock round-trips, reads well in a diff, and refuses what it did not write."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.errors import LockError
from bootstrap.lock import format_lock, parse_checksums, parse_lock, replace_files
from bootstrap.model import Lock, LockedFile

RELEASE = "https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1"


def locked(name="k3s", version="v1.36.3+k3s1", arch="amd64", url=f"{RELEASE}/k3s", size=75_000_000, sha256="a" * 64):
    return LockedFile(name, version, arch, url, size, sha256)


LOCK = Lock(
    (
        locked(
            name="install.sh", arch="any", url="https://raw.githubusercontent.com/k3s-io/k3s/v1.36.3%2Bk3s1/install.sh"
        ),
        locked(),
        locked(arch="arm64", url=f"{RELEASE}/k3s-arm64"),
    )
)
TEXT = format_lock(LOCK, locked_by="bootstrap 0.1.0")
K3S_LINE = next(number for number, line in enumerate(TEXT.splitlines(), 1) if "name: k3s" in line)


def test_what_is_written_is_read_back():
    assert parse_lock(TEXT) == LOCK


def test_an_empty_lock_round_trips():
    assert parse_lock(format_lock(Lock(), locked_by="bootstrap 0.1.0")) == Lock()


def test_each_file_and_architecture_has_one_line_of_its_own():
    lines = [line for line in TEXT.splitlines() if line.startswith("- ")]
    assert len(lines) == 3
    assert all(line.count("sha256:") == 1 for line in lines)


def test_the_order_in_memory_does_not_change_a_byte():
    files = list(LOCK.files)
    random.Random(1).shuffle(files)
    assert format_lock(Lock(tuple(files)), locked_by="bootstrap 0.1.0") == TEXT


def test_a_new_hash_changes_one_line():
    changed = format_lock(replace_files(LOCK, [locked(sha256="b" * 64), LOCK.files[2]]), locked_by="bootstrap 0.1.0")
    differing = [pair for pair in zip(TEXT.splitlines(), changed.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(differing) == 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("0123456789abcdef"), min_size=64, max_size=64), st.integers(1, 10**11))
def test_any_hash_stays_text(digits, size):
    lock = Lock((locked(sha256="".join(digits), size=size, version="1.30", arch="386"),))
    assert parse_lock(format_lock(lock, locked_by="bootstrap 0.1.0")) == lock


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a" * 64, "a" * 63, "`sha256` must be 64 hexadecimal digits"),
        ("a" * 64, "A" * 64, "`sha256` must be 64 hexadecimal digits"),
        ("a" * 64, "''", "`sha256` must be"),
        (f"sha256: {'a' * 64}", "sha256: ", "`sha256` must be"),
        (f", sha256: {'a' * 64}", "", "`sha256` is missing"),
        ("size: 75000000", "size: 0", "`size` must be a number of bytes above 0"),
        ("size: 75000000", "size: -1", "`size` must be"),
        ("size: 75000000, ", "", "`size` is missing"),
        ("https://", "http://", "`url` must be an https:// address"),
        ("https://", "https://me:secret@", "`url` must be an https:// address"),
        ('/k3s"', '/.."', "`url` must be an https:// address"),
        ("name: k3s", "name: ../k3s", "`name` must be"),
        ("version: v1.36.3+k3s1", "version: ../../etc", "`version` must be"),
        ("arch: amd64", "arch: [amd64]", "`arch` must be a word"),
        ("name: k3s", "name: k3s, signed: true", "`signed` is no key of the lock"),
        ("name: k3s", "name: k3s, name: k3s", "`name` stands twice"),
    ],
)
def test_a_changed_entry_is_refused_with_its_line(old, new, message):
    lines = TEXT.splitlines()
    assert old in lines[K3S_LINE - 1]
    lines[K3S_LINE - 1] = lines[K3S_LINE - 1].replace(old, new)
    with pytest.raises(LockError, match=re.escape(message)) as caught:
        parse_lock("\n".join(lines))
    assert caught.value.where == f"artifacts.lock:{K3S_LINE}"
    assert "bootstrap lock" in caught.value.next_step


def test_the_same_file_twice_is_refused_and_names_both_lines():
    line = TEXT.splitlines()[K3S_LINE - 1]
    with pytest.raises(LockError, match=f"k3s v1.36.3\\+k3s1 amd64 is locked twice, first on line {K3S_LINE}"):
        parse_lock(TEXT + line.replace("a" * 64, "c" * 64) + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no entries"),
        ("# only a comment\n", "no entries"),
        ("- a\n", "no entries"),
        ("files: []\n", "`schema` is missing"),
        (TEXT.replace("bootstrap-lock/v1", "bootstrap-lock/v2"), "reads bootstrap-lock/v1"),
        (TEXT.replace("files:", "files: {}\nmore:"), "no key of the lock"),
        ("schema: bootstrap-lock/v1\nlocked_by: x\nfiles: 3\n", "must be a list"),
        ("schema: bootstrap-lock/v1\nlocked_by: x\nfiles: [k3s]\n", "an entry must be"),
        (TEXT.replace("files:\n", "files:\n<<<<<<< HEAD\n"), "not YAML"),
        ("\tfiles:", "not YAML"),
        ("files: [\x00]", "not YAML"),
    ],
)
def test_a_file_of_another_shape_is_refused(text, message):
    with pytest.raises(LockError, match=message):
        parse_lock(text)


def test_locking_a_new_version_keeps_the_other_versions():
    newer = locked(version="v1.37.0+k3s1")
    assert replace_files(LOCK, [newer]).files == (*LOCK.files, newer)


def test_locking_again_drops_an_architecture_that_is_wanted_no_more():
    assert replace_files(LOCK, [locked()]).files == (LOCK.files[0], locked())


def test_checksum_files_are_read_in_every_form_that_upstreams_write():
    one, two = "1" * 64, "2" * 64
    assert parse_checksums(f"{one}  k3s\n{two} *k3s-airgap-images-amd64.tar.zst\r\n") == {
        "k3s": one,
        "k3s-airgap-images-amd64.tar.zst": two,
    }
    assert parse_checksums(f"{one}  ./dist/artifacts/k3s\n") == {"k3s": one}
    assert parse_checksums(one.replace("1", "A")) == {"": "a" * 64}
    assert parse_checksums("<html>not found</html>") == {}
