"""registries.yaml and manifests: what is refused."""

from pathlib import Path

import pytest

from tests.k3s_native.inventories import find_problems


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("mirror: {}", "`mirror` is no part of registries.yaml", "did you mean `mirrors`?"),
        ("auths: {}", "`auths` is no part", "under `configs`"),
        ("mirrors: []", "must be a mapping", ""),
        ("mirrors: {docker.io: x}", "must be a mapping", "a list of URLs"),
        ("mirrors: {docker.io: {endpoints: []}}", "`endpoints` is no key here", "did you mean `endpoint`?"),
        ("mirrors: {docker.io: {endpoint: registry.lan}}", "must be a list", "`- https://registry.lan`"),
        ("mirrors: {docker.io: {endpoint: ['registry.lan:5000']}}", "is no URL", "`https://registry.lan:5000`"),
        ("mirrors: {docker.io: {rewrite: [a]}}", "`rewrite` must be a mapping", ""),
        ("configs: {'https://r.lan': {}}", "by host and port alone", "write `r.lan`"),
        ("configs: {r.lan: {tls: {ca: x}}}", "`ca` is no key here", ""),
        ("configs: {r.lan: {tls: {ca_files: x}}}", "`ca_files` is no key here", "did you mean `ca_file`?"),
        ("configs: {r.lan: {tls: {insecure_skip_verify: 'yes'}}}", "must be true or false", ""),
        ("configs: {r.lan: {auth: {username: 5}}}", "must be text", ""),
        ("configs: {r.lan: {auth: {password: hunter2}}}", "secret in clear", "${env:NAME}"),
        ("configs: {r.lan: {auth: x}}", "`auth` must be a mapping", ""),
        ("configs: {r.lan: {user: x}}", "`user` is no key here", "one of auth, tls"),
    ],
)
def test_a_mistaken_registry_is_told(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (problem,) = find_problems(tmp_path, f"k3s:\n  registries:\n    {text}\n")
    assert message in problem
    assert hint in problem


@pytest.mark.parametrize(
    "text",
    [
        "mirrors: {docker.io: }",
        "mirrors: {'*': {endpoint: ['https://r.lan'], rewrite: {'^a/(.*)': 'b/$1'}}}",
        "configs: {'r.lan:5000': {auth: {username: a, password: '${env:P}'}, tls: {insecure_skip_verify: true}}}",
        "configs: {r.lan: }",
    ],
)
def test_good_registries_are_taken(tmp_path: Path, text: str) -> None:
    assert find_problems(tmp_path, f"k3s:\n  registries:\n    {text}\n") == []


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("kube_vip.yaml: 'a: b'", "is no file name that k3s applies", "write `kube-vip.yaml`"),
        ("MetalLB: 'a: b'", "is no file name", "write `metallb.yaml`"),
        ("../x.yaml: 'a: b'", "is no file name", "write `x.yaml`"),
        ("traefik.yaml: 'a: b'", "k3s writes its own traefik.yaml", "HelmChartConfig"),
        ("a.yaml: '[b'", "is no YAML", ""),
        ("a.yaml: ' '", "is empty", "leave it out"),
    ],
)
def test_a_mistaken_manifest_is_told(tmp_path: Path, text: str, message: str, hint: str) -> None:
    (problem,) = find_problems(tmp_path, f"k3s:\n  manifests:\n    {text}\n")
    assert message in problem
    assert hint in problem


def test_manifests_with_references_are_taken_as_they_are(tmp_path: Path) -> None:
    assert find_problems(tmp_path, "k3s:\n  manifests:\n    a.yaml: '{a: ${env:X}'\n") == []


def test_manifests_of_a_group_are_refused_for_servers_would_fight(tmp_path: Path) -> None:
    (problem,) = find_problems(tmp_path, "groups:\n  g:\n    k3s:\n      manifests: {a.yaml: 'a: b'}\n")
    assert "must be the same on all servers" in problem


def test_a_manifest_in_a_file_of_the_repository_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [b\n")
    (problem,) = find_problems(tmp_path, "k3s:\n  manifests:\n    a.yaml: {source: broken.yaml}\n")
    assert "is no YAML" in problem
