"""Kubeconfigs: renamed after the cluster, merged without loss, stored privately."""

import os
import threading

import pytest
import yaml

from bootstrap.kubeconfig import KubeconfigError, merge_kubeconfigs, read_credentials, rename_kubeconfig, write_private

from .fake_api import TOKEN, make_kubeconfig

OTHERS = """\
apiVersion: v1
kind: Config
preferences: {colors: true}
extensions: [{name: mine, extension: {since: 2024-05-06}}]
current-context: work
clusters:
- {name: work, cluster: {server: "https://work:6443", insecure-skip-tls-verify: true}}
- {name: home, cluster: {server: "https://old:6443", certificate-authority-data: b2xk}}
contexts:
- {name: work, context: {cluster: work, user: me, namespace: prod}}
- {name: home, context: {cluster: home, user: home-admin}}
users:
- {name: me, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks], env: null}}}
- {name: home-admin, user: {token: old}}
"""


@pytest.fixture(scope="module")
def fetched(authority, client):
    return make_kubeconfig("https://127.0.0.1:6443", authority, client)


@pytest.fixture(scope="module")
def home(fetched):
    return rename_kubeconfig(fetched, "home", "https://192.168.1.10:6443")


def test_everything_is_named_after_the_cluster(home):
    document = yaml.safe_load(home)
    assert document["current-context"] == "home"
    assert document["contexts"] == [{"name": "home", "context": {"cluster": "home", "user": "home-admin"}}]
    assert [entry["name"] for entry in document["clusters"]] == ["home"]
    assert [entry["name"] for entry in document["users"]] == ["home-admin"]
    assert "default" not in home


def test_the_server_is_replaced_and_the_rest_is_kept(home, fetched):
    old, new = read_credentials(fetched), read_credentials(home)
    assert new.server == "https://192.168.1.10:6443"
    assert (new.ca_pem, new.certificate_pem, new.key_pem) == (old.ca_pem, old.certificate_pem, old.key_pem)
    assert yaml.safe_load(home)["preferences"] == {}


def test_settings_of_the_context_and_the_cluster_survive(authority, client):
    text = make_kubeconfig("https://127.0.0.1:6443", authority, client, **{"tls-server-name": "k3s"})
    document = yaml.safe_load(text)
    document["contexts"][0]["context"]["namespace"] = "flux"
    renamed = yaml.safe_load(rename_kubeconfig(yaml.safe_dump(document), "home", "https://h:6443"))
    assert renamed["contexts"][0]["context"]["namespace"] == "flux"
    assert renamed["clusters"][0]["cluster"]["tls-server-name"] == "k3s"


def test_renaming_twice_changes_nothing_more(home):
    assert rename_kubeconfig(home, "home", "https://192.168.1.10:6443") == home


def test_no_secret_shows_in_a_printed_value(home, authority):
    printed = repr(read_credentials(home))
    assert TOKEN not in repr(read_credentials(make_kubeconfig("https://127.0.0.1:6443", authority)))
    assert "PRIVATE" not in printed
    assert "CERTIFICATE" not in printed


def test_merging_keeps_others_and_replaces_ours(home):
    merged, old, new = yaml.safe_load(merge_kubeconfigs(OTHERS, home)), yaml.safe_load(OTHERS), yaml.safe_load(home)
    assert merged["current-context"] == "home"
    assert merged["preferences"] == {"colors": True}
    for key in ("clusters", "contexts", "users"):
        assert merged[key] == [old[key][0], new[key][0]]


def test_a_date_stays_as_it_was_written(home):
    assert "since: 2024-05-06" in merge_kubeconfigs(OTHERS, home).replace("'", "")
    assert yaml.safe_load(merge_kubeconfigs(OTHERS, home))["extensions"][0]["extension"]["since"] == "2024-05-06"


def test_merging_twice_changes_nothing_more(home):
    once = merge_kubeconfigs(OTHERS, home)
    assert merge_kubeconfigs(once, home) == once


@pytest.mark.parametrize(
    "existing", ["", "\n", "apiVersion: v1\nkind: Config\nclusters: null\nusers: null\ncontexts: []\n"]
)
def test_merging_into_nothing_gives_the_new_file(existing, home):
    assert yaml.safe_load(merge_kubeconfigs(existing, home)) == yaml.safe_load(home) | (
        {} if not existing.strip() else {"preferences": {}}
    )


def test_an_existing_file_in_json_is_merged(home):
    merged = yaml.safe_load(merge_kubeconfigs('{"apiVersion":"v1","clusters":[{"name":"x","cluster":{}}]}', home))
    assert [entry["name"] for entry in merged["clusters"]] == ["x", "home"]


@pytest.mark.parametrize(
    "existing", ["clusters: [", "- a\n", "clusters: home\n", "users: [home]\n", "\x00", "a: &a [*a]\n: :"]
)
def test_an_existing_file_that_is_broken_is_refused(existing, home):
    with pytest.raises(KubeconfigError):
        merge_kubeconfigs(existing, home)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "clusters: []\n",
        "current-context: a\ncontexts: [{name: a, context: {cluster: b, user: c}}]\n",
        "contexts: [{name: a}]\n",
    ],
)
def test_a_fetched_file_that_is_broken_is_refused(text):
    with pytest.raises(KubeconfigError):
        rename_kubeconfig(text, "home", "https://h:6443")
    with pytest.raises(KubeconfigError):
        read_credentials(text)


def mode(path):
    return oct(path.stat().st_mode & 0o777)


def test_a_new_file_is_private_and_so_is_its_folder(tmp_path):
    path = tmp_path / "kube" / "config"
    assert write_private(path, "new") is None
    assert (path.read_text(), mode(path), mode(path.parent)) == ("new", "0o600", "0o700")
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_each_old_file_is_kept(tmp_path):
    path = tmp_path / "config"
    path.write_text("one")
    path.chmod(0o644)
    assert write_private(path, "two") == tmp_path / "config.bak-1"
    assert write_private(path, "three") == tmp_path / "config.bak-2"
    assert {entry.name: (entry.read_text(), mode(entry)) for entry in tmp_path.iterdir()} == {
        "config": ("three", "0o600"),
        "config.bak-1": ("one", "0o600"),
        "config.bak-2": ("two", "0o600"),
    }


def test_the_same_text_makes_no_backup_and_only_mends_the_mode(tmp_path):
    path = tmp_path / "config"
    path.write_text("one")
    path.chmod(0o644)
    before = path.stat().st_ino
    assert write_private(path, "one") is None
    assert path.stat().st_ino == before
    assert mode(path) == "0o600"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_is_followed(tmp_path):
    real = tmp_path / "dotfiles"
    real.write_text("one")
    link = tmp_path / "config"
    link.symlink_to(real)
    write_private(link, "two")
    assert link.is_symlink()
    assert real.read_text() == "two"


def test_a_disk_that_refuses_is_a_clear_error_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "config"
    path.write_text("one")

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(KubeconfigError, match="No space left"):
        write_private(path, "two")
    assert path.read_text() == "one"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["config", "config.bak-1"]


def test_two_writers_leave_one_whole_file(tmp_path):
    path = tmp_path / "config"
    texts = [character * 200_000 for character in "abcd"]
    threads = [threading.Thread(target=write_private, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
