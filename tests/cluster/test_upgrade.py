"""Another version in the inventory: locked, shown, then replaced host by host."""

import pytest

from tests.cluster.conftest import Repository, fresh
from tests.cluster.distribution import K3S

pytestmark = pytest.mark.sandbox
VERSION, NEXT_VERSION = K3S.version, K3S.next_version


def versions(repository: Repository) -> set[str]:
    return {node["status"]["nodeInfo"]["kubeletVersion"] for node in repository.nodes().values()}


def test_a_new_version_is_refused_without_a_lock_and_then_rolled_out(repository: Repository) -> None:
    if not list(repository.mirror.rglob(f"{NEXT_VERSION}/k3s")):
        pytest.skip(f"the mirror {repository.mirror} has no {NEXT_VERSION} to go to")
    fresh(repository, 1, 1)
    repository.apply()
    assert versions(repository) == {VERSION}
    repository.inventory.write_text(repository.inventory.read_text().replace(VERSION, NEXT_VERSION))
    assert "bootstrap lock" in repository.apply(code=1).text
    repository.run("lock")
    assert "reinstall" in repository.run("plan").stdout
    repository.apply()
    assert versions(repository) == {NEXT_VERSION}
    assert repository.plan_is_empty()
