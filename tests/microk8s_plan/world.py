"""Small inventories and facts of hosts with MicroK8s, for tests of plans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from bootstrap.distros import find_driver
from bootstrap.distros.microk8s.cluster import Cluster
from bootstrap.distros.microk8s.drift import fragment_lines
from bootstrap.distros.microk8s.host_plan import HostPlan
from bootstrap.distros.microk8s.layout import ARGS, FRAGMENTS, services, unit
from bootstrap.distros.microk8s.probes import TEMPLATE, Snap, Snapd
from bootstrap.driver import PlanInput
from bootstrap.inventory import load_inventory
from bootstrap.model import FileFacts, HostFacts, Interface, Inventory, Lock, Plan, Record, Step, UnitFacts, digest
from bootstrap.render import render

DRIVER = find_driver("microk8s")
HEAD = 'schema: bootstrap/v1\ncluster: home\ndistro: microk8s\nversion: "1.36"\n'
SMALL = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12}
"""
HIGH = """\
hosts:
  one: {address: 192.168.1.11, role: controller+worker}
  two: {address: 192.168.1.12, role: controller+worker}
  three: {address: 192.168.1.13, role: controller+worker}
  four: {address: 192.168.1.14}
"""
ADDRESSES = {"one": "192.168.1.11", "two": "192.168.1.12", "three": "192.168.1.13", "four": "192.168.1.14"}
RUNS = UnitFacts("loaded", "active", "running", "enabled")
SNAPD = Snapd("2.63", {"core22": Snap("20240904", "1621", "latest/stable", frozenset(["base"]))})
SHIPPED = {
    "kube-apiserver": "--service-cluster-ip-range=10.152.183.0/24\n--authorization-mode=AlwaysAllow\n",
    "kube-proxy": "--cluster-cidr=10.1.0.0/16\n",
}
ALWAYS = {"core/ha-cluster": True, "core/helm": True, "core/helm3": True}


def load(folder: Path, text: str = "", *, hosts: str = SMALL, head: str = HEAD) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(head + hosts + text)
    return load_inventory(path, {})


def make_input(inventory: Inventory, *facts: HostFacts, unreachable: tuple[str, ...] = ()) -> PlanInput:
    found = {each.host: each for each in facts}
    artifacts = render(inventory, DRIVER.templates(inventory, found, Lock()))
    return PlanInput(inventory, artifacts, found, Lock(), {}, unreachable=unreachable)


def plan(inventory: Inventory, *facts: HostFacts, unreachable: tuple[str, ...] = ()) -> Plan:
    return DRIVER.plan_apply(make_input(inventory, *facts, unreachable=unreachable))


def blank(name: str, **values: Any) -> HostFacts:
    """A machine with snapd and nothing else."""
    return HostFacts(
        name,
        hostname=name,
        machine_id=name,
        boot_id=name,
        arch="amd64",
        os="debian 13",
        init="systemd",
        memory_kb=8_000_000,
        default_interface="eth0",
        interfaces=(Interface("eth0", (ADDRESSES[name],)),),
        values={"snapd": SNAPD, "traces": (), "ca": "", **values},
    )


def with_snap(version: str = "v1.36.1", tracking: str = "1.36/stable", *notes: str, revision: str = "8000") -> Snapd:
    snap = Snap(version, revision, tracking, frozenset(notes or ("classic", "held")))
    return replace(SNAPD, snaps={**SNAPD.snaps, "microk8s": snap})


def text_file(text: str, mode: str = "0660") -> FileFacts:
    return FileFacts(digest(text), mode, "root:root", len(text), text)


def node(name: str, kubelet: str = "v1.36.1") -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"kubeletVersion": kubelet},
        "addresses": [{"type": "InternalIP", "address": ADDRESSES.get(name, "192.168.1.99")}],
    }
    return {"metadata": {"name": name, "uid": name}, "spec": {}, "status": status}


