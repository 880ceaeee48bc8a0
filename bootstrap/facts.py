"""Probes that every distribution shares: a piece of sh each, and the pure function that reads its output."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bootstrap.model import FileFacts, HostFacts, Interface, Lease, Probe, Record, UnitFacts
from bootstrap.shell import join, quote

STATE_FOLDER = "/var/lib/bootstrap"
RECORD_PATH = f"{STATE_FOLDER}/record.json"
RUN_FOLDER = "/run/bootstrap"  # gone after a reboot, as running operations and leases are
LEASE_PATH = f"{RUN_FOLDER}/lease"
ARCHES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "armhf": "arm",
}
# Traces that tell of a distribution, the most telling first.
DISTRIBUTION_TRACES: Mapping[str, tuple[str, ...]] = {
    "k3s": ("/var/lib/rancher/k3s", "/etc/rancher/k3s", "/usr/local/bin/k3s", "/etc/systemd/system/k3s.service"),
    "rke2": ("/var/lib/rancher/rke2", "/etc/rancher/rke2"),
    "k0s": ("/var/lib/k0s", "/etc/k0s", "/usr/local/bin/k0s"),
    "microk8s": ("/var/snap/microk8s", "/snap/microk8s"),
    "kubeadm": (
        "/etc/kubernetes/kubelet.conf",
        "/etc/kubernetes/manifests/kube-apiserver.yaml",
        "/var/lib/etcd/member",
    ),
}
SPACE_FOLDERS = ("/", "/var/lib", "/usr/local", "/etc")

SYSTEM_SCRIPT = f"""
. /etc/os-release 2>/dev/null || true
echo "os=${{ID:-unknown}} ${{VERSION_ID:-}}"
echo "machine=$(uname -m)"
echo "hostname=$(cat /proc/sys/kernel/hostname)"
echo "machine_id=$(cat /etc/machine-id 2>/dev/null)"
echo "boot_id=$(cat /proc/sys/kernel/random/boot_id)"
echo "uptime=$(cut -d' ' -f1 /proc/uptime)"
echo "clock=$(date +%s)"
if [ -x /sbin/openrc-run ]; then echo init=openrc; elif [ -d /run/systemd/system ]; then echo init=systemd; else echo init=other; fi
case $(stat -fc %T /sys/fs/cgroup 2>/dev/null) in cgroup2fs) echo cgroup=2;; *) echo cgroup=1;; esac
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null ||
  awk '$1 == "memory" && $4 == 1 {{ found = 1 }} END {{ exit !found }}' /proc/cgroups 2>/dev/null; then echo memory_cgroup=1; fi
awk '$1 == "MemTotal:" {{ print "memory_kb=" $2 }} $1 == "SwapTotal:" {{ print "swap_kb=" $2 }}' /proc/meminfo
for folder in {" ".join(SPACE_FOLDERS)}; do
  [ -d "$folder" ] && echo "free=$folder $(df -Pk "$folder" | awk 'NR == 2 {{ print $4 }}')"
