"""Probes that every distribution shares: a piece of sh each, and the pure function that reads its output."""

# annotations stay text: the values they name are imported only by who makes them
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap import model
from bootstrap.shell import join

if TYPE_CHECKING:
    from bootstrap.model import Facts, FileFacts, HostFacts, Interface, Lease, Probe, Record, UnitFacts

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
SMALL = 65536  # bytes; a file up to this size comes with its content
SUM_LINE = re.compile(
    r"^(\\?)([0-9a-f]{64}) [ *](/.*)$", re.MULTILINE
)  # a backslash first: those in the name are doubled

# One awk reads all that the kernel tells, for on a small host each program that starts costs milliseconds.
SYSTEM_SCRIPT = f"""
. /etc/os-release 2>/dev/null || true
echo "os=${{ID:-unknown}} ${{VERSION_ID:-}}"
if [ -x /sbin/openrc-run ]; then echo init=openrc; elif [ -d /run/systemd/system ]; then echo init=systemd; else echo init=other; fi
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo cgroup=2; else echo cgroup=1; fi
printf machine=; uname -m
date +clock=%s
for operation in {RUN_FOLDER}/operations/*/; do
  [ -e "$operation/title" ] && [ ! -e "$operation/exit-code" ] && echo "operation=$(cat "$operation/title")"
done
[ -r {LEASE_PATH} ] && echo "lease=$(cat {LEASE_PATH})"
set --
for folder in {" ".join(SPACE_FOLDERS)}; do [ -d "$folder" ] && set -- "$@" "$folder"; done
folders=$*
{{ df -Pk "$@"; ip -o addr show scope global; }} 2>/dev/null | {{
set --
for file in /proc/sys/kernel/hostname /etc/machine-id /proc/sys/kernel/random/boot_id /proc/uptime /proc/meminfo \\
  /sys/fs/cgroup/cgroup.controllers /proc/cgroups /proc/net/route /proc/net/ipv6_route /proc/net/tcp /proc/net/tcp6; do
  [ -r "$file" ] && set -- "$@" "$file"
done
awk -v folders="$folders" '
FILENAME !~ "^/" && $4 ~ "^[0-9]+$" {{ free[++disks] = $4 }}
FILENAME !~ "^/" && $1 ~ "^[0-9]+:$" {{ split($4, part, "/"); print "address=" $2 " " part[1] }}
FILENAME ~ "/hostname$" {{ print "hostname=" $0 }}
FILENAME ~ "/machine-id$" {{ print "machine_id=" $0 }}
FILENAME ~ "/boot_id$" {{ print "boot_id=" $0 }}
FILENAME ~ "/uptime$" {{ print "uptime=" $1 }}
FILENAME ~ "/meminfo$" && $1 == "MemTotal:" {{ print "memory_kb=" $2 }}
FILENAME ~ "/meminfo$" && $1 == "SwapTotal:" {{ print "swap_kb=" $2 }}
FILENAME ~ "/cgroup.controllers$" && " " $0 " " ~ " memory " {{ print "memory_cgroup=1" }}
FILENAME ~ "/cgroups$" && $1 == "memory" && $4 == 1 {{ print "memory_cgroup=1" }}
FILENAME ~ "/route$" && $2 == "00000000" && $8 == "00000000" {{ print "default_interface=" $1 }}
FILENAME ~ "/ipv6_route$" && $1 == "00000000000000000000000000000000" && $2 == "00" && $10 != "lo" {{ print "default_interface6=" $10 }}
FILENAME ~ "/tcp6?$" && $4 == "0A" {{ split($2, part, ":"); if (!seen[part[2]]++) print "listen=" part[2] }}
END {{ if (split(folders, folder, " ") == disks) for (i = 1; i <= disks; i++) print "free=" folder[i] " " free[i] }}
' - "$@"
}}
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
    return tuple(model.Interface(name, tuple(found)) for name, found in addresses.items())


def parse_lease(text: str, uptime: float) -> Lease | None:
    """A lease file; its age is the host's uptime now minus the uptime at refresh, so no wall clock enters."""
    import json

    try:
        fields = json.loads(text)
        age = uptime - float(fields["uptime"])
        return model.Lease(fields["run"], fields["owner"], fields["operation"], age, fields["boot_id"])
    except (ValueError, KeyError, TypeError):
        return None


