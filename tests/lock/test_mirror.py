"""A mirror is searched in every layout that people use, the most telling places first."""

import pytest

from bootstrap.errors import LockError
from bootstrap.mirror import as_folder, find_in_folder, list_addresses, list_places

VERSION = "v1.36.3+k3s1"
URL = "https://github.com/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/k3s-arm64"
SCRIPT = "https://raw.githubusercontent.com/k3s-io/k3s/v1.36.3%2Bk3s1/install.sh"


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "v1.36.3+k3s1",
        "v1.36.3%2Bk3s1",
        "k3s/v1.36.3+k3s1",
        "k3s/v1.36.3%2Bk3s1",
        "releases/download/v1.36.3+k3s1",
        "k3s-io/k3s/releases/download/v1.36.3+k3s1",
        "k3s-io/k3s/releases/download/v1.36.3%2Bk3s1",
        "github.com/k3s-io/k3s/v1.36.3+k3s1",
        "mirrors/kubernetes/distributions/v1.36.3+k3s1",
    ],
)
def test_a_file_is_found_in_each_layout_and_the_installer_beside_it(tmp_path, folder):
    place = tmp_path / folder
    place.mkdir(parents=True, exist_ok=True)
    for name in ("k3s-arm64", "install.sh"):
        (place / name).write_text("x")
    assert find_in_folder(str(tmp_path), VERSION, URL) == place / "k3s-arm64"
    assert find_in_folder(str(tmp_path), VERSION, SCRIPT) == place / "install.sh"
    assert find_in_folder(f"file://{tmp_path}", VERSION, URL) == place / "k3s-arm64"


@pytest.mark.parametrize("folder", ["v1.36.3", "release/v1.36.3", "kubernetes/v1.36.3", "mirrors/k8s/v1.36.3", ""])
def test_programs_that_are_named_alike_for_all_architectures_lie_in_a_folder_of_theirs(tmp_path, folder):
    (tmp_path / folder / "bin/linux/arm64").mkdir(parents=True)
    program = tmp_path / folder / "bin/linux/arm64/kubelet"
    program.write_text("x")
    (tmp_path / folder / "kubelet").write_text("of who knows which architecture")
    url = "https://dl.k8s.io/release/v1.36.3/bin/linux/{}/kubelet"
    assert find_in_folder(str(tmp_path), "v1.36.3", url.format("arm64")) == program
    assert find_in_folder(str(tmp_path), "v1.36.3", url.format("amd64")) is None
    assert (
        list_addresses("https://mirror/x", "v1.36.3", url.format("arm64"))[-1]
        == "https://mirror/x/bin/linux/arm64/kubelet"
    )


def test_the_folder_of_the_version_wins_over_the_top_of_the_mirror(tmp_path):
    deep = tmp_path / "any" / VERSION
    deep.mkdir(parents=True)
    for folder in (tmp_path, deep):
        (folder / "k3s-arm64").write_text("x")
    assert find_in_folder(str(tmp_path), VERSION, URL) == deep / "k3s-arm64"


def test_another_version_and_a_folder_of_the_files_name_are_not_taken(tmp_path):
    (tmp_path / "v1.35.0+k3s1").mkdir()
    (tmp_path / "v1.35.0+k3s1" / "k3s-arm64").write_text("x")
    (tmp_path / "k3s-arm64").mkdir()
    assert find_in_folder(str(tmp_path), VERSION, URL) is None


def test_the_search_does_not_go_down_for_ever(tmp_path):
    deep = tmp_path / "a/b/c/d/e" / VERSION
    deep.mkdir(parents=True)
    (deep / "k3s-arm64").write_text("x")
    assert find_in_folder(str(tmp_path), VERSION, URL) is None


def test_a_mirror_that_is_no_folder_is_an_error(tmp_path):
    for mirror in (str(tmp_path / "none"), "ftp://mirror/k3s"):
        with pytest.raises(LockError, match="no folder"):
            as_folder(mirror)


def test_web_addresses_are_quoted_once():
    addresses = list_addresses("http://nas.lan/mirror/", VERSION, URL)
    assert addresses[0] == "http://nas.lan/mirror/k3s-io/k3s/releases/download/v1.36.3%2Bk3s1/k3s-arm64"
    assert addresses[1] == "http://nas.lan/mirror/k3s-io/k3s/releases/download/v1.36.3%252Bk3s1/k3s-arm64"
    assert "http://nas.lan/mirror/v1.36.3%2Bk3s1/k3s-arm64" in addresses
    assert addresses[-1] == "http://nas.lan/mirror/k3s-arm64"
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("login", ["me:hunter2", "hunter2", ":hunter2"])
def test_a_login_in_a_mirrors_address_is_refused_and_not_repeated(login):
    with pytest.raises(LockError) as caught:
        list_addresses(f"https://{login}@nas.lan/", VERSION, URL)
    assert caught.value.where == "nas.lan"
    assert "hunter2" not in str(caught.value)


def test_upstreams_without_a_project_in_their_path_have_places_too():
    places = list_places("v1.36.0", "https://dl.k8s.io/release/v1.36.0/bin/linux/amd64/kubeadm")
    assert places[0] == "release/v1.36.0/bin/linux/amd64"
    assert list_places("v1", "https://host/file")[-1] == "v1" or "" in list_places("v1", "https://host/file")
