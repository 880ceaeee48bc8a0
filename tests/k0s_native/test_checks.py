"""What is right is taken; the tables of fields are upstream's own."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from bootstrap.distros.k0s.fields import CHOICES, OWNERS, PER_HOST, PORTS, SPEC
from bootstrap.distros.k0s.flags import OF_CONTROLLERS, SHARED, check_flags, normal_flag
from bootstrap.distros.k0s.native import check_native, check_token
from bootstrap.distros.k0s.versions import kubelet_version, note_version, parse_version
from bootstrap.forms import Items
from bootstrap.sections import find_sections

from .inventories import HEAD, THREE, load

SINGLE = "hosts:\n  one: {address: 192.168.1.11, role: single}\n"
RIGHT = [
    "config: {api: {port: 6444, extraArgs: {v: '4'}, rawArgs: [--v=4], ca: {expiresAfter: 87600h}}}",
    "config: {api: {onlyBindToAddress: true, address: 192.168.1.11}}",
    "config: {storage: {type: kine, kine: {dataSource: '${secret:dsn}'}}}",
    "config: {storage: {type: kine, kine: {dataSource: 'sqlite:///var/lib/k0s/db/state.db?mode=rwc'}}}",
    "config: {network: {kubeProxy: {mode: nftables, nftables: {syncPeriod: 30s}}, coreDNS: {patches: []}}}",
    "config: {network: {provider: custom, kubeProxy: {disabled: true}}}",
    "config: {featureGates: [{name: A, enabled: true, components: [kubelet]}], konnectivity: {agentPort: 8142}}",
    "config: {extensions: {helm: {charts: [{name: a, chartname: b/a, namespace: c, timeout: 10m, values: 'a: 1'}]}}}",
    "config: {images: {repository: mirror.lan, default_pull_policy: Never, pause: {image: a, version: '1'}}}",
    "config: {installConfig: {users: {etcdUser: etcd}}, telemetry: {enabled: false}}",
    "config: {workerProfiles: [{name: a, values: {maxPods: 9}}]}, profile: a",
    "profile: default",
    "installFlags: [--debug, '--logging=etcd=debug', --disable-components=autopilot, '--iptables-mode=nft']",
    "installFlags: [\"--kubelet-extra-args='--v=2 --fail-swap-on=false'\", --cri-socket=remote:/run/x.sock]",
    "environment: {HTTPS_PROXY: '${secret:proxy}', NO_PROXY: '10.0.0.0/8', A: 'http://user@proxy'}",
    "files: [{data: x, dst: /etc/x, perm: 420, user: root}, {data: x, name: b, dstDir: /etc/, perm: '0600'}]",
    "files: [{data: x, dst: /var/lib/k0s/manifests/a/a.yaml}]",
    "dataDir: /srv/k0s, kubeletRootDir: /srv/kubelet, dynamicConfig: true, airgap: true",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_taken(tmp_path, text):
    assert check_native(load(tmp_path, f"k0s: {{{text}}}\n", head=f"{HEAD}secrets: secrets.yaml\n")) == []


def test_a_virtual_ip_of_the_controllers_may_be_the_endpoint_beside_balancers_on_nodes(tmp_path):
    vip = "keepalived: {vrrpInstances: [{virtualIPs: [192.168.1.10/24], authPass: home}]}"
    network = f"nodeLocalLoadBalancing: {{enabled: true}}, controlPlaneLoadBalancing: {{enabled: true, {vip}}}"
    text = f"endpoint: 192.168.1.10\nk0s: {{config: {{network: {{{network}}}}}}}\n"
    assert check_native(load(tmp_path, text, hosts=THREE)) == []


def test_a_controller_may_have_its_own_part_of_the_configuration(tmp_path):
    own = "{config: {api: {extraArgs: {v: '4'}}, network: {controlPlaneLoadBalancing: {enabled: false}}}}"
    hosts = THREE.replace("role: controller}", f"role: controller, k0s: {own}}}", 1)
    assert check_native(load(tmp_path, hosts=hosts)) == []


def test_a_single_node_keeps_its_identity_without_etcd(tmp_path):
    pki = ", ".join(f"{name}: '${{env:X}}'" for name in ("ca.crt", "ca.key", "sa.key", "sa.pub"))
    assert check_native(load(tmp_path, f"k0s: {{pki: {{{pki}}}}}\n", hosts=SINGLE)) == []


def test_no_token_is_any_good():
    assert "no token of its own" in check_token("x")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("--debug", "--debug=true"),
        ("-debug=false", "--debug=false"),
        ("--logging etcd=debug", "--logging=etcd=debug"),
        ("--kubelet-extra-args='--v=4 --x=y'", "--kubelet-extra-args=--v=4 --x=y"),
        ('--kubelet-extra-args="--v=4"', "--kubelet-extra-args=--v=4"),
    ],
)
def test_flags_are_spelled_as_k0s_keeps_them(written, normal):
    assert normal_flag(written) == normal
    assert normal_flag(normal) == normal


def test_every_flag_that_needs_a_value_has_an_example_that_is_taken(tmp_path):
    flags = [f"--{name}={example or 'true'}" for name, example in {**SHARED, **OF_CONTROLLERS}.items()]
    written = ", ".join(f"'{flag}'" for flag in flags)
    section = next(find_sections(load(tmp_path, f"k0s: {{installFlags: [{written}]}}\n")))
    assert list(check_flags(section)) == []


def test_every_owner_choice_and_port_names_a_field_that_is_there():
    for path in (*OWNERS, *CHOICES, *PORTS, *PER_HOST):
        form = SPEC
        for name in path:
            assert name in form, path
            form = form[name].fields if isinstance(form[name], Items) else form[name]


# --- against upstream's types ----------------------------------------------------------------------


def read_crd(node):
    """The field names of an OpenAPI schema, nested; a list's are those of its items."""
    node = node.get("items", node)
    return {name: read_crd(inner) for name, inner in node.get("properties", {}).items()}


