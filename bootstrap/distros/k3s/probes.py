"""What k3s adds to the shared probes, and how its answers read. Pure."""

from bootstrap.distros.k3s.layout import (
    BINARY,
    CONFIG,
    INSTALLER,
    JOIN,
    KUBECONFIG,
    REGISTRATION,
    REGISTRIES,
    SCRIPT,
    data_folder,
    image_path,
)
from bootstrap.facts import parse_items, shared_probes
from bootstrap.model import Host, HostFacts, Probe, Secret
from bootstrap.shell import quote

SERVICES = ("k3s", "k3s-agent")


def make_probes(host: Host, paths: tuple[str, ...]) -> tuple[Probe, ...]:
    """All looks at one host: shared ones first, then k3s'; `paths` are the rendered files."""
    data = data_folder(host)
    files = tuple(dict.fromkeys((CONFIG, JOIN, REGISTRIES, REGISTRATION, SCRIPT, *paths)))
    binaries = (BINARY, INSTALLER, *(image_path(host, arch) for arch in ("amd64", "arm64", "arm")))
    probes = shared_probes(files, binaries, SERVICES)
    probes += (
        Probe("datastore", datastore_script(data), parse_datastore),
        Probe("traces", traces_script(data), parse_traces),
    )
    if not host.role.controls:
        return probes
    return (
        *probes,
        Probe("token", read_script(f"{data}/server/token"), parse_token),
        Probe("kubeconfig", read_script(KUBECONFIG), lambda text: Secret(text) if text.strip() else None),
        Probe("nodes", NODES_SCRIPT, parse_items),
    )


def read_script(path: str) -> str:
    return f"[ ! -r {quote(path)} ] || cat {quote(path)}"


def datastore_script(data: str) -> str:
    folder = quote(f"{data}/server/db")
    return f"""
if [ -e {folder}/etcd/tombstone ]; then echo removed
elif [ -d {folder}/etcd/member ] || [ -e {folder}/etcd/config ] || [ -d {folder}/etcd ]; then echo etcd
elif [ -e {folder}/state.db ]; then echo sqlite
elif [ -d {quote(data)}/server/tls ]; then echo external
fi"""


def parse_datastore(text: str) -> str:
    """`etcd`, `sqlite`, `external` (a server without a datastore of its own), `removed` (left etcd), or nothing."""
    return text.strip()


def traces_script(data: str) -> str:
    traces = f"{quote(data)}/agent/client-kubelet.crt {quote(data)}/agent/server-ca.crt /etc/rancher/node/password"
    return f'for trace in {traces}; do [ -e "$trace" ] && echo "$trace"; done; true'


def parse_traces(text: str) -> tuple[str, ...]:
    """Files of an earlier membership that are still there."""
    return tuple(text.split())


def parse_token(text: str) -> Secret | None:
    """The short secret inside server/token, which k3s keeps as K10<hash>::server:<secret>."""
    token = text.strip()
    return Secret(token.rsplit(":", 1)[-1]) if token else None


# `get --raw` asks the API and writes no discovery cache on the host. More than once, for a lost etcd leader costs seconds.
NODES_SCRIPT = f"""
[ -x {BINARY} ] && [ -s {KUBECONFIG} ] || exit 0
pidof k3s k3s-server >/dev/null 2>&1 || [ -e /run/k3s/containerd/containerd.sock ] || exit 0
for try in 1 2 3; do
  timeout 10 {BINARY} kubectl get --raw /api/v1/nodes --request-timeout=8s && break
  sleep 2
done
"""


def has_datastore(facts: HostFacts) -> bool:
    return facts.values.get("datastore") in ("etcd", "sqlite", "external")
