"""Small inventories and facts of hosts with k0s, for tests of plans."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bootstrap.distros import find_driver
from bootstrap.distros.k0s.cluster import Cluster
from bootstrap.distros.k0s.documents import install_flags
from bootstrap.distros.k0s.host_plan import HostPlan
from bootstrap.distros.k0s.layout import BINARY, CONFIG, TOKEN, kind, service, unit_path
from bootstrap.driver import PlanInput
from bootstrap.inventory import load_inventory
from bootstrap.model import (
    FileFacts,
    HostFacts,
    Interface,
    Inventory,
    Lock,
    LockedFile,
    Plan,
    Record,
    Step,
    UnitFacts,
    digest,
)
from bootstrap.render import render

DRIVER = find_driver("k0s")
VERSION = "v1.36.3+k0s.2"
PROGRAM = "ab" * 32
HEAD = f"schema: bootstrap/v1\ncluster: home\ndistro: k0s\nversion: {VERSION}\n"
SMALL = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12}
  three: {address: 192.168.1.13}
"""
HIGH = """\
hosts:
  one: {address: 192.168.1.11, role: controller}
  two: {address: 192.168.1.12, role: controller}
  three: {address: 192.168.1.13, role: controller}
  four: {address: 192.168.1.14}
"""
ADDRESSES = {"one": "192.168.1.11", "two": "192.168.1.12", "three": "192.168.1.13", "four": "192.168.1.14"}
TRACES = {"controller": ("etcd", "authority"), "worker": ("kubelet",)}
RUNS = UnitFacts("loaded", "active", "running", "enabled")


def load(folder: Path, text: str = "", *, hosts: str = SMALL, head: str = HEAD) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(head + hosts + text)
    return load_inventory(path, {})


def lock() -> Lock:
    return Lock((LockedFile("k0s", VERSION, "amd64", f"https://example.com/k0s-{VERSION}", 7, PROGRAM),))


def make_input(inventory: Inventory, *facts: HostFacts, unreachable: tuple[str, ...] = ()) -> PlanInput:
    found = {each.host: each for each in facts}
    artifacts = render(inventory, DRIVER.templates(inventory, found, lock()))
    return PlanInput(inventory, artifacts, found, lock(), {}, unreachable=unreachable)


def plan(inventory: Inventory, *facts: HostFacts, unreachable: tuple[str, ...] = ()) -> Plan:
    return DRIVER.plan_apply(make_input(inventory, *facts, unreachable=unreachable))


def blank(name: str, **values: Any) -> HostFacts:
    return HostFacts(
        name,
        hostname=name,
        arch="amd64",
        os="debian 13",
        init="systemd",
        default_interface="eth0",
        interfaces=(Interface("eth0", (ADDRESSES[name],)),),
        values={"traces": (), "ca": "", "status": {}, "rejected": (), "laid": (), **values},
    )


def text_file(text: str, mode: str = "0644") -> FileFacts:
    return FileFacts(digest(text), mode, "root:root", len(text), text)


def unit_text(words: list[str]) -> str:
    """As `k0s install` writes it."""
    escaped = " ".join(word.replace(" ", "\\x20").replace("%", "%%") for word in words)
    return f"[Service]\nExecStart={BINARY} {escaped}\n"


def node(name: str, **fields: Any) -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": "v1.36.3+k0s"},
    }
    return {"metadata": {"name": name, "uid": name, **fields}, "spec": {}, "status": status}


def member(
    inventory: Inventory,
    name: str,
    among: tuple[str, ...] = (),
    *,
    flags: list[str] | None = None,
    config: str | None = None,
    files: Mapping[str, str] | None = None,
    version: str = VERSION,
    recorded: bool = True,
    **values: Any,
) -> HostFacts:
    """A host that runs as the inventory wants it; `among`: the hosts of the cluster that it knows of."""
    host = inventory.host(name)
    among = among or tuple(each.name for each in inventory.hosts)
    everyone = {each: blank(each) for each in among if each in ADDRESSES}
    found = {each.name: everyone.get(each.name, blank(each.name)) for each in inventory.hosts}
    rendered = {a.path: a for a in render(inventory, DRIVER.templates(inventory, found, lock())) if a.host == name}
    words = [kind(host), *(install_flags(inventory, host, found) if flags is None else flags)]
    there = {path: FileFacts(digest(a.content), a.mode, a.owner, 1, a.content) for path, a in rendered.items()}
    there[BINARY] = FileFacts(PROGRAM, "0755", "root:root", 7)
    there[unit_path(host)] = text_file(unit_text(words))
    if host.role.controls and config is not None:
        there[CONFIG] = text_file(config, "0600")
    there |= {path: text_file(text) for path, text in (files or {}).items()}
    controllers = [each for each in inventory.controllers if each.name in among]
    known = {
        "traces": (
            *(TRACES["controller"] if host.role.controls else ()),
            *(TRACES["worker"] if host.role.takes_work else ()),
        ),
        "ca": "authority",
        "status": _status(inventory, name, words, version),
    }
    if host.role.controls:
        known["nodes"] = {
            each.name: node(each.name) for each in inventory.hosts if each.role.takes_work and each.name in among
        }
        known["members"] = {each.name: ADDRESSES[each.name] for each in controllers}
    facts = replace(
        blank(name, **{**known, **values}), files=there, units={service(host): RUNS}, distributions=("k0s",)
    )
    if not recorded:
        return facts
    wanted = HostPlan(Cluster(make_input(inventory, *({**found, name: facts}).values())), host).wanted
    return replace(facts, record=Record("home", applied=wanted))


def _status(inventory: Inventory, name: str, words: list[str], version: str) -> dict[str, Any]:
    role = inventory.host(name).role
    return {
        "Version": version,
        "Pid": 7,
        "Role": "controller" if role.controls else "worker",
        "Workloads": role.takes_work,
        "SingleNode": role.value == "single",
        "Args": [BINARY, *words],
    }


def steps(made: Plan, host: str = "") -> list[Step]:
    return [step for stage in made.stages for step in stage.steps if not host or step.host == host]


def titles(made: Plan, host: str = "") -> list[str]:
    return [step.title for step in steps(made, host)]


__all__ = ["TOKEN", "blank", "load", "make_input", "member", "plan", "steps", "titles"]
