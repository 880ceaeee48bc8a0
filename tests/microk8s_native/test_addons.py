"""Add-ons: their order, what is put in, the commands, what people are told."""

from itertools import pairwise

import pytest

from bootstrap.distros.microk8s.addon_table import CORE, find_addon, list_spans, names_in
from bootstrap.distros.microk8s.addons import choose_addons, dns_address, list_repositories, list_workloads, note_addons
from bootstrap.distros.microk8s.native import check_native
from bootstrap.distros.microk8s.versions import NEWEST, OLDEST

from .inventories import load

MINORS = [(1, minor) for minor in range(OLDEST[1], NEWEST[1] + 1)]
RIGHT = [
    (
        "1.36",
        "dns, rbac, hostpath-storage, ingress, cert-manager, metrics-server, observability, registry, helm, helm3",
    ),
    ("1.36", "{name: dns, args: '192.168.1.1,2001:db8::1 10.152.183.10 cluster.local'}"),
    ("1.36", "{name: dns, args: /etc/resolv.conf}"),
    ("1.36", "{name: metallb, args: '192.168.1.240-192.168.1.250,192.168.2.0/28,fd00::1-fd00::9'}"),
    ("1.36", "{name: metallb, args: [192.168.1.240/28]}"),
    ("1.36", "{name: registry, args: '--size=40Gi --storageclass fast'}"),
    ("1.36", "{name: hostpath-storage, args: '-r Retain --default-class=false'}"),
    ("1.36", "{name: ingress, args: '-V 39.0.8 -r https://a.b/c -g v1.5.1 --default-ssl-certificate default/tls'}"),
    ("1.34", "{name: ingress, args: default-ssl-certificate=default/tls}"),
    ("1.36", "{name: cert-manager, args: -V v1.20.2}"),
    ("1.36", "{name: observability, args: --loki-stack-values=/etc/loki.yaml --without-tempo}"),
    ("1.35", "{name: dashboard, args: -V 7.14.0}"),
    ("1.34", "{name: minio, args: -k -T -c 30Gi -n 4}"),
    ("1.28", "{name: gpu, args: --driver host --set a.b=c --set d=e}"),
    ("1.29", "{name: nvidia, args: '--gpu-operator-driver host --network-operator'}"),
    ("1.36", "{name: rook-ceph, args: --rook-version v1.18.7 --set a=b}"),
    ("1.36", "{name: mayastor, args: --default-pool-size 20G --skip-hugepages-check}"),
    ("1.36", "{name: kube-ovn, args: --force}"),
    ("1.36", "{name: host-access, args: ip=10.0.1.5}"),
    ("1.36", "{name: cis-hardening, args: --skip-kubebench-installation}"),
    ("1.36", "community/argocd, community/something-new, core/dns"),
    ("1.36-strict", "dns, ingress"),
]


@pytest.mark.parametrize(("version", "addons"), RIGHT, ids=[addons for _, addons in RIGHT])
def test_what_is_right_is_taken(tmp_path, version, addons):
    assert check_native(load(tmp_path, f"addons: [{addons}]\n", version=version)) == []


def names(tmp_path, text, **settings):
    return [addon.full_name for addon in choose_addons(load(tmp_path, text, **settings))]


def test_an_add_on_stands_behind_what_it_needs_and_the_rest_as_it_is_listed(tmp_path):
    found = names(tmp_path, "addons: [rbac, observability, metrics-server, dns, hostpath-storage, ingress]\n")
    assert [name.removeprefix("core/") for name in found] == [
        "rbac",
        "dns",
        "hostpath-storage",
        "observability",
        "metrics-server",
        "ingress",
    ]


def test_what_is_needed_and_not_listed_is_put_in_and_told(tmp_path):
    inventory = load(tmp_path, "addons: [cert-manager]\n")
    dns, manager = choose_addons(inventory)
    assert (dns.name, dns.needed_by, manager.needed_by) == ("dns", "cert-manager", "")
    assert any("dns is enabled too: cert-manager needs it" in message for message, _ in note_addons(inventory))


def test_a_registry_with_a_class_of_its_own_needs_no_hostpath_storage(tmp_path):
    assert names(tmp_path, "addons: [registry]\n") == ["core/hostpath-storage", "core/registry"]
    assert names(tmp_path, "addons: [{name: registry, args: --storageclass fast}]\n") == ["core/registry"]
    assert names(tmp_path, "addons: [{name: registry, args: --storageclass=fast}]\n") == ["core/registry"]


def test_community_add_ons_bring_their_repository_once(tmp_path):
    found = names(tmp_path, "addons: [community/argocd, community/falco]\n")
    assert found == ["core/community", "community/argocd", "community/falco"]


