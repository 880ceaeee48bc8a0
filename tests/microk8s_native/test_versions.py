"""Tracks, channels and tokens."""

import pytest

from bootstrap.distros.microk8s.tokens import check_token
from bootstrap.distros.microk8s.versions import (
    channel_of,
    check_channel,
    check_version,
    is_strict,
    kubelet_version,
    note_version,
)

from .inventories import load


@pytest.mark.parametrize("text", ["1.28", "1.36", "1.36-strict", "1.40", "2.0"])
def test_tracks_are_taken(text):
    assert check_version(text) == ("", "")


@pytest.mark.parametrize(
    ("text", "likely"),
    [
        ("v1.36", '"1.36"'),
        ("1.36.2", '"1.36"'),
        ("v1.35.0+k3s1", '"1.35"'),
        ("1.36-strict2", '"1.36-strict"'),
        ("1.36-eksd", '"1.36"'),
        ("1.36/stable", '"1.36"'),
        ("1.36-strict/edge", "{channel: 1.36-strict/edge}"),
    ],
)
def test_what_is_usually_meant_is_suggested(text, likely):
    message, hint = check_version(text)
    assert message
    assert likely in hint


@pytest.mark.parametrize("text", ["", "stable", "latest/stable", "1", "1.x"])
def test_what_is_no_track_is_refused_with_an_example(text):
    message, hint = check_version(text)
    assert message
    assert "1.36-strict" in hint


@pytest.mark.parametrize("channel", ["1.36/stable", "1.36/edge", "1.36/candidate/fix-5400"])
def test_channels_of_the_track_are_taken(channel):
    assert check_channel("1.36", channel) == ("", "")


def test_a_cluster_follows_the_stable_channel_of_its_track(tmp_path):
    assert channel_of(load(tmp_path, version="1.36-strict")) == "1.36-strict/stable"
    assert channel_of(load(tmp_path, "microk8s: {channel: 1.36/beta}\n")) == "1.36/beta"


def test_a_strict_track_has_kubelets_of_its_minor(tmp_path):
    inventory = load(tmp_path, version="1.35-strict")
    assert (is_strict(inventory), kubelet_version(inventory)) == (True, "v1.35")


def test_a_later_minor_than_this_program_is_told(tmp_path):
    assert "newer than this program" in note_version(load(tmp_path, version="1.40"))
    assert note_version(load(tmp_path)) == ""


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("0123456789abcdef0123456789abcdef", ""),
        ("Z" * 64, ""),
        ("0123456789", "too short"),
        (f" {'a' * 32}", "white space"),
        (f"{'a' * 32}/b", "other characters"),
        (f"{'a' * 32}|1", "other characters"),
        ("", "too short"),
    ],
)
def test_a_token_is_what_a_join_address_can_carry(token, said):
    found = check_token(token)
    assert (said in found) if said else not found
    assert not token or token.strip() not in found
