"""Flags, units, documents and answers are compared as k0s reads them."""

import json

from bootstrap.diffs import find_differences, find_missing
from bootstrap.distros.k0s.drift import (
    compare_flags,
    load_document,
    read_flags,
    read_unit,
)
from bootstrap.distros.k0s.probes import parse_members, parse_rejected, parse_status

UNIT = """\
[Service]
StartLimitInterval=5
ExecStart=/usr/local/bin/k0s worker --data-dir=/var/lib/k0s --kubelet-extra-args=--node-ip=10.0.0.2\\x20--v=4 --token-file=/etc/k0s/k0stoken
Environment="HTTPS_PROXY=http://a:p%%40x@b"
"""
SCRIPT = """\
#!/sbin/openrc-run
command="/usr/local/bin/k0s"
command_args="'worker' '--data-dir=/var/lib/k0s' '--kubelet-extra-args=--node-ip=10.0.0.2 --v=4' "
"""


def test_a_unit_and_a_script_give_the_same_words() -> None:
    words = ["--data-dir=/var/lib/k0s", "--kubelet-extra-args=--node-ip=10.0.0.2 --v=4"]
    assert read_unit(UNIT) == [*words, "--token-file=/etc/k0s/k0stoken"]
    assert read_unit(SCRIPT) == words
    assert read_unit("") == []


def test_defaults_order_spelling_and_the_token_make_no_difference() -> None:
    ours = [
        "--config=/etc/k0s/k0s.yaml",
        "--data-dir=/var/lib/k0s",
        "--enable-worker=true",
        "--kubelet-extra-args=--b=1 --a=2",
    ]
    theirs = ["--kubelet-extra-args=--a=2 --b=1", "--enable-worker", "--token-file=/etc/k0s/k0stoken", "--force=true"]
    assert compare_flags(ours, theirs) == []


def test_each_difference_is_told_in_words() -> None:
    assert compare_flags(["--profile=a", "--debug=true"], ["--profile", "b", "--verbose"]) == [
        "--debug=true is missing",
        "--profile is b, and shall be a",
        "--verbose=true is too much",
    ]
    assert read_flags(["-c", "/etc/other.yaml"]) == {"--config": "/etc/other.yaml"}


def test_documents_differ_by_what_they_say() -> None:
    ours = load_document("spec: {api: {sans: [a]}, network: {}}\n")
    theirs = load_document("# generated\nspec:\n    api:\n        sans:\n        - a\n")
    assert list(find_differences(ours, theirs)) == []
    changed = load_document("spec: {api: {sans: [a, b]}, telemetry: {enabled: true}}\n")
    assert list(find_differences(ours, changed)) == ["spec.api.sans", "spec.telemetry"]
    assert list(find_missing(ours, changed)) == ["spec.api.sans"]


def test_what_is_no_document_is_none() -> None:
    assert load_document("a: [") is None
    assert load_document("just words") is None
    assert load_document(None) is None


def test_members_are_known_by_their_addresses() -> None:
    text = json.dumps({"members": {"one": "https://10.0.0.1:2380", "two": "https://[fd00::2]:2380"}})
    assert parse_members(text) == {"one": "10.0.0.1", "two": "fd00::2"}
    own = {
        "members": [
            {"name": "one", "peerURLs": ["https://10.0.0.1:2380"]},
            {"peerURLs": ["https://10.0.0.2:2380"], "isLearner": True},
        ]
    }
    assert parse_members(json.dumps(own)) == {"one": "10.0.0.1", "10.0.0.2": "10.0.0.2"}
    assert parse_members("") is None
    assert parse_members('{"members": null}') is None


def test_status_of_a_host_where_k0s_does_not_run_is_its_binary() -> None:
    assert parse_status("binary v1.36.3+k0s.2\n") == {"Version": "v1.36.3+k0s.2", "Pid": 0}
    assert parse_status("Error: status") == {}


def test_only_what_k0s_rejects_is_taken_from_its_pre_flight() -> None:
    items = [
        {"displayName": "cgroup version", "prop": "1", "message": "unsupported", "category": "rejected"},
        {"displayName": "modprobe", "message": "not found", "category": "warning"},
        {"displayName": "memory", "category": "pass"},
        {"displayName": "kernel", "category": "", "error": "can't read"},
    ]
    assert parse_rejected(json.dumps(items)) == ("cgroup version: unsupported", "kernel: can't read")
    assert parse_rejected("") == ()
