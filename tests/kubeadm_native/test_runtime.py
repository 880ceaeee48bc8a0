"""containerd by its version and origin, and what upstream publishes for it."""

import tomllib

import pytest

from bootstrap.distros.kubeadm.files import templates
from bootstrap.distros.kubeadm.layout import CONTAINERD_CONFIG, CONTAINERD_UNIT, SCRIPT
from bootstrap.distros.kubeadm.runtime import split_version
from bootstrap.distros.kubeadm.upstream import list_upstream
from bootstrap.distros.kubeadm.versions import check_version, config_api, note_version, parse_version, pause_tag

from .inventories import load, read, seen

OLD, RUNTIME, IMAGES = "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"


def config_of(tmp_path, text, version=None, os="debian 13"):
    inventory = load(tmp_path, text)
    facts = {"one": seen("one", "192.168.1.11", values={"containerd": version} if version else {})}
    return tomllib.loads(read(inventory, templates(inventory, facts))["one", CONTAINERD_CONFIG])


@pytest.mark.parametrize("version", ["1.6.20", "1.7.24", "1.7.24~ds1"])
def test_containerd_1_of_the_packages_gets_its_own_configuration(tmp_path, version):
    found = config_of(tmp_path, "kubeadm: {runtime: packages, cni: bridge}\n", version)
    plugin = found["plugins"][OLD]
    assert found["version"] == 2
    assert plugin["sandbox_image"] == "registry.k8s.io/pause:3.10.2"
    assert plugin["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert plugin["cni"]["bin_dir"] == "/usr/lib/cni"
    assert "restrict_oom_score_adj" not in plugin


@pytest.mark.parametrize(
    ("version", "key"), [("2.0.5", "bin_dir"), ("2.1.0", "bin_dirs"), ("2.2.1", "bin_dirs"), (None, "bin_dirs")]
)
def test_containerd_2_names_its_plugins_and_folders_differently(tmp_path, version, key):
    found = config_of(tmp_path, "kubeadm: {runtime: packages, cni: bridge}\n", version)
    assert found["version"] == 3
    assert found["plugins"][IMAGES]["pinned_images"]["sandbox"] == "registry.k8s.io/pause:3.10.2"
    runtime = found["plugins"][RUNTIME]
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert sorted(runtime["cni"]) == [key, "conf_dir"]


@pytest.mark.parametrize("version", ["1.7.24", "2.2.1"])
def test_scores_are_restricted_where_that_is_asked_for(tmp_path, version):
    text = "kubeadm: {runtime: packages, runtime_options: {restrict_oom_score_adj: true}}\n"
    plugins = config_of(tmp_path, text, version)["plugins"]
    assert plugins[OLD if version.startswith("1") else RUNTIME]["restrict_oom_score_adj"] is True


def test_released_programs_need_a_unit_and_the_pinned_version_decides(tmp_path):
    text = "kubeadm: {versions: {containerd: 1.7.29}}\n"
    inventory = load(tmp_path, text)
    files = read(inventory, templates(inventory, {}))
    assert tomllib.loads(files["one", CONTAINERD_CONFIG])["version"] == 2
    assert "/usr/local/bin/containerd" in files["one", CONTAINERD_UNIT]
    packaged = load(tmp_path, "kubeadm: {runtime: packages}\n")
    assert ("one", CONTAINERD_UNIT) not in read(packaged, templates(packaged, {}))


@pytest.mark.parametrize("cni", ["flannel", "calico", "cilium"])
def test_a_network_that_brings_a_plugin_finds_the_packages_plugins_beside_it(tmp_path, cni):
    text = f"kubeadm: {{runtime: packages, cni: {cni}}}\n"
    assert config_of(tmp_path, text, "1.7.24")["plugins"][OLD]["cni"]["bin_dir"] == "/opt/cni/bin"
    inventory = load(tmp_path, text)
    assert 'ln -s "$plugin" /opt/cni/bin/' in read(inventory, templates(inventory))["one", SCRIPT]


def test_images_come_from_the_repository_that_is_named(tmp_path):
    text = "kubeadm: {runtime: packages, cluster: {imageRepository: r.lan/k8s}}\n"
    assert config_of(tmp_path, text, "1.7.24")["plugins"][OLD]["sandbox_image"] == "r.lan/k8s/pause:3.10.2"


def test_toml_of_the_inventory_is_appended_and_registries_have_files_of_their_own(tmp_path):
    text = """kubeadm:
  runtime: packages
  containerd: |
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
      runtime_type = "io.containerd.runc.v2"
  registries:
    docker.io: {mirrors: ["https://m.lan"]}
    r.lan:5000: {server: "http://r.lan:5000"}
"""
    found = config_of(tmp_path, text, "1.7.24")
    assert sorted(found["plugins"][OLD]["containerd"]["runtimes"]) == ["nvidia", "runc"]
    files = read(inventory := load(tmp_path, text), templates(inventory))
    docker = tomllib.loads(files["one", "/etc/containerd/certs.d/docker.io/hosts.toml"])
    assert docker == {
        "server": "https://registry-1.docker.io",
        "host": {"https://m.lan": {"capabilities": ["pull", "resolve"]}},
    }
    own = tomllib.loads(files["one", "/etc/containerd/certs.d/r.lan:5000/hosts.toml"])
    assert own == {
        "server": "http://r.lan:5000",
        "host": {},
    }  # without a table of that name containerd 1.7 reads nothing


def test_swap_is_left_alone_where_the_kubelet_takes_it(tmp_path):
    bare, keeps = load(tmp_path), load(tmp_path, "kubeadm: {kubelet: {failSwapOn: false}}\n")
    assert "swapoff" in read(load(tmp_path), templates(bare))["one", SCRIPT]
    assert "swapoff" not in read(keeps, templates(keeps))["one", SCRIPT]


@pytest.mark.parametrize(("text", "parts"), [("1.7.24~ds1", (1, 7)), ("v2.0.5", (2, 0)), ("2", (2, 99)), ("", (2, 99))])
def test_versions_of_packages_are_read_as_they_come(text, parts):
    assert split_version(text) == parts


# --- versions and upstream -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "tag"), [("v1.31.0", "3.10"), ("v1.34.2", "3.10.1"), ("v1.35.0", "3.10.1"), ("v1.38.1", "3.10.2")]
)
def test_the_sandbox_image_goes_with_the_minor(version, tag):
    assert pause_tag(version) == tag
    assert config_api(version) == "kubeadm.k8s.io/v1beta4"


