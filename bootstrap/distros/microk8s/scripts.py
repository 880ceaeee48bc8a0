"""What is run on hosts of a MicroK8s cluster: install, join, and what undoes or changes them. Text only, pure.

Each call has an end in time and a closed standard input, for some of them ask there; and each is followed by a look,
for their exit codes prove little.
"""

from collections.abc import Iterable, Mapping, Sequence

from bootstrap.distros.microk8s.layout import (
    AGENT_PORT,
    ARGS,
    COMMON,
    DOWNLOADS,
    DQLITE_PORT,
    HA_LOCK,
    JOIN_LEFTOVER,
    LAUNCH_CONFIG,
    LAUNCHER,
    LOCKS,
    MICROK8S,
    PKI,
    READERS,
    SNAP,
    SNAP_FILES,
)
from bootstrap.distros.microk8s.probes import AUTHORITY, NOTES, TEMPLATE
from bootstrap.plan import KUBECTL_PRELUDE
from bootstrap.shell import join, quote

TOKEN_LIFE = 3600  # seconds; a token with a life is not used up by a join that is refused
RETRY = 10  # snap's exit code when another change is in progress
HANDED_OVER = f"{LAUNCHER}/bootstrap.yaml.applied"


def _snap(words: Sequence[str], seconds: int) -> str:
    """One call of snap, again for two minutes while another change is in progress; its words are told when it fails."""
    return f"""
tries=0
while :; do
  code=0; said=$(timeout {seconds} {join([SNAP, *words])} </dev/null 2>&1) || code=$?
  [ $code = {RETRY} ] && [ $tries -lt 12 ] || break
  tries=$((tries + 1)); sleep 10
done
[ $code = 0 ] || {{ printf '%s\\n' "$said" >&2; exit 1; }}
"""


# --- the snap ------------------------------------------------------------------------------------


def install(channel: str, revision: str, *, is_strict: bool) -> str:
    """From the store. What is installed already keeps its channel, and snap says that all is well."""
    pin = [f"--revision={revision}"] if revision else []
    words = ["install", "microk8s", *([] if is_strict else ["--classic"]), f"--channel={channel}", *pin]
    return f"set -eu\n{_snap(words, 1500)}{_see_program()}{hold()}"


def install_files(*, is_strict: bool) -> str:
    """From files, with their assertions; also how one that is installed comes to another file."""
    core, own = SNAP_FILES["core22"], SNAP_FILES["microk8s"]
    acks = "".join(_snap(["ack", SNAP_FILES[f"{name}-assert"]], 120) for name in ("core22", "microk8s"))
    base = f"if ! timeout 20 {SNAP} list core22 >/dev/null 2>&1; then{_snap(['install', core], 600)}fi\n"
    words = ["install", own, *([] if is_strict else ["--classic"])]
    forget = f"rm -f {join(list(SNAP_FILES.values()))}\nrmdir {DOWNLOADS} 2>/dev/null || true\n"
    return f"set -eu\n{acks}{base}{_snap(words, 1500)}{_see_program()}{hold()}{forget}"


def _see_program() -> str:
    return f"""[ -x {MICROK8S} ] || {{ echo "{MICROK8S} is not there, though snap said: $said" >&2; exit 1; }}
"""


def hold() -> str:
    """No refresh by itself; one that is asked for still comes. The hold is looked for, not believed."""
    return f"""timeout 60 {SNAP} refresh --hold microk8s </dev/null >/dev/null
timeout 20 {SNAP} list microk8s | grep -qw held || {{ echo "snap does not show refreshes of microk8s as held" >&2; exit 1; }}
"""


def refresh(channel: str, revision: str) -> str:
    """To another channel or revision. `has no updates` is a success too, if the channel is the wanted one then."""
    pin = [f"--revision={revision}"] if revision else []
    tracking = f"$(timeout 20 {SNAP} list microk8s | awk '$1 == \"microk8s\" {{ print $4 }}')"
    return f"""set -eu
{_snap(["refresh", "microk8s", f"--channel={channel}", *pin], 1500)}
found={tracking}
[ "$found" = {quote(channel)} ] || {{ echo "microk8s follows $found; snap said: $said" >&2; exit 1; }}
{hold()}"""


