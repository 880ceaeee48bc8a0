"""What MicroK8s adds to the shared probes, and how its answers read. Pure.

Exit codes and sentences of this product prove little: `status` ends well when it is stopped, and on a worker. What is
no YAML mapping is no answer.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bootstrap.distros.microk8s import layout
from bootstrap.distros.microk8s.layout import ARGS, CERTS, KUBECONFIG, KUBECTL, MICROK8S, SNAP, unit
from bootstrap.facts import parse_items, shared_probes
from bootstrap.model import Host, HostFacts, Inventory, Probe, Secret
from bootstrap.shell import join

SERVICES = tuple(unit(name) for name in dict.fromkeys((*layout.CONTROLLER_SERVICES, *layout.WORKER_SERVICES)))
KUBELITE = unit("kubelite")
TEMPLATE = f"{CERTS}/csr.conf.template"  # names for the API's certificate
AUTHORITY = f"{CERTS}/ca.crt"
# Traces by a word each.
TRACES: Mapping[str, str] = {
    "program": MICROK8S,
    "clustered": layout.CLUSTERED,
    "ha": layout.HA_LOCK,
    "joining": layout.JOIN_LEFTOVER,
    "low-memory": layout.LOW_MEMORY,
    "joined": f"{layout.LOCKS}/no-cert-reissue",  # set by every join, on both sides
    "launched": layout.LAUNCH_APPLIED,
}
# Where it is known what add-ons were enabled with: the product keeps no arguments.
NOTES = "bootstrap-addons"
NOTES_PATH = f"/api/v1/namespaces/kube-system/configmaps/{NOTES}"
POOLS_PATH = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools"
ALONE = "127.0.0.1"  # dqlite's address before the first join


@dataclass(frozen=True)
class Snap:
    """One row of `snap list`; `tracking` is `-` for a file of one's own."""

    version: str
    revision: str
    tracking: str
    notes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Snapd:
    """What snapd says: installed snaps by name, changes that have not ended, and why it does not answer."""

    version: str = ""
    snaps: Mapping[str, Snap] = field(default_factory=dict)
    changes: tuple[str, ...] = ()
    problem: str = ""
    misses_folder: bool = False  # classic snaps live in /snap, and some systems have it elsewhere


def make_probes(inventory: Inventory, host: Host, paths: tuple[str, ...]) -> tuple[Probe, ...]:
    """All looks at one host: shared ones first, then MicroK8s'; `paths` are the rendered files."""
    own = [f"{ARGS}/{file}" for file in layout.READERS]
    files = tuple(dict.fromkeys((*paths, *own, TEMPLATE, layout.CLUSTER_YAML)))
    probes = (
        *shared_probes(files, (), SERVICES),
        Probe("snapd", SNAPD_SCRIPT, parse_snapd),
        Probe("traces", traces_script(), lambda text: tuple(text.split())),
        Probe("ca", AUTHORITY_SCRIPT, lambda text: text.strip()),
    )
    if not host.role.controls:
        return probes
    return (
        *probes,
        Probe("kubeconfig", KUBECONFIG_SCRIPT, lambda text: Secret(text) if "clusters:" in text else None),
        Probe("nodes", ask_script("/api/v1/nodes", insists=True), parse_items),
        Probe("status", STATUS_SCRIPT, parse_status),
        Probe("notes", ask_script(NOTES_PATH), parse_notes),
        *((Probe("pools", ask_script(POOLS_PATH), parse_pools),) if _has_metallb(inventory) else ()),
    )


def _has_metallb(inventory: Inventory) -> bool:
    return any(addon.name.rpartition("/")[2] == "metallb" for addon in inventory.addons)


# --- snapd ---------------------------------------------------------------------------------------

SNAPD_SCRIPT = f"""
[ -x {SNAP} ] || exit 0
echo "snapd $(timeout 20 {SNAP} version 2>/dev/null </dev/null | awk '$1 == "snapd" {{ print $2 }}')"
[ -e /snap ] || [ ! -d /var/lib/snapd/snap ] || echo elsewhere
timeout 20 {SNAP} list 2>&1 </dev/null | sed 's/^/list /'
timeout 20 {SNAP} changes 2>&1 </dev/null | sed 's/^/change /'
"""
IN_PROGRESS = frozenset(["Do", "Doing", "Undo", "Undoing", "Wait", "Abort"])
NO_SNAPS = ("no matching snaps", "no snaps are installed")


def parse_snapd(text: str) -> Snapd | None:
    """None without snapd."""
    if not text.strip():
        return None
    lines = text.splitlines()
    version = next((line.removeprefix("snapd ").strip() for line in lines if line.startswith("snapd ")), "")
    listed = [line.removeprefix("list ") for line in lines if line.startswith("list ")]
    changes = [line.removeprefix("change ") for line in lines if line.startswith("change ")]
    problem = next((line.removeprefix("error: ") for line in listed if line.startswith("error: ")), "")
    if problem.lower().startswith(NO_SNAPS):
        problem = ""
    rows = (line.split() for line in listed)
    snaps = {
        row[0]: Snap(row[1], row[2], row[3], frozenset(row[5].split(",")))
        for row in rows
        if len(row) == 6 and row[2] != "Rev"
    }
    return Snapd(version, snaps, tuple(_read_changes(changes)), problem, "elsewhere" in lines)


