"""What is in a base tree: packages, users, and what is done to them. Pure; making the tree is `base`."""

from dataclasses import dataclass

SUITE = "trixie"
# A kubelet's and a container runtime's needs are in, so that no host needs a package from anywhere.
COMMON_PACKAGES = (
    *("dbus", "udev", "openssh-server", "sudo", "opendoas", "fish", "tcsh", "procps", "less", "xz-utils", "zstd"),
    *("iproute2", "iptables", "nftables", "kmod", "iputils-ping", "curl", "ca-certificates", "mount"),
    *("containerd", "runc", "containernetworking-plugins", "conntrack", "ethtool", "socat"),
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
# Work of a first boot, and services for hardware that is not there.
MASKED_UNITS = (
    *("getty.target", "getty@.service", "console-getty.service", "systemd-udevd.service"),
    *("systemd-udev-trigger.service", "remote-fs.target", "systemd-pstore.service", "systemd-update-utmp.service"),
    *("systemd-firstboot.service", "sshd-keygen.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
)
# User -> login shell. All take the sandbox's key; who may become root stands in guest/etc/sudoers.d and doas.conf.
USERS = {
    "ops": "/bin/bash",
    "sudoer": "/bin/bash",
    "plain": "/bin/bash",
    "doer": "/bin/bash",
    "fishy": "/usr/bin/fish",
    "tcshy": "/usr/bin/tcsh",
}
SUDOER_PASSWORD = "sandbox-password"  # noqa: S105 - of a throw-away host without a way in or out

# The first lines forget what must be different on each host, the last is last: systemd compares it with all files.
_FORGET = """\
rm -f /etc/apt/sources.list /etc/apt/apt.conf.d/99mmdebstrap /etc/ssh/ssh_host_* /etc/resolv.conf
rm -f /var/lib/dbus/machine-id
: > /etc/resolv.conf
: > /etc/machine-id
mkdir -p /usr/lib/modules /opt/share
chmod 440 /etc/sudoers.d/sandbox
"""
_SYSTEMD = f"""\
for unit in {" ".join(MASKED_UNITS)}; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
mkdir -p /etc/systemd/system/sysinit.target.wants
ln -sf ../sandbox-host.service /etc/systemd/system/sysinit.target.wants/
rm -f /etc/systemd/system/multi-user.target.wants/containerd.service
touch /etc/.updated /var/.updated
"""
# OpenRC: the machine's disks, clock and devices are none of a container's business. What unmounts at the end would
# leave the disk read-only for the next boot; the kernel ends the last processes.
_OPENRC = """\
rm -f /etc/runlevels/sysinit/* /etc/runlevels/recovery/* /etc/runlevels/off/*
chmod 755 /etc/init.d/sandbox-host
rc-update add sandbox-host sysinit
rc-update add bootmisc.sh sysinit
rm -f /etc/runlevels/default/containerd
ln -sf /proc/mounts /etc/mtab
"""


@dataclass(frozen=True)
class Recipe:
    """One kind of base tree.

    `guest` names folders of the package's guest/ that are copied in; `set_up` is POSIX sh, run in the tree as root
    after packages and guest files are in.
    """

    packages: tuple[str, ...]
    guest: tuple[str, ...]
    set_up: str


def _add_users() -> str:
    lines = [f"useradd --create-home --shell {shell} {user}\n" for user, shell in USERS.items()]
    return "".join(lines) + f"echo 'sudoer:{SUDOER_PASSWORD}' | chpasswd\n"


RECIPES = {
    "systemd": Recipe(
        ("systemd", "systemd-sysv", "libpam-systemd", *COMMON_PACKAGES),
        ("common", "systemd"),
        _FORGET + _add_users() + _SYSTEMD,
    ),
    "openrc": Recipe(
        ("sysvinit-core", "openrc", "systemd-standalone-sysusers", *COMMON_PACKAGES),
        ("common", "openrc"),
        _FORGET + _add_users() + _OPENRC,
    ),
}
