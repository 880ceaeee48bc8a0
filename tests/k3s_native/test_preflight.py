"""What stops before any write, and what is only remarked."""

import pytest

from bootstrap.distros.k3s import DRIVER
from bootstrap.distros.k3s.layout import CONFIG
from bootstrap.distros.k3s.preflight import state_needs
from bootstrap.model import FileFacts, HostFacts, Interface, Inventory, Record, Role, UnitFacts
from bootstrap.preflight import find_owner
from tests.k3s_native.inventories import RUNNING, make_facts, make_host, make_input, make_inventory

ONE = make_inventory(make_host("one", Role.CONTROLLER_WORKER))
WORKER = make_inventory(make_host("one", Role.CONTROLLER_WORKER), make_host("two", Role.WORKER))
LOADED = UnitFacts(load="loaded")


def find(inventory: Inventory, *facts: HostFacts) -> list[tuple[str, str, bool]]:
    return [(f.host, f"{f.message} | {f.hint}", f.stops) for f in DRIVER.check_hosts(make_input(inventory, *facts))]


def find_one(inventory: Inventory, *facts: HostFacts) -> tuple[str, str, bool]:
    (finding,) = find(inventory, *facts)
    return finding


def test_healthy_hosts_have_no_findings() -> None:
    assert find(WORKER, make_facts("one"), make_facts("two")) == []


def test_hosts_that_were_not_reached_are_not_judged() -> None:
    assert find(WORKER, make_facts("two")) == []


# --- clocks --------------------------------------------------------------------------------------


def three(*offsets: float) -> list[tuple[str, str, bool]]:
    names = ("a", "b", "c")
    inventory = make_inventory(
        *(make_host(name, Role.CONTROLLER) for name in names[:1]), *(make_host(n, Role.WORKER) for n in names[1:])
    )
    return find(
        inventory, *(make_facts(name, clock_offset=offset) for name, offset in zip(names, offsets, strict=True))
    )


def test_the_clock_that_is_off_among_three_is_told() -> None:
    assert three(0, 1, 400) == [
        (
            "c",
            "its clock is 7 minutes ahead of the other hosts | start a time service there: `timedatectl set-ntp true`, or chrony",
            True,
        )
    ]


def test_a_clock_of_another_year_is_told_in_days() -> None:
    ((host, text, stops),) = three(0, 0, -400 * 86400)
    assert (host, stops) == ("c", True)
    assert "its clock is 400 days behind the other hosts" in text


def test_when_all_hosts_agree_it_is_this_machine_that_is_off() -> None:
    assert three(100, 101, 99) == [("this machine", "its clock is 100 seconds behind the hosts | ", False)]


def test_few_hosts_are_measured_by_this_machine() -> None:
    _, text, stops = find_one(ONE, make_facts("one", clock_offset=-3600 * 5))
    assert "5 hours behind this machine" in text
    assert stops


def test_seconds_do_not_matter() -> None:
    assert three(-29, 0, 29) == []


# --- identities ----------------------------------------------------------------------------------


def test_two_entries_for_one_machine_are_told() -> None:
    facts = make_facts("one"), make_facts("two", boot_id="boot-one", machine_id="machine-one")
    host, text, stops = find_one(WORKER, *facts)
    assert (host, stops) == ("two", True)
    assert "it is the same machine as one" in text


def test_machines_from_one_image_are_told() -> None:
    _, text, _ = find_one(WORKER, make_facts("one"), make_facts("two", machine_id="machine-one"))
    assert "it has the machine-id of one: both come from one image" in text
    assert "systemd-machine-id-setup" in text


def test_containers_of_one_kernel_share_its_boot_id_and_are_no_finding() -> None:
    lxc = Interface("eth0", ("192.168.1.13",))
    assert find(WORKER, make_facts("one"), make_facts("two", boot_id="boot-one", interfaces=(lxc,))) == []
    _, text, _ = find_one(
        WORKER, make_facts("one"), make_facts("two", boot_id="boot-one", machine_id="machine-one", interfaces=(lxc,))
    )
    assert "both come from one image" in text


def test_hosts_without_a_machine_id_are_not_copies() -> None:
    assert find(WORKER, make_facts("one", machine_id=""), make_facts("two", machine_id="")) == []


def test_a_machine_that_bears_another_host_s_name_is_told() -> None:
    found = find(WORKER, make_facts("one", hostname="two"), make_facts("two", hostname="one.lan"))
    assert [host for host, _, _ in found] == ["one", "two"]
    assert "the machine at 192.168.1.13 calls itself two, which is another host here" in found[0][1]


def test_a_hostname_need_not_be_the_node_s_name() -> None:
    assert find(WORKER, make_facts("one", hostname="raspberrypi"), make_facts("two", hostname="raspberrypi")) == []


# --- platform ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arch", "told"), [("riscv64", "riscv64"), ("s390x", "s390x"), ("", "unknown")])
def test_an_architecture_without_a_release_stops(arch: str, told: str) -> None:
    _, text, stops = find_one(ONE, make_facts("one", arch=arch))
    assert f"no release for its architecture, {told}" in text
    assert stops


