"""kubeadm, kubelet and kubectl from the host's package manager: what is seen of them, set up, installed, held, removed. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote as percent_quote

from bootstrap.distros.kubeadm.layout import BINARIES
from bootstrap.facts import STATE_FOLDER
from bootstrap.model import Finding, Host, HostFacts, Inventory, Probe
from bootstrap.shell import join

NAMES = tuple(BINARIES)
LINKED = {path: f"/usr/bin/{name}" for name, path in BINARIES.items()}
# What the install step has brought, so that `reset` takes away that and no other package.
BROUGHT = f"{STATE_FOLDER}/packages-brought"
REPOSITORY_ID = "bootstrap-kubernetes"
# Manager -> its files for the repository: (description, key).
FILES = {
    "apt": (f"/etc/apt/sources.list.d/{REPOSITORY_ID}.sources", f"/etc/apt/keyrings/{REPOSITORY_ID}.asc"),
    "dnf": (f"/etc/yum.repos.d/{REPOSITORY_ID}.repo", f"/etc/pki/rpm-gpg/{REPOSITORY_ID}.asc"),
}
WITH_DNF = ("fedora", "rhel", "centos", "rocky", "almalinux", "amzn")
SERIES = re.compile(r"/v(\d+\.\d+)(?:/|$)")

# apt is told to keep its cache in memory: a look writes nothing.
SCRIPT = f"""
for name in {join(NAMES)}; do
  [ "$(readlink /usr/local/bin/$name)" != /usr/bin/$name ] || echo "linked=$name"
done
if command -v apt-get >/dev/null; then
  echo manager=apt
  dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n' {join(NAMES)} 2>/dev/null | sed -n 's/^installed /installed=/p'
  apt-mark showhold {join(NAMES)} 2>/dev/null | sed 's/^/held=/'
  apt-cache -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= madison kubeadm 2>/dev/null | awk -F '[| ]+' '{{ print "available=" $3 }}'
elif command -v dnf >/dev/null; then
  echo manager=dnf
  rpm -q --qf 'installed=%{{NAME}} %{{VERSION}}-%{{RELEASE}}\\n' {join(NAMES)} | grep '^installed='
  dnf -q -C --disableexcludes=all list --showduplicates kubeadm 2>/dev/null | awk '$1 ~ /^kubeadm\\./ {{ print "available=" $2 }}'
fi
true
"""


@dataclass(frozen=True)
class Packages:
    """What a host's package manager knows; versions are the packages', such as 1.36.3-1.1."""

    manager: str = ""  # apt, dnf; empty: neither
    installed: Mapping[str, str] | None = None
    held: tuple[str, ...] = ()
    available: tuple[str, ...] = ()  # versions of kubeadm, as of the last look into the repositories
    linked: tuple[str, ...] = ()  # programs with a link in /usr/local/bin


def parse_packages(text: str) -> Packages:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value.strip())
    installed = dict(row.split(" ", 1) for row in found.get("installed", ()) if " " in row)
    return Packages(
        manager=found.get("manager", [""])[0],
        installed=installed,
        held=tuple(found.get("held", ())),
        available=tuple(found.get("available", ())),
        linked=tuple(found.get("linked", ())),
    )


def package_probes(inventory: Inventory) -> tuple[Probe, ...]:
    return (Probe("packages", SCRIPT, parse_packages),) if uses_packages(inventory) else ()


def list_paths(inventory: Inventory) -> tuple[str, ...]:
    """Files of a repository for either manager: only a look tells which one a host has."""
    return tuple(path for files in FILES.values() for path in files) if uses_packages(inventory) else ()


def uses_packages(inventory: Inventory) -> bool:
    return bool(inventory.native.get("programs") == "packages")


def find_packages(facts: HostFacts) -> Packages:
    seen = facts.values.get("packages")
    return seen if isinstance(seen, Packages) else Packages()


def find_manager(host: Host, facts: HostFacts | None) -> str:
    """As seen on the host; of one that nobody looked at, by its distribution."""
    if facts and find_packages(facts).manager:
        return find_packages(facts).manager
    words = (host.os or (facts.os if facts else "") or "").split()
    return "dnf" if words and words[0] in WITH_DNF else "apt"


def is_of(package: str, version: str) -> bool:
    """Whether a package's version, such as 1.36.3-1.1, is one of a Kubernetes version."""
    return package.partition("-")[0].replace("~", "-") == version.removeprefix("v")


# --- what is missing -----------------------------------------------------------------------------


def install_reason(packages: Packages, version: str) -> str:
    """Why packages must be installed or held; empty when all is as it shall be."""
    return "; ".join(_reasons(packages, version))


def _reasons(packages: Packages, version: str) -> Iterator[str]:
    for name in NAMES:
        seen = (packages.installed or {}).get(name)
        if seen is None:
            yield f"{name} is not installed"
        elif not is_of(seen, version):
            yield f"{name} is {seen}"
        elif packages.manager == "apt" and name not in packages.held:
            yield f"{name} is not held"
        elif name not in packages.linked:
            yield f"/usr/local/bin/{name} is another program"


