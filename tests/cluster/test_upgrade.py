"""Another version in the inventory: locked, shown, then replaced host by host."""

import json

import pytest

from tests.cluster.conftest import Repository, fresh
from tests.programs import NEXT_VERSION, VERSION

pytestmark = pytest.mark.sandbox


def versions(repository: Repository) -> set[str]:
    items = json.loads(repository.hosts.ssh("h1", "k3s kubectl get --raw /api/v1/nodes"))["items"]
    return {item["status"]["nodeInfo"]["kubeletVersion"] for item in items}


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