def probe_distributions() -> Probe:
    """Names of the distributions that have traces on the host; an empty folder is none."""
    holds = """holds() {
  [ -e "$1" ] || return 1
  [ -d "$1" ] || return 0
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do if [ -e "$entry" ] || [ -L "$entry" ]; then return 0; fi; done
  return 1
}"""
    lines = [
        f'for trace in {join(traces)}; do if holds "$trace"; then echo {name}; break; fi; done'
        for name, traces in DISTRIBUTION_TRACES.items()
    ]
    return model.Probe("distributions", "\n".join([holds, *lines]), lambda text: tuple(text.split()))


def _stat_script(paths: Sequence[str]) -> str:
    """A line `file MODE SIZE OWNER PATH` for each that is there; these are the arguments from then on."""
    return f"""set --
for path in {join(paths)}; do [ -f "$path" ] && set -- "$@" "$path"; done
[ $# -gt 0 ] || exit 0
stat -c 'file %a %s %U:%G %n' "$@\""""


def probe_files(paths: Sequence[str], *, name: str = "files") -> Probe:
    """Digest, mode, owner, size and content of small files that may hold secrets: the answer stays in memory.

    What comes whole is hashed here, and the rest there. A link has a size of its own, which is not its file's.
    """
    script = f"""{_stat_script(paths)} | {{
set --
while read -r word mode size rest; do
  printf '%s\\n' "$word $mode $size $rest"
  path="/${{rest#* /}}"
  if [ "$size" -gt {SMALL} ] || [ -L "$path" ]; then sha256sum "$path"; fi
  [ "$size" -gt {SMALL} ] || set -- "$@" "$path"
done
echo content
[ $# -eq 0 ] || head -v -c {SMALL + 1} "$@" | base64
}}"""
    return model.Probe(name, script, parse_files)


def probe_binaries(paths: Sequence[str]) -> Probe:
    """Digest, mode, owner and size of big files, without content. openssl is four times faster than sha256sum where it is."""
    script = f"""{_stat_script(paths)}
openssl dgst -sha256 -r "$@" || sha256sum "$@\""""
    return model.Probe("binaries", script, parse_files)


def parse_files(text: str) -> dict[str, FileFacts]:
    """Lines `file MODE SIZE OWNER PATH` and `SHA256  PATH` in any order, then `content` and what head says, in base64."""
    import base64

    head, _, body = f"{text}\n".partition("\ncontent\n")
    stats = _read_stats(head)
    sums = {path.replace(mark * 2, mark) if mark else path: sha256 for mark, sha256, path in SUM_LINE.findall(head)}
    contents = _cut(base64.b64decode(body), {path: size for path, (_, size, _) in stats.items()})
    found = {path: _describe(stat, sums.get(path), contents.get(path)) for path, stat in stats.items()}
    return {path: facts for path, facts in found.items() if facts}


def _read_stats(text: str) -> dict[str, tuple[str, int, str]]:
    """Mode, size and owner by path. The owner's names may have blanks in them."""
    found = {}
    for line in text.split("\n"):
        about, separator, path = line.partition(" /")
        if separator and about.startswith("file "):
            _, mode, size, owner = about.split(" ", 3)
            found[f"/{path}"] = (mode.zfill(4), int(size), owner)
    return found


def _describe(stat: tuple[str, int, str], sha256: str | None, content: bytes | None) -> FileFacts | None:
    """None for a file that went, or grew too big, while it was looked at."""
    import hashlib

    mode, size, owner = stat
    whole = content if content is not None and len(content) <= SMALL else None
    text = None if whole is None else whole.decode(errors="replace")
    if sha256:
        return model.FileFacts(sha256, mode, owner, size, text)
    return None if whole is None else model.FileFacts(hashlib.sha256(whole).hexdigest(), mode, owner, len(whole), text)


