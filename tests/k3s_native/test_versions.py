"""Versions of k3s, their order and what they have."""

import pytest

from bootstrap.distros.k3s.keys import Key, keys
from bootstrap.distros.k3s.versions import check_version, lacks_key, note_version, parse_version


@pytest.mark.parametrize("text", ["v1.36.3+k3s1", "v1.37.0-rc1+k3s1", "v1.30.2+k3s12"])
def test_release_tags_are_versions(text: str) -> None:
    assert check_version(text) == ("", "")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1.36.3+k3s1", "`v1.36.3+k3s1`"),
        ("v1.36.3", "`v1.36.3+k3s1`"),
        ("1.36.3", "`v1.36.3+k3s1`"),
        ("v1.36.3-k3s1", "`v1.36.3+k3s1`"),
        ("v1.37.0-rc1-k3s1", "`v1.37.0-rc1+k3s1`"),
        ("stable", "exact tag"),
        ("v1.36", "exact tag"),
        ("latest", "exact tag"),
        ("v1.36.3+k3s", "exact tag"),
        ("v1.36.3+rke2r1", "exact tag"),
        ("", "exact tag"),
    ],
)
def test_what_is_no_release_tag_gets_a_hint(text: str, hint: str) -> None:
    message, found = check_version(text)
    assert "no k3s release" in message
    assert hint in found


def test_versions_are_ordered_by_number_and_candidates_come_before_their_release() -> None:
    texts = ["v1.9.0+k3s1", "v1.10.0-rc1+k3s1", "v1.10.0-rc2+k3s1", "v1.10.0+k3s1", "v1.10.0+k3s2", "v1.10.10+k3s1"]
    assert sorted([*texts[3:], *texts[:3]], key=parse_version) == texts


@pytest.mark.parametrize("text", ["v1.36", "latest", "v1.36.3+k3s1 "])
def test_parsing_refuses_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="no k3s version"):
        parse_version(text)


def test_versions_far_from_those_this_program_knows_get_a_note() -> None:
    assert "out of upstream's support" in note_version("v1.30.1+k3s1")
    assert "newer than this program" in note_version("v1.45.0+k3s1")
    assert note_version("v1.36.3+k3s1") == ""


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        ("v1.30.14+k3s1", True),
        ("v1.31.11+k3s1", True),
        ("v1.31.12+k3s1", False),
        ("v1.33.3+k3s1", True),
        ("v1.33.4+k3s1", False),
        ("v1.34.0+k3s1", False),
        ("v1.36.3+k3s1", False),
    ],
)
def test_a_key_that_was_brought_to_several_minors_is_known_release_by_release(version: str, lacks: bool) -> None:
    assert lacks_key(parse_version(version), keys()["etcd-s3-retention"]) is lacks


def test_a_key_without_a_first_release_is_in_all() -> None:
    key: Key = keys()["debug"]
    assert not lacks_key(parse_version("v1.20.0+k3s1"), key)
