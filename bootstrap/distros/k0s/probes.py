"""What k0s adds to the shared probes, and how its answers read. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from bootstrap.distros.k0s.layout import (
    BINARY,
    CONFIG,
    CONTROLLER,
    INSTALL_FLAGS,
    KUBECTL,
    TOKEN,
    WORKER,
    admin_kubeconfig,
    data_folder,
    environment_path,
    etcd_folder,
    images_folder,
    is_dynamic,
    kubelet_kubeconfig,
    pki_folder,
    runs_etcd,
    server_port,
)
from bootstrap.facts import STATE_FOLDER, parse_items, shared_probes
from bootstrap.model import Host, HostFacts, Inventory, Probe, Secret
from bootstrap.shell import join, quote

SERVICES = (CONTROLLER, WORKER)
UNITS = {
    f"{folder}/{name}{ending}": name
    for name in SERVICES
    for folder, ending in (("/etc/systemd/system", ".service"), ("/etc/init.d", ""))
}
# Each start of k0s costs a fifth of a second, so curl asks where it is; else k0s does.
CURL = "curl -sf --max-time 8"
SOCKET = "/run/k0s/status.sock"
# There while our own founding or join runs, and after one that failed: only such a host may be reset unasked.
UNFINISHED = f"{STATE_FOLDER}/unfinished"
# Traces by a word each, below the data folder.
TRACES = {
    "etcd": "etcd/member/snap/db",
    "sqlite": "db/state.db",
    "authority": "pki/ca.key",
    "kubelet": "kubelet.conf",
    "bootstrap": "kubelet-bootstrap.conf",
}
# Those that a membership leaves: certificates alone are also what a kept identity lays down.
JOINED = ("etcd", "sqlite", "kubelet", "bootstrap", "unfinished")
# The cluster-wide half of the configuration, where `dynamicConfig` puts it (docs.k0sproject.io/stable/dynamic-configuration).
CLUSTER_CONFIG = "/apis/k0s.k0sproject.io/v1beta1/namespaces/kube-system/clusterconfigs/k0s"


def kubectl_on(host: Host) -> tuple[str, ...]:
    """kubectl that asks this very controller: its own admin.conf says localhost."""
    return (*KUBECTL, f"--kubeconfig={admin_kubeconfig(host)}")


def make_probes(inventory: Inventory, host: Host, paths: tuple[str, ...]) -> tuple[Probe, ...]:
    """All looks at one host: shared ones first, then k0s'; `paths` are the rendered files."""
    own = (CONFIG, TOKEN, INSTALL_FLAGS, environment_path(host), *UNITS)
    probes = (
        *shared_probes(tuple(dict.fromkeys((*own, *paths))), (BINARY,), SERVICES),
        Probe("traces", traces_script(host), lambda text: tuple(text.split())),
        Probe("ca", authority_script(host), lambda text: text.strip()),
        Probe("status", STATUS_SCRIPT, parse_status),
        Probe("rejected", sysinfo_script(host), parse_rejected),
        Probe("localhost", LOCALHOST_SCRIPT, lambda text: text.strip()),
        Probe("laid", laid_script(host), lambda text: tuple(line for line in text.splitlines() if line)),
    )
    if not host.role.controls:
        return probes
    return (
        *probes,
        Probe("kubeconfig", admin_script(host), lambda text: Secret(text) if text.strip() else None),
        Probe("nodes", ask_script(host, "/api/v1/nodes"), parse_items),
        *((Probe("members", members_script(host), parse_members),) if runs_etcd(inventory) else ()),
        *((Probe("cluster_config", ask_script(host, CLUSTER_CONFIG), parse_object),) if is_dynamic(inventory) else ()),
    )


def traces_script(host: Host) -> str:
    data = quote(data_folder(host))
    lines = [f"[ ! -e {data}/{path} ] || echo {word}" for word, path in TRACES.items()]
    return "\n".join([*lines, f"[ ! -e {UNFINISHED} ] || echo unfinished"])


def authority_script(host: Host) -> str:
    """The CA in force: a controller's own file, else the one in the kubelet's kubeconfig, which wins over any token."""
    pki, kubelet = quote(pki_folder(host)), quote(kubelet_kubeconfig(host))
    return f"""
if [ -s {pki}/ca.crt ] && [ -s {pki}/ca.key ]; then cat {pki}/ca.crt
elif [ -s {kubelet} ]; then sed -n 's/^ *certificate-authority-data: *//p' {kubelet} | head -n 1 | base64 -d
fi"""


# k0s has no deadline of its own, and asks a socket that a dying process leaves behind.
STATUS_SCRIPT = f"""
if pidof k0s >/dev/null 2>&1; then
  curl -sf --max-time 5 --unix-socket {SOCKET} http://localhost/status || timeout 5 {BINARY} status -o json
elif [ -x {BINARY} ]; then echo "binary $(timeout 5 {BINARY} version)"
fi"""


