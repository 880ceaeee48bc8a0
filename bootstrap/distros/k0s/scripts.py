"""What is run on hosts of a k0s cluster: install, join, and what undoes or changes them. Text only, pure.

k0s has no deadline in its commands: with etcd's quorum lost they wait for ever. Each call is bounded here.
"""

from collections.abc import Sequence

from bootstrap.distros.k0s.layout import (
    BINARY,
    TOKEN,
    data_folder,
    kind,
    kubelet_folder,
    service,
    unit_path,
)
from bootstrap.distros.k0s.probes import SERVICES, UNFINISHED, UNITS, kubectl_on
from bootstrap.facts import RECORD_PATH, STATE_FOLDER
from bootstrap.model import Host
from bootstrap.plan import KUBECTL_PRELUDE
from bootstrap.shell import join, quote

USED_TOKEN = "# a join token stood here; it was used, and is no longer valid\n"  # noqa: S105 - a comment
TOKEN_LIFE = "30m"  # noqa: S105 - a duration
# Processes of the control plane that a stop leaves when etcd is away (seen: up to minutes).
CHILDREN = "etcd|kine|kube-apiserver|kube-controller-manager|kube-scheduler|konnectivity-server|kubelet|containerd"
NO_SUCH_KIND = "doesn't have a resource type"


def validate(flags: Sequence[str]) -> str:
    """k0s reads standard input, so a file that it refuses never lies on the host; it lets pass what is no ClusterConfig."""
    gates = [flag for flag in flags if flag.startswith("--feature-gates=")]
    return f"timeout 60 {join([BINARY, 'config', 'validate', '--config=-', *gates])}\n"


def sysinfo(host: Host) -> str:
    """k0s' own pre-flight: it would refuse to start, and only its journal would tell."""
    controls, works = str(host.role.controls).lower(), str(host.role.takes_work).lower()
    asked = (
        f"timeout 60 {BINARY} sysinfo --controller={controls} --worker={works} --data-dir={quote(data_folder(host))}"
    )
    return f"""
said=$({asked} 2>&1) && exit 0
printf '%s\\n' "$said" | grep -E '\\(rejected|: error' >&2 || printf '%s\\n' "$said" | tail -n 5 >&2
exit 1
"""


def install(host: Host, flags: Sequence[str], *, begins: bool) -> str:
    """Make the service, or make it anew; `begins`: what follows is undone by the next run if it does not end well."""
    mark = f"mkdir -p -m 700 {STATE_FOLDER}\n: > {UNFINISHED}\n" if begins else ""
    words = join([BINARY, "install", kind(host)])
    return f"""set -eu
{mark}force=
for unit in {join(_units_of(host))}; do [ ! -e "$unit" ] || force=--force; done
timeout 120 {words} $force {join(flags)}
[ ! -d /run/systemd/system ] || systemctl daemon-reload
"""


def _units_of(host: Host) -> tuple[str, str]:
    return unit_path(host), unit_path(host, "openrc")


def start(host: Host, verb: str) -> str:
    """Start or restart without waiting. A unit that systemd has given up would refuse to start."""
    name = service(host)
    return f"""
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl reset-failed {name} 2>/dev/null || true
  systemctl {verb} --no-block {name}
else
  rc-service --quiet {name} {verb}
fi
"""


def stop(host: Host) -> str:
    """Stop whatever of k0s runs, and see its children end: without etcd a stop takes 40 s and leaves some of them."""
    return f"""
for name in {join(SERVICES)}; do
  if [ -d /run/systemd/system ]; then
    systemctl cat "$name" >/dev/null 2>&1 || continue
    timeout 120 systemctl stop "$name" || systemctl kill --signal=KILL "$name" || true
    systemctl reset-failed "$name" 2>/dev/null || true
  elif [ -e "/etc/init.d/$name" ]; then timeout 120 rc-service --quiet "$name" stop || true
  fi
done
{end_children(host)}"""


def end_children(host: Host) -> str:
    """Wait for k0s' own programs to end, then end them. Shims of containers are left: `k0s reset` ends those in order."""
    return f"""children() {{
  ls -l /proc/[0-9]*/exe 2>/dev/null | sed -nE 's#.*/proc/([0-9]+)/exe -> {data_folder(host)}/bin/({CHILDREN})( .deleted.)?$#\\1#p'
}}
tries=0
while [ -n "$(children)" ] && [ "$tries" -lt 50 ]; do
  case $tries in 10|20) kill -s TERM $(children) 2>/dev/null || true;; 40) kill -s KILL $(children) 2>/dev/null || true;; esac
  tries=$((tries + 1)); sleep 0.5
done
"""