def _read_changes(lines: list[str]) -> list[str]:
    """`12 Doing Install "microk8s" snap`, for what has not ended and concerns us."""
    found = []
    for line in lines:
        match = re.match(r"\s*(\d+)\s+(\w+)\s+(.*)", line)
        if match and match[2] in IN_PROGRESS:
            summary = re.split(r"\s{2,}", match[3].strip())[-1]
            if re.search(r"\b(microk8s|core22|snapd|snaps)\b", summary):
                found.append(f"{match[1]} {match[2]} {summary}")
    return found


def snapd_of(facts: HostFacts) -> Snapd:
    return facts.values.get("snapd") or Snapd()


def snap_of(facts: HostFacts) -> Snap | None:
    """The installed MicroK8s."""
    return snapd_of(facts).snaps.get(layout.SNAP_NAME)


# --- MicroK8s ------------------------------------------------------------------------------------


def traces_script() -> str:
    lines = [f"[ ! -e {path} ] || echo {word}" for word, path in TRACES.items()]
    return "\n".join([*lines, ":"])


# A worker keeps the authority of the cluster beside one of its own, which is of no use there; so is its kubeconfig.
AUTHORITY_SCRIPT = f"""
file={AUTHORITY}
[ ! -e {layout.CLUSTERED} ] || file={CERTS}/ca.remote.crt
cat $file 2>/dev/null || true
"""
KUBECONFIG_SCRIPT = f"[ -e {layout.CLUSTERED} ] || cat {KUBECONFIG} 2>/dev/null || true"
RUNS = f"[ -x {MICROK8S} ] && [ ! -e {layout.CLUSTERED} ] && systemctl is-active --quiet {KUBELITE} || exit 0\n"


def ask_script(path: str, *, insists: bool = False) -> str:
    """`get --raw` asks the API and writes no discovery cache. `insists`: again for 10 s, for a lost leader costs seconds."""
    asked = f"timeout 10 {join([*KUBECTL, 'get', '--raw', path, '--request-timeout=8s'])} </dev/null"
    if not insists:
        return f"{RUNS}{asked} 2>/dev/null || true\n"
    return f"""{RUNS}
end=$(( $(cut -d. -f1 /proc/uptime) + 10 ))
until {asked}; do
  [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || break
  sleep 2
done
"""


STATUS_SCRIPT = f"{RUNS}timeout 60 {MICROK8S} status --format yaml </dev/null 2>/dev/null || true\n"


def parse_status(text: str) -> Mapping[str, Any]:
    """`members`: dqlite's address -> role; `addons`: REPOSITORY/NAME -> enabled. Empty when it is a mere sentence."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    if not isinstance(found, dict):
        return {}
    available = found.get("high-availability")
    nodes = available.get("nodes") if isinstance(available, dict) else None
    addons = found.get("addons")
    return {
        "members": {
            _address(str(node.get("address"))): str(node.get("role"))
            for node in (nodes if isinstance(nodes, list) else [])
            if isinstance(node, dict)
        },
        "addons": {
            f"{addon.get('repository')}/{addon.get('name')}": addon.get("status") == "enabled"
            for addon in (addons if isinstance(addons, list) else [])
            if isinstance(addon, dict)
        },
    }


def _address(text: str) -> str:
    return text.rpartition(":")[0].strip("[]")


def parse_notes(text: str) -> Mapping[str, str] | None:
    """The data of the ConfigMap with the add-ons' arguments; None when there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get("kind") == "Status":
        return None
    data = found.get("data") or {}
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def parse_pools(text: str) -> Mapping[str, tuple[str, ...]]:
    """Ranges by the name of each of MetalLB's pools."""
    items = parse_items(text) or {}
    return {name: tuple(map(str, (item.get("spec") or {}).get("addresses") or ())) for name, item in items.items()}


ROLES = {"0": "voter", "1": "standby", "2": "spare"}


def dqlite_members(facts: HostFacts) -> Mapping[str, str]:
    """Address -> role of every member, as MicroK8s tells it; of one that does not answer, as its own file does."""
    told: Mapping[str, str] = (facts.values.get("status") or {}).get("members") or {}
    if told:
        return told
    file = facts.files.get(layout.CLUSTER_YAML)
    try:
        rows = yaml.safe_load(file.content or "") if file else None
    except yaml.YAMLError:
        rows = None
    return {
        _address(str(row.get("Address"))): ROLES.get(str(row.get("Role")), "spare")
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }


def is_alone(facts: HostFacts) -> bool:
    """Whether the host's dqlite has no member but itself, as after an install."""
    return set(dqlite_members(facts)) <= {ALONE}


def enabled_addons(facts: HostFacts) -> Mapping[str, bool]:
    """REPOSITORY/NAME -> whether it is enabled; empty when MicroK8s does not answer."""
    found: Mapping[str, bool] = (facts.values.get("status") or {}).get("addons") or {}
    return found
