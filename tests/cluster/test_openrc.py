"""A host with OpenRC in place of systemd: the same cluster, the same promises."""

import pytest

from tests.cluster.conftest import Repository

pytestmark = pytest.mark.sandbox
OPENRC = "h6"


@pytest.fixture
def openrc(repository: Repository) -> Repository:
    states = {state.name: state.init for state in repository.hosts.sandbox.list_hosts()}
    if states.get(OPENRC) != "openrc":
        pytest.skip("the sandbox has no OpenRC host: `bootstrap sandbox run --init h6=openrc`")
    return repository


def write(repository: Repository, roles: dict[str, str]) -> None:
    lines = [f"  {name}: {{address: {repository.hosts.address(name)}, role: {role}}}" for name, role in roles.items()]
    repository.write("hosts:\n" + "\n".join(lines))
    repository.hosts.wipe(*roles)
    repository.pin()
    repository.run("lock")


def test_an_openrc_worker_joins_and_the_second_apply_does_nothing(openrc: Repository) -> None:
    write(openrc, {"h1": "controller+worker", OPENRC: "worker"})
    openrc.apply()
    assert set(openrc.nodes()) == {"h1", OPENRC}
    assert openrc.plan_is_empty()
    openrc.inventory.write_text(openrc.inventory.read_text() + "  agent: {node-external-ip: 192.0.2.7}\n")
    openrc.apply()
    assert "192.0.2.7" in openrc.hosts.ssh(OPENRC, "cat /etc/rancher/k3s/config.yaml")
    assert openrc.plan_is_empty()


def test_an_openrc_controller_founds_and_reset_leaves_nothing(openrc: Repository) -> None:
    write(openrc, {OPENRC: "controller+worker"})
    openrc.apply()
    assert set(openrc.nodes(OPENRC)) == {OPENRC}
    assert openrc.plan_is_empty()
    openrc.run("reset", "--confirm", "home")
    left = openrc.hosts.ssh(
        OPENRC, "ls -d /etc/rancher /usr/local/bin/k3s /var/lib/bootstrap /etc/init.d/k3s 2>/dev/null; true"
    )
    assert left == ""
