"""The same cluster as a k0sctl.yaml: what is carried over, and what is left to a remark."""

import yaml

from bootstrap.distros import find_driver
from bootstrap.distros.k0s.k0sctl import k0sctl_variables

from .inventories import HOSTS, THREE, load, read

DRIVER = find_driver("k0s")


def text_of(inventory):
    return read(inventory, DRIVER.templates(inventory))["_cluster", "/k0sctl.yaml"]


def spec_of(inventory):
    return yaml.safe_load(text_of(inventory).replace("$$", "$"))["spec"]


def test_who_logs_in_decides_between_both_ways(tmp_path):
    named, unnamed = (spec_of(load(tmp_path, text))["hosts"][0] for text in ("ssh: {user: ops, port: 2222}\n", ""))
    assert named["ssh"] == {"address": "192.168.1.11", "user": "ops", "port": 2222}
    assert unnamed["openSSH"] == {"address": "192.168.1.11"}


def test_the_hop_next_to_the_host_comes_first(tmp_path):
    text = "ssh: {user: ops, jump: [first.lan, me@second.lan:2201]}\n"
    assert spec_of(load(tmp_path, text))["hosts"][0]["ssh"]["bastion"] == {
        "address": "second.lan",
        "user": "me",
        "port": 2201,
        "bastion": {"address": "first.lan", "port": 22},
    }


def test_without_a_user_hops_are_an_option_of_ssh(tmp_path):
    host = spec_of(load(tmp_path, "ssh: {jump: [first.lan, 'me@second.lan:2201']}\n"))["hosts"][0]
    assert host["openSSH"]["options"] == {"ProxyJump": "first.lan:22,me@second.lan:2201"}


def test_a_key_of_the_repository_is_named_from_its_root(tmp_path):
    for written, told in (("keys/id", "keys/id"), ("~/.ssh/id", "~/.ssh/id"), ("/srv/id", "/srv/id")):
        host = spec_of(load(tmp_path, f"ssh: {{user: ops, key: {written}}}\n"))["hosts"][0]
        assert host["ssh"]["keyPath"] == told


def test_hooks_go_where_k0sctl_has_such_a_point(tmp_path):
    text = (
        "ssh: {user: ops, become: doas}\nhooks:\n"
        "  - {name: a, at: before-apply, run: 'echo a'}\n"
        "  - {name: b, at: after-founder, run: 'echo b'}\n"
        "  - {name: c, at: before-join, run: 'echo c'}\n"
        "  - {name: d, at: before-connect, run: 'echo d'}\n"
        "  - {name: e, at: after-apply, run: 'echo ${env:E}'}\n"
        "  - {name: f, at: after-apply, run: 'echo f', once: true}\n"
    )
    inventory = load(tmp_path, text)
    one, two = spec_of(inventory)["hosts"]
    assert one["hooks"] == {
        "apply": {"before": ["doas sh -c 'echo a'"], "after": ["doas sh -c 'echo f'"]},
        "install": {"after": ["doas sh -c 'echo b'"]},
    }
    assert two["hooks"] == {
        "apply": {"before": ["doas sh -c 'echo a'"]},
        "install": {"before": ["doas sh -c 'echo c'"]},
    }
    assert text_of(inventory).count("hook d (before-connect): run by bootstrap only") == 2
    assert "echo $${env:E}" not in text_of(inventory)


def test_files_lie_beside_it_as_they_were_rendered(tmp_path):
    folder = tmp_path / "own/deep"
    folder.mkdir(parents=True)
    (folder / "a.toml").write_text("a = 1\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    text = (
        "files: [{path: /etc/b, content: b}]\n"
        "k0s: {files: [{src: own, dstDir: /srv/}, {src: own/deep/a.toml, dst: /srv/c, perm: 384}]}\n"
    )
    inventory = load(tmp_path, text)
    files = spec_of(inventory)["hosts"][1]["files"]
    assert [(file["src"], file["dst"], file["perm"]) for file in files] == [
        ("two/etc/b", "/etc/b", "0644"),
        ("two/srv/deep/a.toml", "/srv/deep/a.toml", "0644"),
        ("two/srv/deep/run.sh", "/srv/deep/run.sh", "0755"),
        ("two/srv/c", "/srv/c", "0600"),
    ]
    rendered = read(inventory, DRIVER.templates(inventory))
    assert rendered["two", "/srv/deep/a.toml"] == "a = 1\n"


def test_own_programs_and_images_are_named_from_where_it_lies(tmp_path):
    host = spec_of(load(tmp_path, "k0s: {k0sBinaryPath: bin/k0s, images: [images/pause.tar]}\n"))["hosts"][1]
    assert host["k0sBinaryPath"] == "../../bin/k0s"
    assert host["files"] == [{"src": "../../images/pause.tar", "dstDir": "/var/lib/k0s/images", "perm": "0644"}]


def test_an_address_that_only_the_host_knows_is_left_to_k0sctl(tmp_path):
    hosts = HOSTS.replace("192.168.1.11", "one.lan").replace("192.168.1.12}", "10.0.0.2, node_interface: wg0}")
    variables = k0sctl_variables(load(tmp_path, hosts=hosts))
    one, two = variables["hosts"]
    assert "privateAddress" not in one["fields"]
    assert any("privateAddress" in remark for remark in one["remarks"])
    assert two["fields"]["privateInterface"] == "wg0"


def test_what_differs_between_controllers_is_remarked(tmp_path):
    hosts = THREE.replace("role: controller}", "role: controller, k0s: {config: {api: {port: 7443}}}}", 1)
    assert "one has `api` of its own" in text_of(load(tmp_path, hosts=hosts))
