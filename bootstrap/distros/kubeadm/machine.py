"""What kubeadm and the kubelet ask of a machine, looked at before they are there. Pure: a piece of sh and how its answer reads."""

from dataclasses import dataclass

from bootstrap.shell import join

# Program -> the package that has it, on most distributions.
PACKAGES = {
    "mount": "mount (util-linux)",
    "losetup": "mount (util-linux)",
    "cp": "coreutils",
    "conntrack": "conntrack (conntrack-tools)",
    "sysctl": "procps",
    "modprobe": "kmod",
    "swapoff": "mount (util-linux)",
    "tar": "tar",
    "gzip": "gzip",
    "runc": "runc",
    "ctr": "containerd",
    "iptables": "iptables",
    "ip": "iproute2",
}
MODULES = ("overlay", "br_netfilter")
PLUGIN_FOLDERS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
# Folders that bootstrap, kubeadm and the kubelet write into.
WRITTEN = ("/usr/local/bin", "/etc/kubernetes", "/etc/systemd/system", "/var/lib/kubelet")
CLOCKS = ("systemd-timesyncd", "chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd")
NETWORKS = "/etc/cni/net.d"


@dataclass(frozen=True)
class Machine:
    """A machine that is yet to become a node."""

    cpus: int = 0  # 0: not told
    kernel: str = ""
    missing: tuple[str, ...] = ()  # of PACKAGES, in no folder of PATH
    unloadable: tuple[str, ...] = ()  # of MODULES
    stuck: tuple[str, ...] = ()  # settings of the kernel that are off and can't be set
    undone: tuple[str, ...] = ()  # files that turn forwarding off again when the machine boots
    read_only: tuple[str, ...] = ()  # of WRITTEN
    plugins: tuple[str, ...] = ()  # of PLUGIN_FOLDERS, those with a bridge plugin
    networks: tuple[str, ...] = ()  # files of containerd's networks that are there already
    manifests: tuple[str, ...] = ()  # static pods that a kubelet would start at once
    firewalls: tuple[str, ...] = ()
    keeps_time: bool = True


def machine_script(joined: str) -> str:
    """Asks nothing where the file `joined` tells of a kubelet: it runs, so what it asks for is there."""
    return f"""
[ ! -e {joined} ] || exit 0
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
echo "cpus=$(nproc)"
echo "kernel=$(uname -r)"
for program in {join(tuple(PACKAGES))}; do command -v "$program" >/dev/null || echo "missing=$program"; done
grep -qw overlay /proc/filesystems || modprobe -n -q overlay || echo unloadable=overlay
[ -d /proc/sys/net/bridge ] || modprobe -n -q br_netfilter || echo unloadable=br_netfilter
for setting in ipv4/ip_forward ipv6/conf/all/forwarding; do
  file=/proc/sys/net/$setting
  [ ! -e "$file" ] || [ "$(cat "$file")" = 1 ] || [ -w "$file" ] || echo "stuck=net/$setting"
done
grep -lsE '^[[:space:]]*net[./]ipv4[./]ip_forward[[:space:]]*=[[:space:]]*0' /etc/sysctl.conf /etc/sysctl.d/*.conf |
  while read -r file; do echo "undone=$file"; done
for folder in {join(WRITTEN)}; do
  there=$folder
  while [ ! -d "$there" ]; do there=$(dirname "$there"); done
  [ -w "$there" ] || echo "read_only=$folder"
done
for folder in {join(PLUGIN_FOLDERS)}; do [ ! -x "$folder/bridge" ] || echo "plugins=$folder"; done
for file in {NETWORKS}/*.conf {NETWORKS}/*.conflist {NETWORKS}/*.json; do [ ! -e "$file" ] || echo "networks=$file"; done
for file in /etc/kubernetes/manifests/*.yaml; do [ ! -e "$file" ] || echo "manifests=$file"; done
grep -qs '^ENABLED=yes' /etc/ufw/ufw.conf && echo firewalls=ufw
systemctl is-active --quiet firewalld && echo firewalls=firewalld
systemctl is-active {join(CLOCKS)} | grep -qx active || systemd-detect-virt --container --quiet || echo keeps_time=no
"""


def parse_machine(text: str) -> Machine | None:
    """None where nothing was asked."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            found.setdefault(key, []).append(value)
    if "kernel" not in found:
        return None
    cpus = found.get("cpus", [""])[0]
    return Machine(
        cpus=int(cpus) if cpus.isdecimal() else 0,
        kernel=found["kernel"][0],
        missing=tuple(found.get("missing", ())),
        unloadable=tuple(found.get("unloadable", ())),
        stuck=tuple(found.get("stuck", ())),
        undone=tuple(found.get("undone", ())),
        read_only=tuple(found.get("read_only", ())),
        plugins=tuple(found.get("plugins", ())),
        networks=tuple(found.get("networks", ())),
        manifests=tuple(found.get("manifests", ())),
        firewalls=tuple(found.get("firewalls", ())),
        keeps_time="keeps_time" not in found,
    )