def update_core_addons() -> str:
    """A refresh of the snap leaves the add-ons' repository as it was."""
    return f"timeout 120 {MICROK8S} addons repo update core </dev/null\n"


def purge() -> str:
    """Remove the snap with its data. Without --purge snapd would archive all of it, and a disabled one can't be removed."""
    return f"""set -u
if timeout 20 {SNAP} list microk8s 2>/dev/null | grep -qw disabled; then timeout 120 {SNAP} enable microk8s </dev/null || true; fi
{_snap(["remove", "--purge", "microk8s"], 420)}
if timeout 20 {SNAP} list microk8s >/dev/null 2>&1; then echo "microk8s is still installed; snap said: $said" >&2; exit 1; fi
rm -rf /var/snap/microk8s /root/snap/microk8s
rmdir /root/snap 2>/dev/null || true
"""


def start() -> str:
    """Start all services and let them start again at boot. `microk8s start` does nothing on a worker, and says so in vain."""
    return f"set -eu\nrm -f {LOCKS}/stopped.lock\n{_snap(['start', '--enable', 'microk8s'], 240)}"


def restart(services: Iterable[str]) -> str:
    lines = [f"timeout 240 {SNAP} restart microk8s.daemon-{name} </dev/null >/dev/null" for name in services]
    return "set -eu\n" + "\n".join(lines) + "\n"


# --- arguments -----------------------------------------------------------------------------------

# Lines of a fragment into a file of arguments: `!NAME` goes, `~NAME` goes back to what the snap ships.
MERGE = r"""
function name_of(line) { sub(/^[!~]/, "", line); sub(/[= \t].*/, "", line); return line }
BEGIN {
  while ((getline line < shipped) > 0) if (line ~ /^-/ && !(name_of(line) in usual)) usual[name_of(line)] = line
  while ((getline line < fragment) > 0) {
    if (line == "" || line ~ /^#/) continue
    name = name_of(line)
    if (line ~ /^!/) gone[name] = 1
    else { if (line ~ /^~/) { if (name in usual) line = usual[name]; else { gone[name] = 1; continue } } wanted[name] = line; order[++count] = name }
  }
}
{
  name = name_of($0)
  if (name == "" || !(name in gone || name in wanted)) { print; next }
  if (name in wanted && !(name in done)) { print wanted[name]; done[name] = 1 }
}
END { for (i = 1; i <= count; i++) if (!(order[i] in done)) print wanted[order[i]] }
"""
SHIPPED = "/snap/microk8s/current/default-args"


def arguments_input(files: Mapping[str, Sequence[str]]) -> str:
    """Standard input of `put_arguments`: a heading for each file, then its lines."""
    return "".join(f"= {file}\n" + "".join(f"{line}\n" for line in lines) for file, lines in files.items())


def put_arguments(forced: Iterable[str] = ()) -> str:
    """Edit files of arguments by what comes on standard input, then restart the services that read a changed one, and `forced`."""
    services: dict[str, list[str]] = {}
    for file, service in READERS.items():
        services.setdefault(service, []).append(file)
    cases = "\n".join(f"    {'|'.join(files)}) service={service};;" for service, files in services.items())
    return f"""set -eu
umask 077
folder=/run/bootstrap/arguments; rm -rf $folder; mkdir -p $folder; trap 'rm -rf /run/bootstrap/arguments' EXIT
awk -v folder=$folder '/^= / {{ file = folder "/" $2; printf "" > file; next }} {{ print > file }}'
restart={quote(" ".join(forced))}
for wanted in $folder/*; do
  [ -e "$wanted" ] || continue
  name=${{wanted##*/}}; file={ARGS}/$name
  [ -e "$file" ] || {{ : > "$file"; chmod 660 "$file"; }}
  cp -p "$file" "$file.new"
  awk -v fragment="$wanted" -v shipped={SHIPPED}/"$name" '{MERGE}' "$file" > "$file.new"
  if [ "$(cat "$file.new")" = "$(cat "$file")" ]; then rm -f "$file.new"; continue; fi
  mv "$file.new" "$file"
  case $name in
{cases}
    *) service=kubelite;;
  esac
  case " $restart " in *" $service "*) ;; *) restart="$restart $service";; esac
done
for service in $restart; do timeout 240 {SNAP} restart microk8s.daemon-$service </dev/null >/dev/null; done
"""


