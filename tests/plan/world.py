"""A model of hosts with k3s on them: what the steps of a plan do to files, services, datastores and nodes.

It knows the scripts that plans are made of and refuses any other. It is strict where the real program would hang or
found a second cluster: such a step fails the test at once.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from bootstrap.distros import find_driver
from bootstrap.distros.k3s.files import REGISTRATION
from bootstrap.distros.k3s.layout import BINARY, CONFIG, INSTALLER, JOIN, REGISTRIES, SCRIPT
from bootstrap.driver import PlanInput, TemplateUse
from bootstrap.facts import RECORD_PATH, parse_record
from bootstrap.model import (
    Artifact,
    Connection,
    Fetch,
    FileFacts,
    Host,
    HostFacts,
    Interface,
    Inventory,
    Lock,
    LockedFile,
    Plan,
    Put,
    Reference,
    Role,
    Run,
    Secret,
    Step,
    UnitFacts,
    Wait,
    digest,
)
from bootstrap.references import fill_references, find_references
from bootstrap.render import render

OLD, NEW = "v1.36.2+k3s1", "v1.36.3+k3s1"
TOKEN = "correct-horse-battery-staple"
CANARY = "canary-value-7d1f"


def _locked(name: str, version: str, arch: str) -> LockedFile:
    content = f"{name} {version} {arch}"
    return LockedFile(name, version, arch, f"https://example.com/{version}/{name}", len(content), digest(content))


LOCK = Lock(
    tuple(_locked("k3s", version, "amd64") for version in (OLD, NEW))
    + tuple(_locked("install.sh", version, "any") for version in (OLD, NEW))
)
STOPPED = ("inactive", "failed")
VERSIONS = {file.sha256: file.version for file in LOCK.files if file.name == "k3s"}


# --- inventories ---------------------------------------------------------------------------------


def make_host(name: str, role: Role, number: int, **fields: Any) -> Host:
    return Host(name, Connection(f"192.168.1.{number}"), role, origin=("hosts", name), **fields)


def make_inventory(controllers: int = 1, workers: int = 0, **fields: Any) -> Inventory:
    """Controllers c1, c2, ... that take pods, and workers w1, w2, ..."""
    hosts = [make_host(f"c{n}", Role.CONTROLLER_WORKER, 10 + n) for n in range(1, controllers + 1)]
    hosts += [make_host(f"w{n}", Role.WORKER, 20 + n) for n in range(1, workers + 1)]
    return Inventory(file="home.yaml", cluster="home", distro="k3s", hosts=tuple(hosts), **{"version": NEW, **fields})


def change_host(inventory: Inventory, name: str, **changes: Any) -> Inventory:
    hosts = tuple(replace(host, **changes) if host.name == name else host for host in inventory.hosts)
    return replace(inventory, hosts=hosts)


def change_native(inventory: Inventory, native: Mapping[str, Any], *names: str) -> Inventory:
    """Give the hosts (all without names) this native section, as layers would."""
    hosts = tuple(replace(host, native=native) if not names or host.name in names else host for host in inventory.hosts)
    return replace(inventory, hosts=hosts)


def make_input(
    inventory: Inventory,
    facts: Mapping[str, HostFacts],
    unreachable: Iterable[str] = (),
    values: Mapping[str, str] = {},
    lock: Lock = LOCK,
) -> PlanInput:
    """As the session makes it: rendered for the facts, references filled."""
    driver = find_driver("k3s")
    artifacts = _render(inventory, tuple(driver.templates(inventory, facts, lock)))
    known = {"${generated:token}": driver.token_from(facts) or TOKEN, **values}

    def value_of(reference: Reference) -> str:
        return known.get(reference.text, CANARY)

    filled = {(a.host, a.path): fill_references(a.content, value_of) for a in artifacts if a.has_references}
    references = [reference for a in artifacts for reference in find_references(a.content)]
    if inventory.token:
        references.append(inventory.token)
    secrets = {reference.text: Secret(value_of(reference)) for reference in references}
    return PlanInput(inventory, artifacts, facts, lock, filled, secrets, tuple(unreachable))


_rendered: dict[str, tuple[Artifact, ...]] = {}


def _render(inventory: Inventory, uses: Sequence[TemplateUse]) -> tuple[Artifact, ...]:
    """Rendered once for the same variables: thousands of plans are made here."""
    key = repr(uses)
    if key not in _rendered:
        _rendered[key] = render(inventory, uses)
    return _rendered[key]


# --- the model -----------------------------------------------------------------------------------


class StepFailedError(AssertionError):
    """A step that would fail, hang or do harm on real hosts."""


@dataclass
class ModelUnit:
    active: str = "inactive"
    read: dict[str, str] = field(default_factory=dict)  # path -> content or sha256, as the running k3s read it


@dataclass
class ModelHost:
    name: str
    address: str
    files: dict[str, FileFacts] = field(default_factory=dict)
    units: dict[str, ModelUnit] = field(default_factory=dict)
    datastore: str = ""  # etcd, sqlite, external, removed
    cluster: int = 0  # whose data it holds; 0: none
    token: str = ""
    certificate: bool = False  # the kubelet's
    password: str = ""
    reachable: bool = True
    hooks: list[str] = field(default_factory=list)
    machine: int = 0  # counts reinstallations

    def content(self, path: str) -> str:
        file = self.files.get(path)
        return (file.content or "") if file else ""

    def unit(self, name: str) -> ModelUnit:
        if name not in self.units:
            raise StepFailedError(f"{self.name}: {name} is not installed")
        return self.units[name]


@dataclass
class ModelCluster:
    number: int
    token: str
    kind: str
    members: set[str] = field(default_factory=set)  # hosts with a vote, or that serve
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)


class World:
    """Hosts, the clusters that they make, and the rules by which steps change both."""

    def __init__(self, inventory: Inventory) -> None:
        self.hosts: dict[str, ModelHost] = {}
        self.clusters: dict[int, ModelCluster] = {}
        self.values: dict[str, str] = {}
        self.guarded: set[int] = set()  # clusters that must not lose their quorum
        self.meet(inventory)

    def meet(self, inventory: Inventory) -> None:
        """Machines for hosts that are new in the inventory."""
        self.inventory = inventory
        for host in inventory.hosts:
            self.hosts.setdefault(host.name, ModelHost(host.name, host.connection.address))

    # --- what happens to hosts ---------------------------------------------------------------

    def wipe(self, *names: str) -> None:
        for name in names:
            old = self.hosts[name]
            self.hosts[name] = ModelHost(name, old.address, machine=old.machine + 1)
        self.settle()

    def stop(self, *names: str) -> None:
        for name in names:
            for unit in self.hosts[name].units.values():
                unit.active = "inactive"
        self.settle()

    def reboot(self, *names: str) -> None:
        for name in names:
            for service, unit in self.hosts[name].units.items():
                unit.active = "failed"
                if BINARY in self.hosts[name].files and self.hosts[name].datastore != "removed":
                    self._start(self.hosts[name], service)
        self.settle()

    def edit(self, name: str, path: str, content: str | None) -> None:
        files = self.hosts[name].files
        if content is None:
            files.pop(path, None)
        else:
            old = files.get(path, FileFacts("", "0644", "root:root", 0))
            files[path] = FileFacts(digest(content), old.mode, old.owner, len(content), content)

    # --- what is seen ------------------------------------------------------------------------

    @property
    def unreachable(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.inventory.hosts if not self.hosts[host.name].reachable)

    def facts(self) -> dict[str, HostFacts]:
        names = [host.name for host in self.inventory.hosts if self.hosts[host.name].reachable]
        return {name: self._facts_of(self.hosts[name]) for name in names}

    def _facts_of(self, host: ModelHost) -> HostFacts:
        traces = ["/var/lib/rancher/k3s/agent/client-kubelet.crt"] if host.certificate else []
        traces += ["/etc/rancher/node/password"] if host.password else []
        values: dict[str, Any] = {"datastore": host.datastore, "traces": tuple(traces)}
        if self.inventory.host(host.name).role.controls:
            kept = host.token if host.datastore in ("etcd", "sqlite", "external") else ""
            cluster = self.clusters.get(host.cluster)
            answers = self._serves(host.name)
            values |= {
                "token": Secret(kept) if kept else None,
                "kubeconfig": Secret("kubeconfig") if kept else None,
                "nodes": json.loads(json.dumps(cluster.nodes)) if cluster and answers else None,
            }
        installed = bool(host.units or host.datastore or BINARY in host.files)
        return HostFacts(
            host=host.name,
            hostname=host.name,
            machine_id=f"{host.name}-{host.machine}",
            boot_id=f"{host.name}-{host.machine}",
            os="debian 13",
            arch="amd64",
            init="systemd",
            memory_kb=8_000_000,
            free_kb={"/": 50_000_000, "/var/lib": 50_000_000, "/usr/local": 50_000_000, "/etc": 50_000_000},
            default_interface="eth0",
            interfaces=(Interface("eth0", (host.address,)),),
            distributions=("k3s",) if installed else (),
            files={path: file for path, file in host.files.items() if path != RECORD_PATH},
            units={
                name: UnitFacts("loaded", host.units[name].active, "running", "enabled")
                if name in host.units
                else UnitFacts()
                for name in ("k3s", "k3s-agent")
            },
            record=parse_record(host.content(RECORD_PATH)),
            values=values,
        )

    def plan(self) -> Plan:
        return find_driver("k3s").plan_apply(self.input())

    def input(self) -> PlanInput:
        return make_input(self.inventory, self.facts(), self.unreachable, self.values)

    # --- quorum ------------------------------------------------------------------------------

    def _alive(self, cluster: ModelCluster) -> set[str]:
        """Members whose k3s is up, or waits for the others."""
        return {name for name in cluster.members if self._runs(name, cluster.number)}

    def _runs(self, name: str, cluster: int) -> bool:
        host = self.hosts[name]
        unit = host.units.get("k3s")
        return (
            host.cluster == cluster and host.datastore != "removed" and unit is not None and unit.active not in STOPPED
        )

    def _has_quorum(self, cluster: ModelCluster) -> bool:
        needed = len(cluster.members) // 2 + 1 if cluster.kind == "etcd" else 1
        return len(self._alive(cluster)) >= needed

    def _serves(self, name: str) -> bool:
        host = self.hosts[name]
        cluster = self.clusters.get(host.cluster)
        unit = host.units.get("k3s")
        return bool(cluster and unit and unit.active == "active" and self._has_quorum(cluster))

    def living_clusters(self) -> set[int]:
        """Clusters whose data lies on a host of the inventory."""
        kept = ("etcd", "sqlite", "external")
        return {host.cluster for host in self.hosts.values() if host.datastore in kept and host.cluster}

    # --- steps -------------------------------------------------------------------------------

    def execute(self, plan: Plan, most: int | None = None) -> int:
        """Do the plan's steps, at most so many; returns how many were done."""
        done = 0
        self.guarded = {number for number, cluster in self.clusters.items() if self._has_quorum(cluster)}
        for stage in plan.stages:
            for host in stage.hosts():
                for step in stage.steps_of(host):
                    if most is not None and done >= most:
                        return done
                    self.do(step)
                    done += 1
        return done

    def do(self, step: Step) -> None:
        place = self.hosts[step.place]
        if not place.reachable:
            raise StepFailedError(f"{step.title}: {place.name} can't be reached")
        match step.action:
            case Put(path, content, mode, owner):
                filled = fill_references(content, lambda reference: self._value(reference))
                place.files[path] = FileFacts(digest(filled), mode, owner, len(filled), filled)
            case Fetch(file, path, mode):
                place.files[path] = FileFacts(file.sha256, mode, "root:root", file.size)
            case Run(script):
                self._run(step, place, script)
            case Wait(script):
                self.settle()
                self._wait(step, place, script)
        self.settle()

    def _value(self, reference: Reference) -> str:
        held = (host.token for host in self.hosts.values() if host.datastore in ("etcd", "sqlite", "external"))
        known = {"${generated:token}": next((token for token in held if token), TOKEN), **self.values}
        return known.get(reference.text, CANARY)

    def _run(self, step: Step, place: ModelHost, script: str) -> None:
        if step.title.startswith("run hook "):
            place.hooks.append(step.title.split()[2])
        elif script == f"exec sh {SCRIPT}":
            self._install(place)
        elif "k3s-uninstall.sh" in script:
            self._uninstall(place)
        elif "/server/db" in script and "client-kubelet" not in script:
            self._stop_all(place)
            place.datastore, place.cluster, place.token, place.certificate = "", 0, "", False
        elif started := re.search(r"systemctl (start|restart) --no-block (\S+)", script):
            self._start_step(place, started[2], started[1])
        elif "systemctl stop" in script:
            self._stop_all(place)
        elif removed := re.fullmatch(r"(?:set -eu\n)?rm -f (\S+)\n?", script):
            place.files.pop(removed[1], None)
        elif f"{BINARY} kubectl" in script:
            self._kubectl(place, script)
        else:
            raise StepFailedError(f"{step.title}: the model does not know this script\n{script}")

    def _install(self, place: ModelHost) -> None:
        """What the rendered install script checks, and what upstream's installer leaves."""
        script = place.content(SCRIPT)
        for path in (BINARY, INSTALLER, CONFIG):
            if path not in place.files:
                raise StepFailedError(f"{place.name}: {path} is missing")
        for path, name in ((BINARY, BINARY), (INSTALLER, INSTALLER)):
            found = re.search(rf"^check_sum {re.escape(name)} (\S+)", script, re.MULTILINE)
            if found and place.files[path].sha256 != found[1]:
                raise StepFailedError(f"{place.name}: {path} is not the one of the lock")
        if not re.search(r"^token: '[^$']+'$", place.content(CONFIG), re.MULTILINE):
            raise StepFailedError(f"{place.name}: the configuration has no token")
        service = re.search(r"service (k3s\S*) on", script)
        assert service
        place.units.setdefault(service[1], ModelUnit())

    def _uninstall(self, place: ModelHost) -> None:
        self._stop_all(place)
        kept = {
            path: file
            for path, file in place.files.items()
            if not path.startswith(("/etc/rancher", "/usr/local", "/var/lib"))
        }
        self.hosts[place.name] = ModelHost(place.name, place.address, files=kept, machine=place.machine)

    def _stop_all(self, place: ModelHost) -> None:
        for unit in place.units.values():
            if unit.active not in STOPPED:
                self._guard_quorum(place)
            unit.active = "inactive"

    def _guard_quorum(self, place: ModelHost) -> None:
        """A step of ours must not cost a quorum that was there when the plan was made."""
        cluster = self.clusters.get(place.cluster)
        if (
            cluster is None
            or place.name not in cluster.members
            or not self._has_quorum(cluster)
            or cluster.kind != "etcd"
        ):
            return
        if cluster.number not in self.guarded:
            return
        left = len(self._alive(cluster) - {place.name})
        if len(cluster.members) > 2 and left < len(cluster.members) // 2 + 1:
            raise StepFailedError(f"stopping {place.name} leaves {left} of {len(cluster.members)} voters")

    def _start_step(self, place: ModelHost, service: str, verb: str) -> None:
        unit = place.unit(service)
        if verb == "restart" and unit.active not in STOPPED:
            self._guard_quorum(place)
            unit.active = "inactive"
        if unit.active in STOPPED:
            self._start(place, service)

    def _start(self, place: ModelHost, service: str) -> None:
        """k3s reads its files now; what becomes of it is settled with the other hosts."""
        unit = place.unit(service)
        if BINARY not in place.files:
            raise StepFailedError(f"{place.name}: there is no {BINARY}")
        if place.datastore == "removed":
            raise StepFailedError(f"{place.name}: k3s was started on a datastore that it was removed from")
        unit.read = {path: place.content(path) for path in (CONFIG, JOIN, REGISTRIES, REGISTRATION)}
        unit.read[BINARY] = place.files[BINARY].sha256
        unit.active = "activating"

    def settle(self) -> None:
        """Let every k3s that waits for another go on as far as it can."""
        before = None
        while before != (before := self._activity()):
            for host in self.hosts.values():
                for service, unit in host.units.items():
                    if unit.active == "activating" and self._can_become_active(host, service, unit):
                        unit.active = "active"
        for cluster in self.clusters.values():
            for name, node in cluster.nodes.items():
                self._refresh_node(cluster, name, node)

    def _activity(self) -> list[str]:
        return [f"{unit.active} {host.cluster}" for host in self.hosts.values() for unit in host.units.values()]

    def _can_become_active(self, host: ModelHost, service: str, unit: ModelUnit) -> bool:
        settings = self._settings(unit)
        if service == "k3s":
            return self._server(host, settings, unit)
        return self._agent(host, settings)

    def _settings(self, unit: ModelUnit) -> dict[str, Any]:
        texts = [unit.read.get(path, "") for path in (CONFIG, JOIN, REGISTRATION)]
        return {key: value for text in texts for key, value in (yaml.safe_load(text) or {}).items()}

    def _server(self, host: ModelHost, settings: Mapping[str, Any], unit: ModelUnit) -> bool:
        if not host.datastore and not ("token" in settings and self._join_or_found(host, settings)):
            return False
        cluster = self.clusters[host.cluster]
        if cluster.token != settings.get("token", host.token):
            raise StepFailedError(f"{host.name}: started with a token that is not the cluster's")
        if host.datastore == "sqlite" and settings.get("cluster-init"):
            host.datastore = cluster.kind = "etcd"
        if host.name not in cluster.members:
            raise StepFailedError(f"{host.name}: is no member of its cluster any more")
        return self._has_quorum(cluster) and self._register(host, cluster, settings, unit)

    def _join_or_found(self, host: ModelHost, settings: Mapping[str, Any]) -> bool:
        external = settings.get("datastore-endpoint")
        if external:
            cluster = next((c for c in self.clusters.values() if c.kind == "external"), None)
            cluster = cluster or self._make_cluster(settings["token"], "external")
        elif "server" in settings:
            cluster = self._asked_cluster(str(settings["server"]))
            if cluster is None or cluster.token != settings["token"] or not self._password_fits(host, cluster):
                return False
            if cluster.kind != "etcd":
                raise StepFailedError(f"{host.name}: joins a cluster without etcd as a server")
        else:
            if self.living_clusters():
                raise StepFailedError(f"{host.name} founds a second cluster")
            cluster = self._make_cluster(settings["token"], "etcd" if settings.get("cluster-init") else "sqlite")
        cluster.members.add(host.name)
        host.datastore, host.cluster, host.token = cluster.kind, cluster.number, cluster.token
        return True

    def _make_cluster(self, token: str, kind: str) -> ModelCluster:
        cluster = ModelCluster(len(self.clusters) + 1, token, kind)
        self.clusters[cluster.number] = cluster
        return cluster

    def _asked_cluster(self, url: str) -> ModelCluster | None:
        address = re.fullmatch(r"https://([0-9.]+):6443", url)
        assert address, url
        endpoint = self.inventory.endpoint
        everywhere = endpoint is not None and endpoint.host == address[1]
        for host in self.hosts.values():
            if (everywhere or host.address == address[1]) and self._serves(host.name):
                return self.clusters[host.cluster]
        return None

    def _password_fits(self, host: ModelHost, cluster: ModelCluster) -> bool:
        """A node of this name with another password lets nobody in."""
        host.password = host.password or f"{host.name}-{host.machine}"
        return cluster.passwords.setdefault(host.name, host.password) == host.password

    def _agent(self, host: ModelHost, settings: Mapping[str, Any]) -> bool:
        if not {"server", "token"} <= settings.keys():
            return False
        cluster = self.clusters.get(host.cluster) if host.certificate else self._asked_cluster(str(settings["server"]))
        if cluster is None or cluster.token != settings["token"] or not self._has_quorum(cluster):
            return False
        host.cluster = cluster.number
        return self._register(host, cluster, settings, host.units["k3s-agent"])

    def _register(self, host: ModelHost, cluster: ModelCluster, settings: Mapping[str, Any], unit: ModelUnit) -> bool:
        if not self._password_fits(host, cluster):
            return False
        if host.name not in cluster.nodes:
            taints = [_taint(text) for text in settings.get("node-taint") or ()]
            cluster.nodes[host.name] = {
                "metadata": {
                    "name": host.name,
                    "uid": f"{id(cluster)}-{host.name}",
                    "labels": {"kubernetes.io/hostname": host.name},
                    "annotations": {},
                },
                "spec": {"taints": taints},
                "status": {},
            }
        host.certificate = True
        metadata = cluster.nodes[host.name]["metadata"]
        metadata["labels"] |= dict(text.split("=", 1) for text in settings.get("node-label") or ())
        if cluster.kind == "etcd" and host.name in cluster.members:
            metadata["labels"]["node-role.kubernetes.io/etcd"] = "true"
        metadata["annotations"]["k3s.io/node-args"] = json.dumps(list(_arguments(settings)))
        cluster.nodes[host.name]["status"]["nodeInfo"] = {"kubeletVersion": VERSIONS[unit.read[BINARY]]}
        return True

    def _refresh_node(self, cluster: ModelCluster, name: str, node: dict[str, Any]) -> None:
        host = self.hosts.get(name)
        runs = (
            host is not None
            and host.cluster == cluster.number
            and any(u.active == "active" for u in host.units.values())
        )
        ready = "True" if runs else "Unknown"
        node["status"]["conditions"] = [{"type": "Ready", "status": ready}]
        if name in cluster.members and cluster.kind == "etcd":
            node["status"]["conditions"].append({"type": "EtcdIsVoter", "status": "True"})

    # --- the API -----------------------------------------------------------------------------

    def _kubectl(self, place: ModelHost, script: str) -> None:
        if not self._serves(place.name):
            raise StepFailedError(f"the API does not answer on {place.name}")
        cluster = self.clusters[place.cluster]
        for line in script.splitlines():
            words = shlex.split(line)
            words = words[words.index(BINARY) :] if BINARY in words else words
            match words:
                case [_, "kubectl", "delete", "node", name, *_]:
                    self._delete_node(cluster, name)
                case [_, "kubectl", "-n", "kube-system", "delete", "secret", secret, *_]:
                    cluster.passwords.pop(secret.removesuffix(".node-password.k3s"), None)
                case [_, "kubectl", "label" | "annotate" | "taint" as verb, "node", name, "--overwrite", *changes]:
                    self._mark(cluster, verb, name, changes)
                case [_, "kubectl", "cordon" | "drain", *_]:
                    pass
                case ["set", "-eu"] | ["export", *_] | []:
                    pass
                case _:
                    raise StepFailedError(f"the model does not know: {line}")

    def _delete_node(self, cluster: ModelCluster, name: str) -> None:
        host = self.hosts.get(name)
        if host is not None and host.cluster == cluster.number:
            if any(unit.active not in STOPPED for unit in host.units.values()):
                raise StepFailedError(f"the node of {name} is deleted while its k3s runs")
            if name in cluster.members and host.datastore == "etcd":
                host.datastore = "removed"
        cluster.nodes.pop(name, None)
        cluster.passwords.pop(name, None)
        cluster.members.discard(name)

    def _mark(self, cluster: ModelCluster, verb: str, name: str, changes: list[str]) -> None:
        if name not in cluster.nodes:
            raise StepFailedError(f"there is no node {name} to {verb}")
        node = cluster.nodes[name]
        for change in changes:
            if verb == "taint":
                node["spec"]["taints"] = list(_changed_taints(node["spec"]["taints"], change))
                continue
            marks = node["metadata"]["labels" if verb == "label" else "annotations"]
            key, equals, value = change.partition("=")
            if equals:
                marks[key] = value
            else:
                marks.pop(change.removesuffix("-"), None)

    # --- waits -------------------------------------------------------------------------------

    def _wait(self, step: Step, place: ModelHost, script: str) -> None:
        service = re.search(r"systemctl show .* (k3s\S*) \|", script)
        if service and place.unit(service[1]).active != "active":
            raise StepFailedError(
                f"{place.name}: {step.title}: {service[1]} is {place.unit(service[1]).active} for ever"
            )
        if "get --raw /readyz" in script and not self._serves(place.name):
            raise StepFailedError(f"{place.name}: {step.title}: the API is not ready")
        node = re.search(r"/api/v1/nodes/([\w.-]+)", script)
        if node:
            self._wait_for_node(step, place, node[1], script)

    def _wait_for_node(self, step: Step, place: ModelHost, name: str, script: str) -> None:
        if not self._serves(place.name):
            raise StepFailedError(f"{step.title}: the API does not answer on {place.name}")
        found = self.clusters[place.cluster].nodes.get(name)
        if found is None:
            raise StepFailedError(f"{step.title}: there is no node {name}")
        states = {c["type"] for c in found["status"]["conditions"] if c["status"] == "True"}
        if "Ready" not in states or ("EtcdIsVoter" in script and "EtcdIsVoter" not in states):
            raise StepFailedError(f"{step.title}: {name} has {sorted(states)}")
        wanted = re.search(r'"kubeletVersion":"([^"]+)"', script)
        if wanted and found["status"]["nodeInfo"]["kubeletVersion"] != wanted[1]:
            raise StepFailedError(f"{step.title}: {name} does not run {wanted[1]}")


def _taint(text: str) -> dict[str, str]:
    key_value, _, effect = text.rpartition(":")
    key, _, value = key_value.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def _changed_taints(taints: list[dict[str, str]], change: str) -> Iterator[dict[str, str]]:
    taint = _taint(change.removesuffix("-"))
    yield from (old for old in taints if (old["key"], old["effect"]) != (taint["key"], taint["effect"]))
    if not change.endswith("-"):
        yield taint


def _arguments(settings: Mapping[str, Any]) -> Iterator[str]:
    yield "server"
    for key, value in settings.items():
        for item in value if isinstance(value, list) else [value]:
            text = str(item).lower() if isinstance(item, bool) else str(item)
            yield from (f"--{key}", "********" if key == "token" else text)


def built(inventory: Inventory) -> World:
    """A world in which the inventory was applied once."""
    world = World(inventory)
    world.execute(world.plan())
    return world


def titles(plan: Plan) -> list[str]:
    """Every step as `host: title`, with the place where that is another host."""
    steps = (step for stage in plan.stages for step in stage.steps)
    return [f"{step.host}: {step.title}" + (f" (on {step.on})" if step.on else "") for step in steps]