def _cut(stream: bytes, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Contents by path, from what head says of many files. A file that changed since its size was taken ends at the next heading."""
    stream = b"\n" + stream
    left = {path: f"\n==> {path} <==\n".encode() for path in sizes}
    contents: dict[str, bytes] = {}
    place = 0
    for path, size in sizes.items():
        heading = left.pop(path)
        if not stream.startswith(heading, place):
            continue
        place += len(heading)
        end = place + size
        if end != len(stream) and not stream.startswith(tuple(left.values()), end):
            end = min((at for each in left.values() if (at := stream.find(each, place)) >= 0), default=len(stream))
        contents[path] = stream[place:end]
        place = end
    return contents


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
    enabled=disabled; [ -e "/etc/runlevels/default/$name" ] && enabled=enabled
    printf 'Id=%s.service\\nLoadState=loaded\\nActiveState=%s\\nSubState=running\\nUnitFileState=%s\\nNRestarts=0\\n\\n' "$name" "$state" "$enabled"
  done
fi"""
    return model.Probe("units", script, parse_units)


def parse_units(text: str) -> dict[str, UnitFacts]:
    """Blocks of `systemctl show`, by the unit's name without `.service`."""
    units = {}
    for block in text.split("\n\n"):
        pairs = {key: values[0] for key, values in _pairs(block).items()}
        if "Id" in pairs:
            units[pairs["Id"].removesuffix(".service")] = model.UnitFacts(
                load=pairs.get("LoadState", "not-found"),
                active=pairs.get("ActiveState", "inactive"),
                sub=pairs.get("SubState", "dead"),
                enabled=pairs.get("UnitFileState", ""),
                restarts=int(pairs.get("NRestarts") or 0),
            )
    return units


def probe_record() -> Probe:
    return model.Probe("record", f"[ ! -r {RECORD_PATH} ] || cat {RECORD_PATH}", parse_record)


def parse_record(text: str) -> Record | None:
    """None when there is none; a broken record counts as none, for it proves nothing."""
    import json

    try:
        fields = json.loads(text)
        return model.Record(
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
    import json

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
        model.Probe("system", SYSTEM_SCRIPT, parse_system),
        probe_distributions(),
        probe_record(),
        probe_files(paths),
        probe_binaries(binaries),
        probe_units(units),
    )


def make_host_facts(host: str, answers: Mapping[str, Any], *, asked: tuple[float, float]) -> HostFacts:
    """HostFacts from the probes' parsed answers; `asked` is the operator's clock (epoch seconds) before and after."""
    system = dict(answers["system"])
    system["clock_offset"] = measure_offset(system["clock_offset"], *asked)
    shared = {"system", "distributions", "record", "files", "binaries", "units"}
    return model.HostFacts(
        host=host,
        **system,
        distributions=answers["distributions"],
        record=answers["record"],
        files={**answers["files"], **answers["binaries"]},
        units=answers["units"],
        values={name: value for name, value in answers.items() if name not in shared},
    )


def measure_offset(clock: float, before: float, after: float) -> float:
    """How far a host's clock is surely off, in seconds, when it said `clock` (whole seconds) at some time between the two.

    A busy host may take half a minute to answer: that is no fault of its clock.
    """
    if clock + 1 < before:
        return clock + 1 - before
    return max(clock - after, 0.0)


def parse_items(text: str) -> Mapping[str, Any] | None:
    """Objects by name from a list of the API, such as Nodes; None when the API did not answer on this host."""
    import json

    try:
        items = json.loads(text)["items"] or []
    except (ValueError, KeyError, TypeError):
        return None
    return {item["metadata"]["name"]: item for item in items}


def has_trace(facts: HostFacts, word: str) -> bool:
    """Whether the distribution's own look found this trace of it."""
    return word in (facts.values.get("traces") or ())


def answers_api(facts: HostFacts) -> bool:
    """Whether the API of this controller answered the look."""
    return facts.values.get("nodes") is not None


def live_nodes(facts: Facts) -> Mapping[str, Any] | None:
    """Node objects as the first controller that answers gives them; None when none does."""
    return next((host.values["nodes"] for host in facts.values() if answers_api(host)), None)


def find_kubeconfig(facts: Facts) -> str | None:
    """The admin kubeconfig of a controller that has one, one that answers first."""
    ranked = sorted(facts.values(), key=lambda host: not answers_api(host))
    found = (host.values.get("kubeconfig") for host in ranked)
    return next((secret.reveal() for secret in found if secret), None)


def bracket(address: str) -> str:
    """IPv6 addresses stand in brackets inside a URL."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