def install_title(packages: Packages, version: str) -> str:
    """With the exact version where the host's package lists tell it."""
    exact = next((each for each in packages.available if is_of(each, version)), f"{version.removeprefix('v')}-*")
    return f"install and hold {', '.join(NAMES)} {exact} ({packages.manager})"


def check_packages(inventory: Inventory, host: Host, facts: HostFacts) -> Iterator[Finding]:
    """A host without a manager, and one whose repositories have no such version."""
    packages, version = find_packages(facts), inventory.version
    if not uses_packages(inventory) or not install_reason(packages, version):
        return
    if not packages.manager:
        message = "it has neither apt nor dnf, and the inventory says `programs: packages`"
        yield Finding(host.name, message, "take `kubeadm: {programs: release}`")
    elif not inventory.native.get("repository") and not packages.available:
        message = f"no repository of its {packages.manager} has kubeadm"
        yield Finding(host.name, message, "name one: `kubeadm: {repository: {url: ..., key: ...}}`, or set it up there")
    elif packages.available and not any(is_of(each, version) for each in packages.available):
        message = f"its package lists have kubeadm {', '.join(packages.available[:5])}, and none of {version}"
        yield Finding(host.name, message, "they are read anew before the installation", stops=False)


# --- scripts -------------------------------------------------------------------------------------


def install(manager: str, version: str, *, own_repository: bool) -> str:
    """Install exactly one version of all three, note what that brings, hold them, and link them where all else calls them."""
    bare = version.removeprefix("v").replace("-", "~")
    links = "\n".join(f"ln -sfn {target} {path}" for path, target in LINKED.items())
    steps = _install_apt(bare, own_repository=own_repository) if manager == "apt" else _install_dnf(bare)
    return f"""set -eu
fail() {{ echo "packages: $*" >&2; exit 1; }}
mkdir -p -m 700 {STATE_FOLDER}
{steps}
systemctl daemon-reload
{links}
"""


def _install_apt(bare: str, *, own_repository: bool) -> str:
    """The host's other repositories are read anew only for dependencies that their lists lack: else one of them that
    can't be reached would be a hindrance.
    """
    only = f"-o Dir::Etc::sourcelist={FILES['apt'][0]} -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any "
    return f"""export DEBIAN_FRONTEND=noninteractive
apt-get -q -o DPkg::Lock::Timeout=120 {only if own_repository else ""}update
exact=$(apt-cache madison kubeadm | awk -F '[| ]+' -v start='{bare}-' 'index($3, start) == 1 {{ print $3; exit }}')
[ -n "$exact" ] || fail "no repository has kubeadm {bare}: there are $(apt-cache madison kubeadm | awk -F '[| ]+' '{{ printf "%s ", $3 }}')"
wanted="{" ".join(f"{name}=$exact" for name in NAMES)}"
simulate() {{ apt-get -s --no-install-recommends --allow-change-held-packages --allow-downgrades install $wanted; }}
simulate >/dev/null 2>&1 || apt-get -q -o DPkg::Lock::Timeout=120 update
simulate | awk '$1 == "Inst" && $3 !~ /^\\[/ {{ print $2 }}' >>{BROUGHT}
apt-get -q -y -o DPkg::Lock::Timeout=120 -o APT::Keep-Downloaded-Packages=false --no-install-recommends \\
  --allow-change-held-packages --allow-downgrades install $wanted
apt-mark hold {join(NAMES)} >/dev/null"""


def _install_dnf(bare: str) -> str:
    """`exclude=` in our own repository file holds them; elsewhere a plugin of dnf does, where it is installed."""
    specs = " ".join(f"{name}-{bare}" for name in NAMES)
    return f"""before=$(mktemp); after=$(mktemp)
rpm -qa --qf '%{{NAME}}\\n' | sort >"$before"
dnf -q -y --refresh --disableexcludes=all install {specs}
rpm -qa --qf '%{{NAME}}\\n' | sort >"$after"
comm -13 "$before" "$after" >>{BROUGHT}
rm -f "$before" "$after"
[ -e {FILES["dnf"][0]} ] || dnf -q versionlock add {join(NAMES)} ||
  echo "packages: nothing holds them: dnf has no versionlock plugin" >&2"""


def remove(url: str) -> str:
    """Take away what the install step has brought, and the lists of our own repository; part of a script without `set -e`."""
    lists = percent_quote(url.partition("://")[2].strip("/"), safe="/:+.-~").replace("_", "%5f").replace("/", "_")
    forget = f"rm -f /var/lib/apt/lists/{lists}_* /var/lib/apt/lists/partial/{lists}_*\n" if lists else ""
    return f"""
if [ -s {BROUGHT} ]; then
  if command -v apt-get >/dev/null; then
    apt-mark unhold {join(NAMES)} >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 --allow-change-held-packages purge $(sort -u {BROUGHT}) || exit 1
  else
    dnf -q versionlock delete {join(NAMES)} >/dev/null 2>&1 || true
    dnf -q -y --disableexcludes=all remove $(sort -u {BROUGHT}) || exit 1
  fi
fi
{forget}"""
