"""Inventories that are wrong in their shape: problems with places, and no traceback."""

import pytest

from bootstrap.errors import InventoryError

from .inventories import load

MALFORMED = [
    "addons: {dns: x}",
    "addons: [5]",
    "addons: [{args: x}]",
    "addons: [{name: 5}]",
    "addons: [{name: dns, args: {a: b}}]",
    "addons: [{name: dns, args: [[a]]}]",
    "addons: [{name: '', args: x}]",
    "addons: ['']",
    "addons: ['/']",
    "addons: dns",
    "microk8s: dns",
    "microk8s: {args: x}",
    "microk8s: {args: {kubelet: x}}",
    "microk8s: {args: {kubelet: {--a: [b]}}}",
    "microk8s: {registries: {docker.io: {}}}",
    "microk8s: {repositories: {own: x}}",
    "microk8s: {repositories: {own: {}}}",
    "microk8s: {fragment: {extraConfigFiles: x}}",
    "microk8s: {fragment: {extraCNIEnv: x}}",
    "microk8s: {fragment: {extraKubeliteEnv: {A: 5}}}",
    "microk8s: {failureDomain: x}",
    "microk8s: {revision: latest}",
    "microk8s: {sideload: 5}",
    "network: {pods: x}",
    "network: {services: [10.1.0.0/99]}",
    "endpoint: {port: 5}",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_wrong_shape_is_a_problem_with_a_place(tmp_path, text):
    with pytest.raises(InventoryError) as raised:
        load(tmp_path, f"{text}\n")
    assert raised.value.problems
    assert all(problem.line >= 8 for problem in raised.value.problems)