# --- certificates --------------------------------------------------------------------------------


def add_names(names: Sequence[str]) -> str:
    """Names into the template of the API's certificate, and the certificate made anew: after a join nothing else does it.

    The snap numbers the host's own addresses from 3 on, so ours begin behind 100.
    """
    lines = "".join(f"add {'IP' if _is_address(name) else 'DNS'} {quote(name)}\n" for name in names)
    return f"""set -eu
template={TEMPLATE}
add() {{
  last=$(sed -n "s/^$1[.]\\([0-9]*\\) *=.*/\\1/p" $template | sort -n | tail -n 1)
  [ "${{last:-0}}" -ge 100 ] || last=100
  sed -i "s/^#MOREIPS/$1.$((last + 1)) = $2\\n#MOREIPS/" $template
  grep -qxF "$1.$((last + 1)) = $2" $template || {{ echo "$template has no place for names" >&2; exit 1; }}
}}
{lines}{renew("server.crt")}"""


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdecimal()


def renew(name: str) -> str:
    """One certificate anew, from the cluster's own authority; restarts kubelite."""
    return f"timeout 240 {MICROK8S} refresh-certs --cert {name} </dev/null\n"


def take_authority() -> str:
    """The kept authority in place of the one that the snap has made; every certificate follows from it."""
    return f"""set -eu
timeout 300 {MICROK8S} refresh-certs {PKI} </dev/null
[ "$(cat {PKI}/ca.crt)" = "$(cat {AUTHORITY})" ] || {{ echo "MicroK8s did not take the kept authority" >&2; exit 1; }}
"""


def disable_ha() -> str:
    """To etcd and flannel, on a node that is alone. It tells of success in any case: its lock decides."""
    return f"""set -eu
timeout 600 {MICROK8S} disable ha-cluster --force </dev/null
[ ! -e {HA_LOCK} ] || {{ echo "MicroK8s did not turn ha-cluster off" >&2; exit 1; }}
"""


def hand_over() -> str:
    """Give the launch configuration to the agent again, which looks for files every 5 s. `snap set` would show it to every user."""
    return f"""set -eu
umask 077
rm -f {HANDED_OVER}
cp {LAUNCH_CONFIG} {LAUNCHER}/bootstrap.new
mv {LAUNCHER}/bootstrap.new {HANDED_OVER.removesuffix(".applied")}
"""


# --- joining and leaving -------------------------------------------------------------------------


def mint(address: str) -> str:
    """Print a join token with its check. The address that hosts join by must be one that MicroK8s itself offers.

    A token of one's own comes on standard input; there is no other way to hand it over than an argument on this host.
    """
    return f"""set -eu
umask 077
token=; read -r token || true
said=$(timeout 60 {MICROK8S} add-node ${{token:+--token "$token"}} --token-ttl {TOKEN_LIFE} --format json </dev/null) ||
  {{ echo "MicroK8s gave no join token" >&2; exit 1; }}
case $said in *'"'{quote(address)}:{AGENT_PORT}/*) ;;
*) echo {quote(f"MicroK8s offers no way to join by {address}, which must be an IPv4 address of this host")} >&2; exit 1;;
esac
printf '%s\\n' "$said" | tr ',{{}}' '\\n\\n\\n' | sed -n 's/^ *"token": *"\\([^"]*\\)".*/\\1/p' | head -n 1
"""