def fresh(name: str, *, begun: bool = True, **values: Any) -> HostFacts:
    """A host as the install of the snap leaves it: a node of its own."""
    known = {
        "snapd": with_snap(),
        "traces": ("program", "ha", "launched"),
        "ca": f"own authority of {name}",
        "nodes": {name: node(name)},
        "status": {"members": {"127.0.0.1": "voter"}, "addons": dict(ALWAYS)},
    }
    units = {unit(each): RUNS for each in ("kubelite", "k8s-dqlite", "containerd", "cluster-agent", "apiserver-kicker")}
    facts = replace(blank(name, **{**known, **values}), units=units, distributions=("microk8s",))
    return replace(facts, record=Record("home")) if begun else facts


def member(
    inventory: Inventory,
    name: str,
    among: tuple[str, ...] = (),
    *,
    addons: dict[str, bool] | None = None,
    notes: dict[str, str] | None = None,
    args: dict[str, str] | None = None,
    recorded: bool = True,
    **values: Any,
) -> HostFacts:
    """A host that runs as the inventory wants it; `among`: the hosts of the cluster that it knows of."""
    host = inventory.host(name)
    among = among or tuple(each.name for each in inventory.hosts)
    found = {each.name: blank(each.name) for each in inventory.hosts}
    rendered = {a.path: a for a in render(inventory, DRIVER.templates(inventory, found, Lock())) if a.host == name}
    there = {path: FileFacts(digest(a.content), a.mode, a.owner, 1, a.content) for path, a in rendered.items()}
    for path, artifact in rendered.items():
        if path.startswith(FRAGMENTS):
            file = path.rpartition("/")[2]
            lines = [line for line in fragment_lines(artifact.content) if not line.startswith("!")]
            there[f"{ARGS}/{file}"] = text_file(SHIPPED.get(file, "") + "".join(f"{line}\n" for line in lines))
    if host.role.controls:
        for file, text in SHIPPED.items():
            there.setdefault(f"{ARGS}/{file}", text_file(text))
    there |= {f"{ARGS}/{file}": text_file(text) for file, text in (args or {}).items()}
    names = HostPlan(Cluster(make_input(inventory, *found.values())), host)._names
    lines = "".join(f"DNS.{number} = {each}\n" for number, each in enumerate(names, 101))
    there[TEMPLATE] = text_file(f"[ alt_names ]\nDNS.1 = kubernetes\n{lines}#MOREIPS\n")
    controllers = [each.name for each in inventory.controllers if each.name in among]
    known: dict[str, Any] = {
        "snapd": with_snap(),
        "traces": ("program", "launched", "ha") if host.role.controls else ("program", "launched", "clustered"),
        "ca": "authority",
    }
    if host.role.controls:
        alone = len(controllers) == 1
        known["nodes"] = {each: node(each) for each in among}
        known["status"] = {
            "members": {"127.0.0.1" if alone else ADDRESSES[each]: "voter" for each in controllers},
            "addons": {**ALWAYS, **(addons or {})},
        }
        known["notes"] = notes
    units = {unit(each): RUNS for each in services(host)}
    facts = replace(blank(name, **{**known, **values}), files=there, units=units, distributions=("microk8s",))
    if not recorded:
        return facts
    wanted = HostPlan(Cluster(make_input(inventory, *({**found, name: facts}).values())), host).wanted
    return replace(facts, record=Record("home", applied=wanted))


def members(inventory: Inventory, **given: Any) -> list[HostFacts]:
    return [member(inventory, host.name, **given) for host in inventory.hosts]


def change(facts: HostFacts, **values: Any) -> HostFacts:
    return replace(facts, values={**facts.values, **values})


def steps(made: Plan, host: str = "") -> list[Step]:
    return [step for stage in made.stages for step in stage.steps if not host or step.host == host]


def titles(made: Plan, host: str = "") -> list[str]:
    return [step.title for step in steps(made, host)]


def find(made: Plan, words: str) -> Step:
    return next(step for step in steps(made) if words in step.title)