def test_every_command_names_the_repository_and_disabling_never_asks(tmp_path):
    addons = {addon.name: addon for addon in choose_addons(load(tmp_path, "addons: [hostpath-storage, dns]\n"))}
    assert addons["dns"].enable == ("/snap/bin/microk8s", "enable", "core/dns")
    assert addons["hostpath-storage"].disable[1:] == ("disable", "core/hostpath-storage", "destroy-storage")


def test_what_a_flag_leaves_out_proves_nothing(tmp_path):
    def proofs(args):
        addons = choose_addons(load(tmp_path, f"addons: [dns, {{name: nvidia, args: {args}}}]\n"))
        return [ready.name for ready in addons[1].ready]

    assert proofs("--network-operator") == ["gpu-operator"]
    assert proofs("--no-gpu-operator") == []


def test_dns_is_told_what_it_can_only_guess_for_the_usual_ranges(tmp_path):
    def words(addon, network, **settings):
        return choose_addons(load(tmp_path, f"addons: [{addon}]\nnetwork: {{{network}}}\n", **settings))[0].words

    assert words("dns", "pods: 10.3.0.0/16, services: 10.152.183.0/24") == ()
    assert words("dns", "services: 10.99.0.0/24") == ("/etc/resolv.conf", "10.99.0.10")
    assert words("{name: dns, args: 9.9.9.9}", "services: 10.99.0.0/24") == ("9.9.9.9", "10.99.0.10")
    assert words("dns", "domain: home.arpa") == ("/etc/resolv.conf", "10.152.183.10", "home.arpa")
    assert words("{name: dns, args: 9.9.9.9 10.99.0.53}", "services: 10.99.0.0/24") == ("9.9.9.9", "10.99.0.53")
    assert words("dns", "services: 10.99.0.0/28") == ("/etc/resolv.conf", "10.99.0.10")


def test_kubelets_know_the_address_that_dns_will_have(tmp_path):
    assert dns_address(load(tmp_path, "addons: [rbac]\n")) == ""
    assert dns_address(load(tmp_path, "addons: [observability]\n")) == "10.152.183.10"
    text = "addons: [{name: dns, args: 9.9.9.9 10.99.0.53}]\nnetwork: {services: 10.99.0.0/24}\n"
    assert dns_address(load(tmp_path, text)) == "10.99.0.53"


def test_own_repositories_are_made_known_in_a_way_that_can_be_repeated(tmp_path):
    text = "microk8s: {repositories: {own: {source: 'https://a.b/c', reference: v1}, two: {source: /srv/two}}}\n"
    commands = [words[4:] for words in list_repositories(load(tmp_path, text))]
    assert commands == [("own", "https://a.b/c", "--reference", "v1", "--force"), ("two", "/srv/two", "--force")]


def test_workloads_are_those_of_the_pod_network_and_of_add_ons_in_kube_system(tmp_path):
    assert list_workloads(load(tmp_path, "addons: [dns, ingress]\n")) == [
        "calico-node",
        "calico-kube-controllers",
        "coredns",
    ]
    assert "calico-node" not in list_workloads(load(tmp_path, "addons: [{name: kube-ovn, args: --force}]\n"))
    lone = "hosts: {one: {address: 192.168.1.11, role: controller+worker}}\n"
    assert list_workloads(load(tmp_path, "microk8s: {ha: false}\n", hosts=lone)) == []


def test_people_are_told_what_they_may_not_expect(tmp_path):
    text = "addons: [ingress, hostpath-storage, community/argocd]\nmicrok8s: {offline: true}\n"
    said = [message for message, _ in note_addons(load(tmp_path, text))]
    for part in (
        "ingress fetches charts",
        "stay on the node",
        "community/argocd is not known here",
        "without the add-on rbac",
    ):
        assert any(part in message for message in said), part


@pytest.mark.parametrize("series", MINORS, ids=str)
def test_every_minor_has_each_add_on_once_and_all_that_it_needs(series):
    there = [addon.name for addon in CORE if addon.is_in(series)]
    assert len(there) == len(set(there))
    for addon in CORE:
        if addon.is_in(series) and not addon.dead:
            assert set(addon.needs) <= set(names_in(series)), addon.name
            assert addon.ready or addon.is_per_node or addon.name in ("helm", "helm3", "community"), addon.name


def test_the_entries_of_one_name_follow_each_other_without_a_gap():
    for name in {addon.name for addon in CORE}:
        spans = list(list_spans(name))
        assert all(before.before == after.since for before, after in pairwise(spans)), name


def test_what_is_refused_names_something_that_is_there():
    for addon in CORE:
        if addon.dead and " " not in addon.hint:
            replacement = find_addon(addon.hint, addon.since)
            assert replacement, addon.name
            assert not replacement.dead