def test_an_architecture_other_than_the_inventory_s_stops() -> None:
    _, text, stops = find_one(make_inventory(make_host("one", arch="arm64")), make_facts("one"))
    assert "it is amd64, the inventory says arm64" in text
    assert stops


def test_a_host_without_a_known_service_manager_stops() -> None:
    _, text, stops = find_one(ONE, make_facts("one", init="other"))
    assert "neither systemd nor OpenRC" in text
    assert stops
    assert find(ONE, make_facts("one", init="openrc")) == []


# --- occupants -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "removal"),
    [("k0s", "k0s reset"), ("kubeadm", "kubeadm reset"), ("microk8s", "snap remove"), ("rke2", "rke2-uninstall.sh")],
)
def test_remains_of_another_distribution_stop_with_the_way_to_remove_them(name: str, removal: str) -> None:
    _, text, stops = find_one(ONE, make_facts("one", distributions=(name,)))
    assert f"there are remains of {name}" in text
    assert removal in text
    assert stops


def test_a_host_of_another_cluster_stops_by_its_record() -> None:
    _, text, stops = find_one(ONE, make_facts("one", record=Record(cluster="work"), units=RUNNING))
    assert "it belongs to cluster work" in text
    assert stops


def test_a_host_of_another_cluster_stops_by_its_configuration_before_there_is_a_record() -> None:
    content = "# k3s server one of cluster work. Made from the inventory by bootstrap: changes made here are lost.\n"
    file = FileFacts("0" * 64, "0600", "root:root", 1, content)
    _, text, stops = find_one(ONE, make_facts("one", files={CONFIG: file}))
    assert "it belongs to cluster work" in text
    assert stops


def test_the_first_line_of_a_rendered_configuration_tells_its_cluster() -> None:
    from bootstrap.distros.k3s.files import templates
    from bootstrap.render import render

    config = next(a for a in render(ONE, templates(ONE)) if a.path == CONFIG)
    facts = make_facts("one", files={CONFIG: FileFacts("", "0600", "root:root", 1, config.content)})
    assert find_owner(facts, state_needs(ONE, ONE.hosts[0], facts)) == "home"


def test_our_own_host_is_no_finding() -> None:
    assert find(ONE, make_facts("one", record=Record(cluster="home"), units=RUNNING, distributions=("k3s",))) == []


def test_a_k3s_that_others_installed_is_remarked() -> None:
    _, text, stops = find_one(ONE, make_facts("one", units=RUNNING, distributions=("k3s",)))
    assert "will be taken over" in text
    assert not stops


# --- ports ---------------------------------------------------------------------------------------


def ports(inventory: Inventory, host: str = "one", **fields: object) -> list[str]:
    facts = [make_facts(each.name) for each in inventory.hosts if each.name != host]
    busy = make_facts(host, listening=frozenset({22, 6443, 7443, 10250, 2379, 2380}), **fields)
    return [text.split()[1] for _, text, stops in find(inventory, *facts, busy) if stops and text.startswith("port")]


def test_ports_that_k3s_needs_stop_when_something_else_listens_there() -> None:
    assert ports(ONE) == ["6443", "10250"]
    assert ports(WORKER, "two") == ["10250"]


def test_etcd_s_ports_count_where_etcd_will_run() -> None:
    etcd = make_inventory(make_host("one", native={"server": {"cluster-init": True}}))
    several = make_inventory(*(make_host(name, Role.CONTROLLER) for name in ("one", "two", "three")))
    external = make_inventory(
        *(make_host(n, Role.CONTROLLER, native={"server": {"datastore-endpoint": "${env:D}"}}) for n in ("one", "two"))
    )
    assert ports(etcd) == ports(several) == ["6443", "10250", "2379", "2380"]
    assert ports(external) == ["6443", "10250"]


def test_another_port_for_the_api_is_the_one_that_counts() -> None:
    assert ports(make_inventory(make_host("one", native={"server": {"https-listen-port": 7443}}))) == ["7443", "10250"]


def test_ports_are_k3s_own_once_it_is_installed() -> None:
    assert ports(ONE, units=RUNNING, record=Record(cluster="home")) == []


# --- room, memory, cgroups -----------------------------------------------------------------------


def test_too_little_room_stops_by_the_role_s_need() -> None:
    space = {"/": 9, "/var/lib": 700_000, "/usr/local": 500_000, "/etc": 50_000}
    found = find(WORKER, make_facts("one", free_kb=space), make_facts("two", free_kb=space))
    assert [(host, text) for host, text, _ in found] == [
        ("one", "/var/lib/rancher/k3s has 700 MB free, 1.0 GB are needed | make room there")
    ]


@pytest.mark.parametrize(
    ("folder", "place"), [("/usr/local", "/usr/local/bin"), ("/etc", "/etc"), ("/var/lib", "/var/lib/rancher/k3s")]
)
def test_a_full_disk_stops_also_where_k3s_is_installed(folder: str, place: str) -> None:
    space = {"/": 9_000_000, "/var/lib": 9_000_000, "/usr/local": 9_000_000, "/etc": 9_000_000} | {folder: 500}
    _, text, stops = find_one(ONE, make_facts("one", free_kb=space, units=RUNNING, record=Record(cluster="home")))
    assert f"{place} has 0 MB free" in text
    assert stops