def parse_status(text: str) -> Mapping[str, Any]:
    """`k0s status -o json`; of a host where k0s does not run, only the `Version` of its binary. Empty without either."""
    if text.startswith("binary "):
        return {"Version": text.removeprefix("binary ").strip(), "Pid": 0}
    return parse_object(text) or {}


def parse_object(text: str) -> Mapping[str, Any] | None:
    """One JSON object; None when there was no answer."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def sysinfo_script(host: Host) -> str:
    """k0s' own pre-flight, on hosts that have the binary and no service yet."""
    data = quote(data_folder(host))
    controls, works = str(host.role.controls).lower(), str(host.role.takes_work).lower()
    return f"""
[ -x {BINARY} ] || exit 0
for unit in {join(list(UNITS))}; do [ ! -e "$unit" ] || exit 0; done
timeout 20 {BINARY} sysinfo -o json --controller={controls} --worker={works} --data-dir={data}"""


def parse_rejected(text: str) -> tuple[str, ...]:
    """What k0s would not start with, by the names that k0s shows (its paths are partly wrong)."""
    try:
        items = json.loads(text)
    except ValueError:
        return ()
    return tuple(
        ": ".join(str(item[key]) for key in ("displayName", "message", "error") if item.get(key))
        for item in items
        if isinstance(item, dict) and (item.get("category") == "rejected" or item.get("error"))
    )


# k0s is static and asks /etc/hosts, then DNS: what NSS alone knows is not found.
LOCALHOST_SCRIPT = """
if grep -qE '^[^#]*[[:space:]]localhost([[:space:]]|$)' /etc/hosts; then :
elif grep -q '^nameserver' /etc/resolv.conf; then echo asked
else echo unknown
fi"""


def laid_script(host: Host) -> str:
    """What lies in the folders that k0s watches, with its size; a big file is not hashed at each look."""
    return f'for file in {quote(images_folder(host))}/*; do [ ! -f "$file" ] || stat -c "%s %n" "$file"; done'


def admin_script(host: Host) -> str:
    return f"cat {quote(admin_kubeconfig(host))} 2>/dev/null || true"


def ask_script(host: Host, path: str) -> str:
    """`get --raw` asks the API and writes no discovery cache. Again when it fails at once, for a lost etcd leader costs seconds."""
    asked = join([*kubectl_on(host), "get", "--raw", path, "--request-timeout=8s"])
    pki = quote(pki_folder(host))
    quick = f"{CURL} --cacert {pki}/ca.crt --cert {pki}/admin.crt --key {pki}/admin.key"
    return f"""
ask() {{ {quick} https://localhost:{server_port(host)}{path} || timeout 10 {asked}; }}
[ -x {BINARY} ] && [ -s {quote(admin_kubeconfig(host))} ] && [ -S {SOCKET} ] && pidof k0s >/dev/null 2>&1 || exit 0
end=$(( $(cut -d. -f1 /proc/uptime) + 10 ))
until ask; do
  [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || break
  sleep 2
done
"""


def members_script(host: Host) -> str:
    """Asked of this controller's own etcd. Without a quorum k0s would wait for ever."""
    pki = quote(pki_folder(host))
    quick = f"{CURL} --cacert {pki}/etcd/ca.crt --cert {pki}/apiserver-etcd-client.crt --key {pki}/apiserver-etcd-client.key"
    return f"""
[ -x {BINARY} ] && [ -e {quote(etcd_folder(host))}/member ] && [ -S {SOCKET} ] && pidof k0s >/dev/null 2>&1 || exit 0
{quick} -d '{{"linearizable": true}}' https://localhost:2379/v3/cluster/member/list ||
  timeout 10 {BINARY} etcd member-list --data-dir={quote(data_folder(host))}
"""


def parse_members(text: str) -> Mapping[str, str] | None:
    """Address by etcd's own name for each member, from etcd itself or from k0s; None when neither answered.

    A member that never started has no name, and stands under its address.
    """
    members = (parse_object(text) or {}).get("members")
    if isinstance(members, dict):
        return {str(name): peer_address(str(url)) for name, url in members.items()}
    if not isinstance(members, list):
        return None
    pairs = ((each.get("name"), peer_address(str((each.get("peerURLs") or [""])[0]))) for each in members)
    return {str(name or address): address for name, address in pairs}


def peer_address(url: str) -> str:
    """`https://10.0.0.1:2380` and `https://[fd00::1]:2380` as the bare address."""
    return url.partition("://")[2].rpartition(":")[0].strip("[]")


def status(facts: HostFacts) -> Mapping[str, Any]:
    found: Mapping[str, Any] = facts.values.get("status") or {}
    return found


def version_there(facts: HostFacts) -> str:
    """The version that runs, else that of the binary; empty on a blank host."""
    return str(status(facts).get("Version") or "")