def reset(host: Host) -> str:
    """Undo an installation on one host: stop, `k0s reset`, and what it leaves; our own files in /etc/k0s stay."""
    return f"""set -u
{stop(host)}
{reset_data(host)}
rm -f {TOKEN} {UNFINISHED} {RECORD_PATH}
"""


def reset_data(host: Host) -> str:
    """`k0s reset` refuses while k0s runs, and takes one service only; what it could not do is done by hand."""
    data, kubelet = quote(data_folder(host)), quote(kubelet_folder(host))
    return f"""if [ -x {BINARY} ]; then
  timeout 180 {BINARY} reset --data-dir={data} --kubelet-root-dir={kubelet} || true
fi
ls -l /proc/[0-9]*/exe 2>/dev/null | sed -nE 's#.*/proc/([0-9]+)/exe -> {data_folder(host)}/bin/.*#\\1#p' | xargs -r kill -s KILL 2>/dev/null || true
awk '{{ print $2 }}' /proc/mounts | sort -r | while read -r place; do
  case $place in {data}/*|{kubelet}/*|/run/k0s/*|/run/netns/cni-*) umount -l "$place" 2>/dev/null || true;; esac
done
for path in {data} {kubelet} /run/k0s; do
  if mountpoint -q "$path" 2>/dev/null; then find "$path" -mindepth 1 -delete 2>/dev/null || true; else rm -rf "$path"; fi
done
if [ -d /run/systemd/system ]; then
  systemctl disable --quiet {join(SERVICES)} 2>/dev/null || true
  rm -f {join([path for path in UNITS if path.endswith(".service")])}
  systemctl daemon-reload
  systemctl reset-failed {join(SERVICES)} 2>/dev/null || true
else
  for name in {join(SERVICES)}; do rc-update --quiet delete "$name" 2>/dev/null || true; rm -f "/etc/init.d/$name"; done
fi
"""


def end_join() -> str:
    """The token goes, and the host is a member for good. The file stays, for the unit goes on naming it."""
    return f"""set -eu
umask 077
[ ! -e {TOKEN} ] || printf '%s' {quote(USED_TOKEN)} > {TOKEN}
rm -f {UNFINISHED}
"""


# --- asked of a live controller ------------------------------------------------------------------


def mint(asked: Host, role: str) -> str:
    """A join token and its identity, a line each. A controller that has just started may refuse at first."""
    words = join(
        [BINARY, "token", "create", f"--role={role}", f"--expiry={TOKEN_LIFE}", f"--data-dir={data_folder(asked)}"]
    )
    return f"""set -eu
tries=0
until token=$(timeout 30 {words} 2>/run/bootstrap/mint-error); do
  tries=$((tries + 1)); [ "$tries" -lt 6 ] || {{ cat /run/bootstrap/mint-error >&2; exit 1; }}
  sleep 2
done
rm -f /run/bootstrap/mint-error
printf '%s\\n' "$token"
printf '%s' "$token" | base64 -d | gzip -dc | sed -n 's/^ *token: *\\([a-z0-9]*\\)\\..*/\\1/p' | head -n 1
"""


def invalidate(asked: Host, identity: str) -> str:
    return (
        f"timeout 30 {join([BINARY, 'token', 'invalidate', identity, f'--data-dir={data_folder(asked)}'])} >/dev/null\n"
    )


def leave_etcd(asked: Host, address: str) -> str:
    """`spec.leave` of an EtcdMember waits for a member that lives; this works for dead ones too (seen with 1.36)."""
    words = join([BINARY, "etcd", "leave", f"--peer-address={address}", f"--data-dir={data_folder(asked)}"])
    return f"""set -u
said=$(timeout 60 {words} 2>&1) && exit 0
case $said in *'peer not found'*) exit 0;; esac
printf '%s\\n' "$said" >&2
exit 1
"""


def forget_node(asked: Host, names: Sequence[str]) -> str:
    """Take the objects of a host away: its Node, and those by which controllers know of each other."""
    words = join(kubectl_on(asked))
    deletions = "".join(
        f"""said=$(timeout 120 {words} delete {kind} {join(names)} --ignore-not-found --timeout=90s 2>&1) || case $said in
  *{quote(NO_SUCH_KIND)}*) ;; *) printf '%s\\n' "$said" >&2; exit 1;;
esac
"""
        for kind in ("node", "controlnodes.autopilot.k0sproject.io", "etcdmembers.etcd.k0sproject.io")
    )
    return KUBECTL_PRELUDE + deletions


def apply_config(asked: Host) -> str:
    """Put the cluster-wide configuration in force through the API, from standard input."""
    words = join(
        [*kubectl_on(asked), "apply", "--server-side", "--force-conflicts", "--field-manager=bootstrap", "-f", "-"]
    )
    return f"{KUBECTL_PRELUDE}timeout 90 {words}\n"