def join_cluster(address: str, *, works_only: bool) -> str:
    """Join by the token on standard input. It stays out of every file and of what is printed.

    A refusal changes nothing but a mark that silences the watcher of certificates: that goes. After any other failure
    it stays, so that the next run sees a host that is half in.
    """
    role = " --worker" if works_only else ""
    return f"""set -u
read -r token
said=$(timeout 900 {MICROK8S} join {quote(f"{address}:{AGENT_PORT}")}/"$token"{role} </dev/null 2>&1); code=$?
refused=no
case $said in *'Connection failed.'*|*'Could not verify'*|*'Invalid connection'*|*ConnectionRefused*|*'Connection refused'*|*'No route to host'*) refused=yes;; esac
if [ $refused = yes ]; then rm -f {JOIN_LEFTOVER}; [ $code != 0 ] || code=1; fi
printf '%s\\n' "$said" | while IFS= read -r line; do
  case $line in *"${{token%%/*}}"*) ;; *) printf '%s\\n' "$line";; esac
done | tail -n 8 >&2
exit $code
"""


def forget(node: str, addresses: Sequence[str], kubectl: Sequence[str]) -> str:
    """Run on a live controller: dqlite and Kubernetes forget a node. It may exit with 1 though all went well: we look.

    By name while there is a Node, for its address is read from it; by address when only dqlite knows it.
    """
    gone = f"{join([*kubectl, 'get', 'node', node, '--ignore-not-found', '-o', 'name'])} </dev/null"
    lines = "".join(
        f"if lists {quote(address)}; then timeout 180 {MICROK8S} remove-node {quote(address)} --force </dev/null || true; fi\n"
        for address in addresses
    )
    checks = "".join(
        f'! lists {quote(address)} || {{ echo "dqlite still lists {address}" >&2; exit 1; }}\n' for address in addresses
    )
    return f"""{KUBECTL_PRELUDE}lists() {{ timeout 90 {MICROK8S} status --format yaml </dev/null | grep -qF "address: $1:{DQLITE_PORT}"; }}
[ -z "$({gone})" ] || timeout 240 {MICROK8S} remove-node {quote(node)} --force </dev/null || true
{lines}left=$({gone})
[ -z "$left" ] || {join([*kubectl, "delete", "node", node, "--ignore-not-found", "--timeout=90s"])} </dev/null
{checks}"""


def leave() -> str:
    """Leave in order: dqlite moves its votes first. Takes minutes; the controllers that stay are looked at afterwards."""
    return f"timeout 420 {MICROK8S} leave </dev/null || true\n"


# --- add-ons -------------------------------------------------------------------------------------


def note(kubectl: Sequence[str], data: str) -> str:
    """Write down in the cluster what add-ons were enabled with; `data` is the JSON of a merge patch."""
    words = join([*kubectl, "--namespace", "kube-system"])
    return f"""{KUBECTL_PRELUDE}{words} create configmap {NOTES} </dev/null >/dev/null 2>&1 || true
{words} patch configmap {NOTES} --type merge -p {quote(data)} </dev/null >/dev/null
"""


def enable(words: Sequence[str], full_name: str) -> str:
    """Enable one add-on. It may exit with 0 and have done nothing: its own list decides."""
    return f"""timeout 1800 {join(words)} </dev/null
{_see(full_name, "enabled")}"""


def disable(words: Sequence[str], full_name: str) -> str:
    return f"""timeout 1800 {join(words)} </dev/null
{_see(full_name, "disabled")}"""


def _see(full_name: str, wanted: str) -> str:
    return f"""tries=0
until [ "$(timeout 90 {MICROK8S} status --addon {quote(full_name)} </dev/null)" = {wanted} ]; do
  tries=$((tries + 1)); [ $tries -lt 20 ] || {{ echo "MicroK8s does not list {full_name} as {wanted}" >&2; exit 1; }}
  sleep 3
done
"""


def patch_pool(kubectl: Sequence[str], patch: str) -> str:
    """MetalLB's own pool with other ranges: Services keep the addresses that are in both."""
    words = [*kubectl, "--namespace", "metallb-system", "patch", "ipaddresspools.metallb.io", "default-addresspool"]
    return f"{KUBECTL_PRELUDE}{join([*words, '--type', 'merge', '-p', patch])} </dev/null\n"


def add_repository(words: Sequence[str], name: str) -> str:
    """An add-on repository of one's own, looked for afterwards."""
    return f"""set -eu
timeout 300 {join(words)} </dev/null
[ -e {COMMON}/addons/{quote(name)}/addons.yaml ] || {{ echo "the repository {name} has no addons.yaml" >&2; exit 1; }}
"""
