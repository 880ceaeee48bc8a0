"""What is right and wrong with MicroK8s on its hosts, which the Kubernetes API can't tell. Pure; no check is green by default."""

from collections.abc import Iterator, Mapping

from bootstrap.control_plane import is_running
from bootstrap.distros.microk8s.layout import MICROK8S, is_ha, services, unit
from bootstrap.distros.microk8s.probes import ALONE, dqlite_members, snap_of
from bootstrap.facts import answers_api, has_trace
from bootstrap.model import Check, Facts, Host, HostFacts, Inventory

VOTERS = 3


def check_facts(inventory: Inventory, facts: Facts) -> list[Check]:
    """Checks of every host that was seen, and of dqlite."""
    found = [
        check
        for host in inventory.hosts
        if host.name in facts
        for check in (
            check_program(host, facts[host.name]),
            check_hold(host, facts[host.name]),
            check_services(host, facts[host.name]),
        )
    ]
    return [*found, *check_dqlite(inventory, facts)]


def check_program(host: Host, facts: HostFacts) -> Check:
    """Its commands are there, by their whole path."""
    snap = snap_of(facts)
    ok = snap is not None and has_trace(facts, "program")
    detail = (
        f"{snap.version}, revision {snap.revision}, follows {snap.tracking}"
        if snap and ok
        else f"there is no {MICROK8S}"
    )
    return Check("snap", ok, detail, subject=host.name)


def check_hold(host: Host, facts: HostFacts) -> Check:
    """snapd does not refresh it by itself."""
    snap = snap_of(facts)
    ok = snap is not None and "held" in snap.notes
    return Check(
        "refreshes", ok, "held" if ok else "not held: snapd may restart the node at any time", subject=host.name
    )


def check_services(host: Host, facts: HostFacts) -> Check:
    """The services of its role run; the others end at once, and are right to."""
    wanted = [unit(name) for name in services(host)]
    down = [name for name in wanted if not is_running(facts, name)]
    detail = f"{len(wanted)} run" if not down else f"{', '.join(down)} {'does' if len(down) == 1 else 'do'} not run"
    return Check("services", not down, detail, subject=host.name)


def check_dqlite(inventory: Inventory, facts: Facts) -> Iterator[Check]:
    """It lists every controller, and has three voters as soon as there are three members."""
    if not is_ha(inventory):
        return
    seen = [host for host in inventory.controllers if host.name in facts]
    answering = (facts[host.name] for host in seen if answers_api(facts[host.name]))
    members: Mapping[str, str] = next((dqlite_members(each) for each in answering), {})
    missing = [host.name for host in seen if not _is_listed(host, facts[host.name], members)]
    voters = sum(role == "voter" for role in members.values())
    enough = voters >= min(VOTERS, len(inventory.controllers))
    detail = f"{voters} of {len(members)} members vote"
    if missing:
        detail += f"; {', '.join(missing)} is not listed"
    yield Check("dqlite", bool(members) and enough and not missing, detail)


def _is_listed(host: Host, facts: HostFacts, members: Mapping[str, str]) -> bool:
    return any(address in members for address in (ALONE, *facts.node_addresses(host)))