done
awk '$2 == "00000000" && $8 == "00000000" {{ print "default_interface=" $1; exit }}' /proc/net/route
awk '$1 == "00000000000000000000000000000000" && $2 == "00" && $10 != "lo" {{ print "default_interface6=" $10; exit }}' /proc/net/ipv6_route 2>/dev/null
ip -o addr show scope global 2>/dev/null | awk '{{ split($4, part, "/"); print "address=" $2 " " part[1] }}'
awk '$4 == "0A" {{ split($2, part, ":"); print "listen=" part[2] }}' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u
for operation in {RUN_FOLDER}/operations/*/; do
  [ -e "$operation/title" ] && [ ! -e "$operation/exit-code" ] && echo "operation=$(cat "$operation/title")"
done
[ -r {LEASE_PATH} ] && echo "lease=$(cat {LEASE_PATH})"
"""


def _pairs(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values.setdefault(key, []).append(value)
    return values


def parse_system(text: str) -> dict[str, Any]:
    """The answers of SYSTEM_SCRIPT as fields of HostFacts; `clock` and `uptime` stay seconds of the host."""
    pairs = _pairs(text)

    def first(key: str, default: str = "") -> str:
        return pairs.get(key, [default])[0]

    machine = first("machine")
    return {
        "os": first("os").strip(),
        "arch": ARCHES.get(machine, machine),
        "hostname": first("hostname"),
        "machine_id": first("machine_id"),
        "boot_id": first("boot_id"),
        "init": first("init"),
        "cgroup": int(first("cgroup", "2")),
        "memory_cgroup": bool(pairs.get("memory_cgroup")),
        "memory_kb": int(first("memory_kb", "0")),
        "swap_kb": int(first("swap_kb", "0")),
        "free_kb": {
            folder: int(free)
            for folder, free in (line.split(" ", 1) for line in pairs.get("free", []) if line[-1:].isdigit())
        },
        "clock_offset": float(first("clock", "0")),
        "default_interface": first("default_interface") or first("default_interface6"),
        "interfaces": _interfaces(pairs.get("address", [])),
        "listening": frozenset(int(port, 16) for port in pairs.get("listen", [])),
        "running_operations": tuple(pairs.get("operation", [])),
        "lease": parse_lease(first("lease"), float(first("uptime", "0") or 0)),
    }


def _interfaces(lines: Iterable[str]) -> tuple[Interface, ...]:
    addresses: dict[str, list[str]] = {}
    for line in lines:
        name, _, address = line.partition(" ")
        addresses.setdefault(name.split("@")[0], []).append(address)
    return tuple(Interface(name, tuple(found)) for name, found in addresses.items())


def parse_lease(text: str, uptime: float) -> Lease | None:
    """A lease file; its age is the host's uptime now minus the uptime at refresh, so no wall clock enters."""
    try:
        fields = json.loads(text)
        age = uptime - float(fields["uptime"])
        return Lease(fields["run"], fields["owner"], fields["operation"], age, fields["boot_id"])
    except (ValueError, KeyError, TypeError):
        return None


SYSTEM_PROBE = Probe("system", SYSTEM_SCRIPT, parse_system)


def probe_distributions() -> Probe:
    """Names of the distributions that have traces on the host; an empty folder is none."""
    lines = [
        f'for trace in {join(traces)}; do [ -e "$trace" ] && [ -n "$(ls -A "$trace" 2>/dev/null)" ] && echo {name} && break; done'
        for name, traces in DISTRIBUTION_TRACES.items()
    ]
    return Probe("distributions", "\n".join(lines) + "\ntrue", lambda text: tuple(text.split()))


def probe_files(paths: Sequence[str], *, name: str = "files") -> Probe:
    """Digest, mode, owner, size and content of small files that may hold secrets: the answer stays in memory."""
    script = f"""
for path in {join(paths)}; do
  [ -f "$path" ] || continue
  echo "$(stat -c '%a %U:%G %s' "$path") $(sha256sum < "$path" | cut -d' ' -f1) $path"
  if [ "$(stat -c %s "$path")" -le 65536 ]; then base64 < "$path" | tr -d '\\n'; fi
  echo
done"""
    return Probe(name, script, parse_files)


def parse_files(text: str) -> dict[str, FileFacts]:
    """Two lines a file: `mode owner size sha256 path`, then the content in base64 or an empty line."""
    import base64

    lines = text.splitlines()
    found: dict[str, FileFacts] = {}
    for head, body in zip(lines[::2], lines[1::2], strict=False):
        mode, owner, size, sha256, path = head.split(" ", 4)
        content = base64.b64decode(body).decode(errors="replace") if body or size == "0" else None
        found[path] = FileFacts(sha256, mode.zfill(4), owner, int(size), content)
    return found


def probe_binaries(paths: Sequence[str]) -> Probe:
    """Digest, mode, owner and size of big files, without content. openssl is four times faster than sha256sum where it is."""
    script = f"""
for path in {join(paths)}; do
  [ -f "$path" ] || continue
  if command -v openssl >/dev/null 2>&1; then sum=$(openssl dgst -sha256 -r < "$path" | cut -d' ' -f1)
  else sum=$(sha256sum < "$path" | cut -d' ' -f1); fi
  echo "$(stat -c '%a %U:%G %s' "$path") $sum $path"; echo
done"""
    return Probe("binaries", script, parse_files)


def probe_units(names: Sequence[str]) -> Probe:
    """States of services, by systemd or OpenRC."""
    properties = "Id,LoadState,ActiveState,SubState,UnitFileState,NRestarts"
    services = join([f"{name}.service" for name in names])
    script = f"""
if [ -d /run/systemd/system ]; then systemctl show --property={properties} {services}
elif command -v rc-service >/dev/null 2>&1; then
  for name in {join(names)}; do
    [ -e "/etc/init.d/$name" ] || continue
    state=inactive; rc-service "$name" status >/dev/null 2>&1 && state=active
    enabled=disabled; rc-update show default 2>/dev/null | grep -qw "$name" && enabled=enabled
    printf 'Id=%s.service\\nLoadState=loaded\\nActiveState=%s\\nSubState=running\\nUnitFileState=%s\\nNRestarts=0\\n\\n' "$name" "$state" "$enabled"
  done
fi"""
    return Probe("units", script, parse_units)


def parse_units(text: str) -> dict[str, UnitFacts]:
    """Blocks of `systemctl show`, by the unit's name without `.service`."""
    units = {}
    for block in text.split("\n\n"):
        pairs = {key: values[0] for key, values in _pairs(block).items()}
        if "Id" in pairs:
            units[pairs["Id"].removesuffix(".service")] = UnitFacts(
                load=pairs.get("LoadState", "not-found"),
                active=pairs.get("ActiveState", "inactive"),
                sub=pairs.get("SubState", "dead"),
                enabled=pairs.get("UnitFileState", ""),
                restarts=int(pairs.get("NRestarts") or 0),
            )
    return units


def probe_record() -> Probe:
    return Probe("record", f"cat {quote(RECORD_PATH)} 2>/dev/null || true", parse_record)


def parse_record(text: str) -> Record | None:
    """None when there is none; a broken record counts as none, for it proves nothing."""
    try:
        fields = json.loads(text)
        return Record(
            cluster=str(fields["cluster"]),
            run=str(fields.get("run", "")),
            applied={str(what): str(digest) for what, digest in fields.get("applied", {}).items()},
            labels=tuple(map(str, fields.get("labels", ()))),
            annotations=tuple(map(str, fields.get("annotations", ()))),
            taints=tuple(map(str, fields.get("taints", ()))),
            hooks={str(name): str(digest) for name, digest in fields.get("hooks", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def format_record(record: Record) -> str:
    """The record as it lies on the host: stable bytes for equal records."""
    fields = {
        "schema": "bootstrap/record/v1",
        "cluster": record.cluster,
        "applied": dict(sorted(record.applied.items())),
        "labels": sorted(record.labels),
        "annotations": sorted(record.annotations),
        "taints": sorted(record.taints),
        "hooks": dict(sorted(record.hooks.items())),
    }
    return json.dumps(fields, indent=2) + "\n"


def shared_probes(paths: Sequence[str], binaries: Sequence[str], units: Sequence[str]) -> tuple[Probe, ...]:
    """The probes of every host: system, other distributions, record, managed files, binaries, services."""
    return (
        SYSTEM_PROBE,
        probe_distributions(),
        probe_record(),
        probe_files(paths),
        probe_binaries(binaries),
        probe_units(units),
    )


def make_host_facts(host: str, answers: Mapping[str, Any], *, now: float | None = None) -> HostFacts:
    """HostFacts from the probes' parsed answers; `now` is the operator's clock (epoch seconds) at the probe."""
    system = dict(answers["system"])
    system["clock_offset"] = system["clock_offset"] - (time.time() if now is None else now)
    shared = {"system", "distributions", "record", "files", "binaries", "units"}
    return HostFacts(
        host=host,
        **system,
        distributions=answers["distributions"],
        record=answers["record"],
        files={**answers["files"], **answers["binaries"]},
        units=answers["units"],
        values={name: value for name, value in answers.items() if name not in shared},
    )


def bracket(address: str) -> str:
    """IPv6 addresses stand in brackets inside a URL."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