def test_candidates_come_before_their_release():
    texts = ["v1.36.0-alpha.2", "v1.36.0-beta.0", "v1.36.0-rc.1", "v1.36.0", "v1.36.1", "v1.37.0-alpha.1"]
    assert sorted(map(parse_version, reversed(texts))) == [parse_version(text) for text in texts]


@pytest.mark.parametrize("text", ["v1.36.3", "v1.37.0-rc.1", "v1.31.0"])
def test_releases_are_taken(text):
    assert check_version(text) == ("", "")


def test_a_minor_that_this_program_was_not_made_with_is_remarked():
    assert note_version("v1.36.3") == ""
    assert "out of upstream's support" in note_version("v1.33.0")
    assert "newer than this program" in note_version("v1.38.0")


def test_upstream_files_have_official_places_and_versions(tmp_path):
    inventory = load(tmp_path, "kubeadm: {versions: {runc: 1.3.4}}\n")
    found = {(file.name, file.arch): file for file in list_upstream(inventory, ["amd64", "arm64"])}
    assert found["kubelet", "arm64"].url == "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kubelet"
    assert found["kubelet", "arm64"].checksum_url == f"{found['kubelet', 'arm64'].url}.sha256"
    assert found["kubelet", "arm64"].version == ""
    assert found["runc", "amd64"].url.endswith("/v1.3.4/runc.amd64")
    assert found["runc", "amd64"].version == "1.3.4"
    assert found["crictl", "amd64"].version == "1.36.0"
    assert found["flannel", "any"].url.endswith("/kube-flannel.yml")
    assert "kubernetes-images" not in {name for name, _ in found}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "mirror: /srv\nkubeadm: {runtime: packages, cni: bridge}\n",
            ["kubeadm", "kubectl", "kubelet", "kubernetes-images"],
        ),
        ("kubeadm: {runtime: packages, cni: calico}\n", ["calico", "kubeadm", "kubectl", "kubelet"]),
        ("kubeadm: {runtime: packages, cni: cilium}\n", ["cilium", "cilium-cli", "kubeadm", "kubectl", "kubelet"]),
        (
            "kubeadm: {cni: none}\n",
            ["cni-plugins", "containerd", "crictl", "kubeadm", "kubectl", "kubelet", "runc"],
        ),
    ],
)
def test_only_what_is_used_is_locked(tmp_path, text, names):
    files = [file.name for file in list_upstream(load(tmp_path, text), ["amd64"])]
    assert sorted(name for name in files if not name.startswith("image-")) == names