def test_a_host_that_runs_needs_less_room() -> None:
    space = {"/": 9_000_000, "/var/lib": 100_000, "/usr/local": 100_000, "/etc": 100_000}
    assert find(ONE, make_facts("one", free_kb=space, units=RUNNING, record=Record(cluster="home"))) == []


def test_a_data_folder_on_a_disk_that_was_not_asked_about_is_not_judged() -> None:
    space = {"/": 500, "/var/lib": 500, "/usr/local": 9_000_000, "/etc": 9_000_000}
    assert (
        find(
            make_inventory(make_host("one", native={"config": {"data-dir": "/srv/k3s"}})),
            make_facts("one", free_kb=space),
        )
        == []
    )


@pytest.mark.parametrize(("memory", "server", "agent"), [(8_000_000, 0, 0), (1_000_000, 1, 0), (400_000, 1, 1)])
def test_little_memory_is_remarked_by_role(memory: int, server: int, agent: int) -> None:
    found = find(WORKER, make_facts("one", memory_kb=memory), make_facts("two", memory_kb=memory))
    assert [sum(host == name for host, _, _ in found) for name in ("one", "two")] == [server, agent]
    assert not any(stops for _, _, stops in found)


def test_swap_is_remarked_until_k3s_is_installed() -> None:
    _, text, stops = find_one(ONE, make_facts("one", swap_kb=100))
    assert "swap is on" in text
    assert not stops
    assert find(ONE, make_facts("one", swap_kb=100, units=RUNNING, record=Record(cluster="home"))) == []


def test_a_memory_cgroup_that_is_off_stops_with_the_line_for_both_boot_paths() -> None:
    _, text, stops = find_one(ONE, make_facts("one", memory_cgroup=False))
    assert stops
    for part in ("cgroup_memory=1 cgroup_enable=memory", "/boot/firmware/cmdline.txt", "/boot/cmdline.txt"):
        assert part in text


def test_cgroup_v1_stops_and_names_both_ways_out() -> None:
    _, text, stops = find_one(ONE, make_facts("one", cgroup=1))
    assert stops
    assert "systemd.unified_cgroup_hierarchy=1" in text
    assert "kubelet-arg: [fail-cgroupv1=false]" in text


@pytest.mark.parametrize(
    "arguments", [["fail-cgroupv1=false"], ["v=2", "--fail-cgroupv1=false"], "fail-cgroupv1=false"]
)
def test_cgroup_v1_is_fine_when_the_kubelet_is_told(arguments: object) -> None:
    assert (
        find(
            make_inventory(make_host("one", native={"config": {"kubelet-arg": arguments}})), make_facts("one", cgroup=1)
        )
        == []
    )


def test_cgroup_v1_is_fine_before_1_35() -> None:
    assert find(make_inventory(make_host("one"), version="v1.34.9+k3s1"), make_facts("one", cgroup=1)) == []
    assert find(make_inventory(make_host("one"), version="v1.35.0+k3s1"), make_facts("one", cgroup=1)) != []


# --- network -------------------------------------------------------------------------------------


def test_an_interface_that_is_not_there_stops() -> None:
    _, text, stops = find_one(make_inventory(make_host("one", node_interface="wg0")), make_facts("one"))
    assert "it has no interface wg0 with an address | it has eth0" in text
    assert stops


def test_a_node_address_that_is_not_on_the_host_stops() -> None:
    _, text, stops = find_one(make_inventory(make_host("one", node_addresses=("10.9.9.9",))), make_facts("one"))
    assert "node_address 10.9.9.9 is not on the host | it has 192.168.1.11" in text
    assert stops


def test_addresses_that_are_there_are_no_finding() -> None:
    interfaces = (Interface("eth0", ("192.168.1.11", "2001:db8::11")), Interface("wg0", ("10.8.0.1",)))
    facts = make_facts("one", interfaces=interfaces)
    assert find(make_inventory(make_host("one", node_addresses=("192.168.1.11", "2001:db8::11"))), facts) == []
    assert find(make_inventory(make_host("one", node_interface="wg0")), facts) == []


def test_a_host_that_can_not_tell_its_addresses_is_not_judged_by_them() -> None:
    assert find(make_inventory(make_host("one", node_interface="wg0")), make_facts("one", interfaces=())) == []


def test_without_a_default_route_k3s_needs_to_be_told_the_address() -> None:
    _, text, stops = find_one(ONE, make_facts("one", default_interface=""))
    assert "no default route" in text
    assert "`node_address`" in text
    assert stops
    _, text, stops = find_one(
        make_inventory(make_host("one", node_addresses=("192.168.1.11",))), make_facts("one", default_interface="")
    )
    assert "kube-proxy" in text
    assert not stops


def test_work_of_an_earlier_run_that_still_goes_on_stops() -> None:
    _, text, stops = find_one(ONE, make_facts("one", running_operations=("install the k3s service",)))
    assert "an earlier run still works here: install the k3s service" in text
    assert stops