def names(form):
    if isinstance(form, Items):
        form = form.fields
    return {name: names(inner) for name, inner in form.items()} if isinstance(form, Mapping) else {}


def test_the_tables_have_every_field_of_upstream_s_types():
    """The CRD that a k0s writes below its data folder, or that lies in its sources."""
    import os

    import yaml

    place = os.environ.get("BOOTSTRAP_K0S_SOURCES", "")
    file = Path(place) / "static/_crds/k0s/k0s.k0sproject.io_clusterconfigs.yaml"
    if not place or not file.is_file():
        pytest.skip("BOOTSTRAP_K0S_SOURCES names no checkout of k0s")
    crd = yaml.safe_load(file.read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert names(SPEC) == read_crd(spec)


# --- versions --------------------------------------------------------------------------------------


def test_versions_are_ordered_as_released():
    texts = ["v1.35.7+k0s.0", "v1.36.0-alpha.1+k0s.0", "v1.36.0-rc.2+k0s.0", "v1.36.0+k0s.0", "v1.36.3+k0s.0"]
    texts += ["v1.36.3+k0s.2", "v1.36.10+k0s.0"]
    assert sorted([*texts[3:], *texts[:3]], key=parse_version) == texts


def test_a_node_tells_its_version_without_k0s_own_number():
    assert kubelet_version("v1.36.3+k0s.2") == "v1.36.3+k0s"
    assert re.fullmatch(r"v[\d.]+-rc\.1\+k0s", kubelet_version("v1.37.0-rc.1+k0s.0"))


@pytest.mark.parametrize(
    ("version", "said"),
    [("v1.33.1+k0s.0", "out of upstream's support"), ("v1.36.3+k0s.2", ""), ("v1.40.0+k0s.0", "newer")],
)
def test_minors_that_this_program_was_not_made_with_are_remarked(version, said):
    assert said in note_version(version)
    assert bool(note_version(version)) == bool(said)
