"""The table of k3s' configuration keys."""

from bootstrap.distros.k3s.keys import REFUSED, SHORT_FORMS, TABLE, Kind, Scope, fixed_keys, keys

# k3s v1.36.3, pkg/daemons/config/types.go: what a joining server compares with the cluster.
COMPARED_BY_K3S = {
    "cluster-dns", "cluster-cidr", "cluster-domain", "disable-cloud-controller", "disable-helm-controller",
    "disable-network-policy", "secrets-encryption", "secrets-encryption-provider", "embedded-registry", "flannel-backend",
    "flannel-ipv6-masq", "flannel-external-ip", "egress-selector-mode", "service-cidr", "supervisor-metrics",
}  # fmt: skip


def test_no_key_stands_in_the_table_twice() -> None:
    names = [line.split()[0] for line in TABLE.splitlines() if line]
    assert sorted(names) == sorted(set(names)) == sorted(keys())


def test_critical_keys_are_those_that_k3s_compares_at_a_join() -> None:
    assert {key.name for key in keys().values() if key.scope is Scope.CRITICAL} == COMPARED_BY_K3S


def test_what_k3s_does_not_compare_is_compared_by_us() -> None:
    assert {"agent-token", "disable", "datastore-endpoint"} <= {
        k.name for k in keys().values() if k.scope is Scope.COMPARED
    }


def test_refused_keys_and_short_forms_are_not_in_the_table_as_keys() -> None:
    assert not (REFUSED.keys() | SHORT_FORMS.keys()) & keys().keys()
    assert set(SHORT_FORMS.values()) <= keys().keys() | REFUSED.keys()


def test_every_kind_of_value_has_a_check() -> None:
    from bootstrap.distros.k3s.native import CHECKS

    assert CHECKS.keys() == set(Kind)


def test_fixed_keys_are_the_critical_ones_and_the_data_folder_with_defaults_as_k3s_has_them() -> None:
    assert fixed_keys().keys() == COMPARED_BY_K3S | {"data-dir"}
    assert fixed_keys()["cluster-cidr"] == "10.42.0.0/16"
    assert fixed_keys()["embedded-registry"] == "false"


def test_no_secret_is_among_the_fixed_keys_for_k3s_shows_them_masked() -> None:
    assert not {name for name in fixed_keys() if keys()[name].secret}
