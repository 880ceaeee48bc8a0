"""Every bad inventory of the tables gives its one problem, at its place, with its hint."""

import pytest

from . import bad_addresses, bad_k0s, bad_kubeadm, bad_microk8s, bad_native, bad_shape, bad_values, bad_yaml
from .conftest import Fail
from .tables import Bad, show

ROWS = [
    *bad_yaml.ROWS,
    *bad_shape.ROWS,
    *bad_values.ROWS,
    *bad_addresses.ROWS,
    *bad_native.ROWS,
    *bad_kubeadm.ROWS,
    *bad_k0s.ROWS,
    *bad_microk8s.ROWS,
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_bad_inventory_gives_its_one_problem(row: Bad, problems: Fail) -> None:
    found = problems(row.clean)
    assert len(found) == 1, show(found)
    assert row.matches(found[0]), show(found)
    assert (found[0].line, found[0].column) == row.place, show(found)
    lines = row.clean.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    assert found[0].source == lines[found[0].line - 1]


def test_the_tables_have_no_two_rows_of_one_name() -> None:
    names = [row.name for row in ROWS]
    assert sorted(names) == sorted(set(names))
    assert len(names) >= 60
