"""The ten shapes of real cluster definitions arrive in the Inventory as they are written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.model import (
    Connection,
    Endpoint,
    Escalation,
    Hook,
    Inventory,
    Jump,
    Network,
    OtherHost,
    PlacedFile,
    Reference,
    Role,
    Taint,
)

from .conftest import Load

SHAPES = Path(__file__).parent / "shapes"
Shape = Callable[..., Inventory]


@pytest.fixture
def shape(load: Load) -> Shape:
    def shape(number: str, files: dict[str, str] | None = None, **environment: str) -> Inventory:
        (path,) = SHAPES.glob(f"{number}-*.yaml")
        return load(path.read_text(), files, **environment)

    return shape


def test_three_addresses_are_three_things(shape: Shape) -> None:
    inventory = shape("01")
    assert inventory.endpoint == Endpoint("k8s.example.com", 8443)
    assert [host.name for host in inventory.hosts] == ["node-1", "node-2", "node-3", "edge"]
    assert {host.connection.address for host in inventory.hosts} == {"home.example.com"}
    assert [host.connection.port for host in inventory.hosts] == [2201, 2202, 2203, 2204]
    assert inventory.host("node-2").node_interface == "wg0"
    assert inventory.host("node-2").node_addresses == ()
    assert inventory.host("node-2").origin == ("hosts", "node-{1..3}")
    assert inventory.host("edge").node_addresses == ("10.8.0.4", "2001:db8:8::4")
    assert inventory.network == Network(("10.42.0.0/16", "2001:db8:42::/56"), ("10.43.0.0/16", "2001:db8:43::/112"), "")


def test_a_connection_is_its_own_thing(shape: Shape, tmp_path: Path) -> None:
    inventory = shape("02")
    bastion = Jump("203.0.113.9", 2201, "jump", ("~/.ssh/id_jump",))
    assert inventory.host("ctl").connection == Connection("192.0.2.21", None, "automator", (), (bastion,))
    own_key = inventory.host("own-key").connection
    assert (own_key.user, own_key.identity_files) == ("admin", (f"{tmp_path}/dev/id_b",))
    far = inventory.host("far").connection
    assert far.jumps == (Jump("first.example.com"), Jump("second.lan", 2222, "ops"))
    assert far.identity_files == ("~/.ssh/a", "~/.ssh/b")
    tinbox = inventory.host("tinbox").connection
    assert tinbox == Connection("tinbox-lan", None, "automator", (), (), Escalation.DOAS, 2.5)
    assert inventory.host("pi").connection.port == 22022


def test_role_and_schedulability_are_two_axes(shape: Shape) -> None:
    inventory = shape("03")
    assert [host.role for host in inventory.hosts] == [
        Role.CONTROLLER,
        Role.CONTROLLER_WORKER,
        Role.CONTROLLER_WORKER,
        Role.WORKER,
        Role.WORKER,
    ]
    assert inventory.host("kept").taints == (Taint("node-role.kubernetes.io/control-plane", "", "NoSchedule"),)
    assert [str(taint) for taint in inventory.host("picky").taints] == [
        "dedicated=db:NoExecute",
        "slow=true:PreferNoSchedule",
    ]


def test_one_fact_has_one_spelling(shape: Shape) -> None:
    host = shape("04").host("a")
    assert host.labels == {
        "topology.kubernetes.io/region": "north",
        "topology.kubernetes.io/zone": "north-1",
        "empty": "",
        "slot": "4",
        "gpu": "no",
    }
    assert host.annotations == {"example.com/note": "cost: $$5 #1, ünïcode, and 'quotes'"}
    assert host.files == (
        PlacedFile("/etc/a", "a", "0600", "root:root"),
        PlacedFile("/etc/b", "b", "0644", "root:root"),
    )
    assert host.native["config"]["kubelet-arg"] == [
        "system-reserved=cpu=500m,memory=512Mi",
        "feature-gates=NodeSwap=true",
        "feature-gates=GracefulNodeShutdown=true",
    ]


def test_layers_merge_from_the_cluster_down_to_the_host(shape: Shape) -> None:
    inventory = shape("05")
    pi = inventory.host("pi-2")
    assert pi.labels == {"from": "host", "cluster": "yes", "role": "yes", "pis": "yes", "disk": "ssd"}
    assert (pi.connection.user, pi.connection.port) == ("pi", 2222)
    assert pi.connection.identity_files == ("~/.ssh/id_pi", "~/.ssh/id_old")
    assert [str(taint) for taint in pi.taints] == ["board=pi:PreferNoSchedule", "slow:PreferNoSchedule"]
    assert [file.path for file in pi.files] == ["/etc/cluster", "/etc/pis", "/etc/host"]
    assert pi.native == {
        "config": {"log": "/var/log/k3s.log", "kubelet-arg": ["max-pods=50"], "debug": True},
        "agent": {"node-external-ip": "192.0.2.99"},
    }
    assert pi.arch == "arm64"
    alone = inventory.host("alone")
    assert alone.labels["from"] == "pis"
    assert alone.connection.identity_files == ("~/.ssh/id_alone",)
    assert alone.native["config"]["kubelet-arg"] == ["v=4"]
    controller = inventory.host("ctl")
    assert controller.labels == {"from": "cluster", "cluster": "yes"}
    assert controller.connection == Connection("192.0.2.1", 22, "ops", ("~/.ssh/id_all",))
    assert controller.native["config"]["kubelet-arg"] == ["max-pods=100", "v=2"]
    assert inventory.hooks == (Hook("fan", "before-prepare", "echo fan\n", False, ("pi-1", "pi-2", "alone")),)
    assert inventory.native["config"]["kubelet-arg"] == ["max-pods=100", "v=2"]


def test_hooks_keep_their_order_points_and_hosts(shape: Shape) -> None:
    files = {"scripts/kube-vip.sh": "#!/bin/sh\necho vip\n", "manifests/kube-vip.yaml": "kind: DaemonSet\n"}
    inventory = shape("06", files)
    assert [(hook.name, hook.point, hook.once, hook.hosts) for hook in inventory.hooks] == [
        ("kube-vip", "after-founder", True, ()),
        ("settle", "before-join", False, ("ctl-1", "ctl-2", "ctl-3")),
        ("done", "after-apply", False, ("ctl-2",)),
        ("gpu-driver", "before-prepare", False, ("gpu",)),
    ]
    assert inventory.hooks[0].script == "#!/bin/sh\necho vip\n"
    assert inventory.hooks[3].script.startswith("set -eu\ncommand -v nvidia-smi >/dev/null 2>&1 ||")
    assert inventory.native["manifests"] == {"kube-vip.yaml": "kind: DaemonSet\n"}
    assert inventory.host("gpu").native["manifests"] == {"kube-vip.yaml": "kind: DaemonSet\n"}


def test_payloads_arrive_byte_for_byte(shape: Shape) -> None:
    inventory = shape("07", LATER="must not be used yet")
    udev, motd, makefile = inventory.host("a").files
    assert udev.content == ('SUBSYSTEM=="block", ATTRS{model}=="Portable SSD*", ATTR{queue/scheduler}="mq-deadline"\n')
    assert motd.content == "no newline at the end, a tab\there, $${env:NOT} and ${env:LATER}"
    assert makefile.content == "all:\n\techo {1..3} $$HOME\n\n"
    argo = inventory.native["manifests"]["argo.yaml"]
    assert "    version: 7.80  # renovate: depName=argo-cd\n".lstrip() in argo
    assert 'banner: "cost: $$5 #1"\n' in argo
    assert "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" in argo
    assert argo.endswith("mountPermissions: 0775\n")
    auth = inventory.native["registries"]["configs"]["registry.example.com"]["auth"]
    assert auth == {"username": "lab", "password": "${secret:registry.password}"}
    assert inventory.secrets == "secrets.sops.yaml"


def test_machines_outside_the_cluster_are_no_hosts(shape: Shape) -> None:
    inventory = shape("08")
    assert [host.name for host in inventory.hosts] == ["a"]
    assert inventory.others == (OtherHost("balancer", "192.0.2.5"), OtherHost("nas", "nas.lan"))
    assert inventory.endpoint == Endpoint("192.0.2.5", 16443)


def test_references_fill_fields_and_stay_in_payloads(shape: Shape) -> None:
    environment = {
        "CLUSTER": "slots",
        "VIP": "192.0.2.10:7443",
        "SSH_USER": "ops",
        "SSH_PORT": "2222",
        "CONTROLLER_IP": "192.0.2.11",
        "PREFIX": "192.0.2",
        "RACK": "left",
    }
    inventory = shape("09", {"k3s-version": "v1.36.3+k3s1\n"}, **environment)
    assert (inventory.cluster, inventory.version) == ("slots", "v1.36.3+k3s1")
    assert inventory.endpoint == Endpoint("192.0.2.10", 7443)
    assert inventory.token == Reference("command", "pass show home/k3s token")
    assert {host.name: host.connection.address for host in inventory.hosts} == {
        "ctl": "192.0.2.11",
        "node-08": "192.0.2.21",
        "node-09": "192.0.2.22",
        "node-10": "192.0.2.23",
    }
    assert inventory.host("node-09").connection.port == 2222
    assert inventory.host("node-09").labels == {"rack": "left"}
    assert inventory.native["server"]["datastore-endpoint"] == "postgres://k3s:${env:DB_PASSWORD}@db.lan/k3s"
    assert "slots" not in str(inventory.document)


def test_versions_and_names_that_look_like_numbers_stay_text(shape: Shape, tmp_path: Path) -> None:
    inventory = shape("10")
    assert inventory.version == "v1.37.0-rc1+k3s1"
    assert [host.name for host in inventory.hosts] == ["a", "3e2", "7"]
    assert [host.arch for host in inventory.hosts] == ["amd64", "arm", "arm64"]
    assert [host.os for host in inventory.hosts] == ["debian", "alpine", None]
    assert inventory.host("7").annotations == {"example.com/image": "0.10"}
    assert inventory.mirror == f"{tmp_path}/mirror"
    assert inventory.addons == ()
