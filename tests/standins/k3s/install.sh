#!/bin/sh
# Stand-in for the k3s installer: the same variables, files, order and messages, written anew. It has no network part:
# the program must be in place (INSTALL_K3S_SKIP_DOWNLOAD).
set -e
set -o noglob

say() { echo '[INFO] ' "$@"; }
complain() { echo '[WARN] ' "$@" >&2; }
give_up() { echo '[ERROR] ' "$@" >&2; exit 1; }
is_true() { [ "$1" = true ]; }

find_init_system() {
    INIT=
    if [ -x /sbin/openrc-run ]; then INIT=openrc
    elif [ -x /bin/systemctl ] || command -v systemctl >/dev/null 2>&1; then INIT=systemd
    else give_up 'Can not find systemd or openrc to use as a process supervisor for k3s'; fi
}

# One word per line for the unit: a tab, the word in single quotes, a backslash.
quote_word() { printf '%s\n' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }
unit_words() {
    printf ' \\\n'
    for word in "$@"; do printf '\t%s \\\n' "$(quote_word "$word")"; done
}

choose_command() {
    case "$1" in
        ''|-*)
            COMMAND=server
            if [ -n "$K3S_URL" ]; then
                [ -n "$K3S_TOKEN$K3S_TOKEN_FILE" ] ||
                    give_up "Defaulted k3s exec command to 'agent' because K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
                COMMAND=agent
            fi ;;
        *) COMMAND=$1; shift ;;
    esac
    case "$K3S_URL" in
        ''|https://*) ;;
        *) give_up "Only https:// URLs are supported for K3S_URL (have $K3S_URL)" ;;
    esac
    EXEC_LINE="$COMMAND$(unit_words "$@")"
}

choose_places() {
    if [ -n "$INSTALL_K3S_NAME" ]; then UNIT=k3s-$INSTALL_K3S_NAME
    elif [ "$COMMAND" = server ]; then UNIT=k3s
    else UNIT=k3s-$COMMAND; fi
    case "$UNIT" in *[!A-Za-z0-9:._@-]*) give_up "Invalid characters for system name: $UNIT" ;; esac
    SUDO=sudo
    [ "$(id -u)" -ne 0 ] || SUDO=
    if [ -n "$INSTALL_K3S_BIN_DIR" ]; then BIN_DIR=$INSTALL_K3S_BIN_DIR
    else
        BIN_DIR=/usr/local/bin
        if ! $SUDO sh -c "touch $BIN_DIR/k3s-ro-test && rm -rf $BIN_DIR/k3s-ro-test" && [ -d /opt/bin ]; then BIN_DIR=/opt/bin; fi
    fi
    SYSTEMD_DIR=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
    UNINSTALL=$BIN_DIR/$UNIT-uninstall.sh
    KILLALL=$BIN_DIR/k3s-killall.sh
    if [ "$INIT" = systemd ]; then
        SERVICE_FILE=$SYSTEMD_DIR/$UNIT.service
        ENV_FILE=$SYSTEMD_DIR/$UNIT.service.env
    else
        $SUDO mkdir -p /etc/rancher/k3s
        SERVICE_FILE=/etc/init.d/$UNIT
        ENV_FILE=/etc/rancher/k3s/$UNIT.env
    fi
    HASHES_BEFORE=$(installed_hashes)
    if is_true "$INSTALL_K3S_BIN_DIR_READ_ONLY"; then INSTALL_K3S_SKIP_DOWNLOAD=true; fi
}

installed_hashes() { $SUDO sha256sum "$BIN_DIR/k3s" "$SERVICE_FILE" "$ENV_FILE" 2>&1 || true; }

require_program() {
    case "$INSTALL_K3S_SKIP_DOWNLOAD" in
        true|binary)
            say 'Skipping k3s download and verify'
            [ -x "$BIN_DIR/k3s" ] || give_up "Executable k3s binary not found at $BIN_DIR/k3s"
            return 0 ;;
    esac
    case "${ARCH:-$(uname -m)}" in
        amd64|x86_64) ARCH=amd64 ;; arm64|aarch64) ARCH=arm64 ;; s390x) ARCH=s390x ;; arm*) ARCH=arm ;;
        *) give_up "Unsupported architecture ${ARCH:-$(uname -m)}" ;;
    esac
    command -v curl >/dev/null 2>&1 || command -v wget >/dev/null 2>&1 || give_up 'Can not find curl or wget for downloading files'
    if [ -n "$INSTALL_K3S_VERSION" ]; then say "Using $INSTALL_K3S_VERSION as release"
    else say "Finding release for channel ${INSTALL_K3S_CHANNEL:-stable}"; fi
    give_up 'Download failed: the stand-in installer has no network; put k3s in place and set INSTALL_K3S_SKIP_DOWNLOAD=true'
}

skip_selinux() { say 'Skipping installation of SELinux RPM'; }

make_links() {
    if is_true "$INSTALL_K3S_BIN_DIR_READ_ONLY" || [ "$INSTALL_K3S_SYMLINK" = skip ]; then return 0; fi
    for tool in kubectl crictl ctr; do
        found=$(command -v $tool 2>/dev/null || true)
        if [ "$INSTALL_K3S_SYMLINK" != force ] && [ -e "$BIN_DIR/$tool" ]; then
            say "Skipping $BIN_DIR/$tool symlink to k3s, already exists"
        elif [ "$INSTALL_K3S_SYMLINK" != force ] && [ -n "$found" ]; then
            say "Skipping $BIN_DIR/$tool symlink to k3s, command exists in PATH at $found"
        else
            say "Creating $BIN_DIR/$tool symlink to k3s"
            $SUDO ln -sf k3s "$BIN_DIR/$tool"
        fi
    done
}

write_script() { # from standard input, 0755
    $SUDO tee "$1" >/dev/null
    $SUDO chmod 755 "$1"
    $SUDO chown root:root "$1"
}

write_killall() {
    if is_true "$INSTALL_K3S_BIN_DIR_READ_ONLY"; then return 0; fi
    say "Creating killall script $KILLALL"
    write_script "$KILLALL" << 'END'
#!/bin/sh
[ $(id -u) -eq 0 ] || exec sudo --preserve-env=K3S_DATA_DIR $0 $@
K3S_DATA_DIR=${K3S_DATA_DIR:-/var/lib/rancher/k3s}
set -x

for unit in /etc/systemd/system/k3s*.service; do
    [ -s $unit ] && systemctl stop $(basename $unit)
done
for script in /etc/init.d/k3s*; do
    [ -x $script ] && $script stop
done

# The shims of this data folder and everything below them.
tree_of() {
    for pid in $@; do
        echo $pid
        tree_of $(ps -e -o ppid= -o pid= | while read parent child; do [ $parent = $pid ] && echo $child; done)
    done
}
shims() {
    ps -e -o pid= -o args= | while read pid words; do
        case "$words" in *"$K3S_DATA_DIR"/data/*/bin/containerd-shim*) echo $pid ;; esac
    done
}
kill -9 $({ set +x; } 2>/dev/null; tree_of $(shims)) 2>/dev/null

unmount_below() {
    { set +x; } 2>/dev/null
    while read -r _ place _; do
        case "$place" in $1*) echo "$place" ;; esac
    done < /proc/self/mounts | sort -r | while read -r place; do umount -f "$place" && rm -rf "$place"; done
    set -x
}
unmount_below /run/k3s
unmount_below /var/lib/kubelet/pods
unmount_below /var/lib/kubelet/plugins
unmount_below /run/netns/cni-

for link in cni0 flannel.1 flannel-v6.1 kube-ipvs0 flannel-wg flannel-wg-v6; do
    ip link delete $link
done
rm -rf /var/lib/cni/
for tool in iptables ip6tables; do
    $tool-save | grep -v KUBE- | grep -v CNI- | grep -iv flannel | $tool-restore
done
END
}

write_uninstall() {
    if is_true "$INSTALL_K3S_BIN_DIR_READ_ONLY"; then return 0; fi
    say "Creating uninstall script $UNINSTALL"
    write_script "$UNINSTALL" << END
#!/bin/sh
set -x
[ \$(id -u) -eq 0 ] || exec sudo --preserve-env=K3S_DATA_DIR \$0 \$@
K3S_DATA_DIR=\${K3S_DATA_DIR:-/var/lib/rancher/k3s}

$KILLALL

if command -v systemctl; then
    systemctl disable $UNIT
    systemctl reset-failed $UNIT
    systemctl daemon-reload
fi
if command -v rc-update; then
    rc-update delete $UNIT default
fi
rm -f $SERVICE_FILE
rm -f $ENV_FILE
trap 'rm -f $UNINSTALL' EXIT

if (ls $SYSTEMD_DIR/k3s*.service || ls /etc/init.d/k3s*) >/dev/null 2>&1; then
    { set +x; } 2>/dev/null; echo 'Additional k3s services installed, skipping uninstall of k3s'; set -x
    exit
fi
for tool in kubectl crictl ctr; do
    if [ -L $BIN_DIR/\$tool ]; then rm -f $BIN_DIR/\$tool; fi
done

# Whatever is mounted below a folder stays; the rest goes.
remove_around_mounts() {
    if ! grep -q " \$1" /proc/mounts; then rm -rf "\$1"; return 0; fi
    for entry in "\$1"/*; do
        if [ -d "\$entry" ] && grep -q " \$entry" /proc/mounts; then remove_around_mounts "\$entry"; else rm -rf "\$entry"; fi
    done
}
rm -rf /etc/rancher/k3s
rm -rf /run/k3s
rm -rf /run/flannel
remove_around_mounts \${K3S_DATA_DIR}
rm -rf /var/lib/kubelet
rm -f $BIN_DIR/k3s
rm -f $KILLALL
END
}

drop_old_unit() {
    $SUDO systemctl disable "$UNIT" >/dev/null 2>&1 || true
    $SUDO rm -f "/etc/systemd/system/$UNIT.service" "/etc/systemd/system/$UNIT.service.env" || true
}

write_environment() {
    say "env: Creating environment file $ENV_FILE"
    $SUDO touch "$ENV_FILE"
    $SUDO chmod 0600 "$ENV_FILE"
    exported=$(sh -c export | while read -r _ pair; do echo "$pair"; done)
    { echo "$exported" | grep -E '^(K3S|CONTAINERD)_' || true; echo "$exported" | grep -Ei '^(NO|HTTP|HTTPS)_PROXY' || true; } | $SUDO tee "$ENV_FILE" >/dev/null
}

write_systemd_unit() {
    say "systemd: Creating service file $SERVICE_FILE"
    $SUDO tee "$SERVICE_FILE" >/dev/null << END
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=${INSTALL_K3S_TYPE:-notify}
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$ENV_FILE
KillMode=process
Delegate=yes
User=root
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$BIN_DIR/k3s \\
    $EXEC_LINE

END
}

write_openrc_script() {
    log=/var/log/$UNIT.log
    say "openrc: Creating service file $SERVICE_FILE"
    $SUDO tee "$SERVICE_FILE" >/dev/null << END
#!/sbin/openrc-run

depend() {
    after network-online
    want cgroups
}

start_pre() {
    rm -f /tmp/k3s.*
}

supervisor=supervise-daemon
name=$UNIT
command="$BIN_DIR/k3s"
command_args="$(printf '%s' "$EXEC_LINE" | sed 's/"/\\"/g')
    >>$log 2>&1"

output_log=$log
error_log=$log

pidfile="/var/run/$UNIT.pid"
respawn_delay=5
respawn_max=0

set -o allexport
if [ -f /etc/environment ]; then . /etc/environment; fi
if [ -f $ENV_FILE ]; then . $ENV_FILE; fi
set +o allexport
END
    $SUDO chmod 0755 "$SERVICE_FILE"
    $SUDO mkdir -p /etc/logrotate.d
    printf '%s {\n\tmissingok\n\tnotifempty\n\tcopytruncate\n}\n' "$log" | $SUDO tee "/etc/logrotate.d/$UNIT" >/dev/null
}

filter_firewall() {
    for tool in iptables ip6tables; do
        if ! $SUDO sh -c "command -v $tool-save && command -v $tool-restore" >/dev/null 2>&1; then
            say "Host $tool-save/$tool-restore tools not found"
            continue
        fi
        $SUDO $tool-save 2>/dev/null | grep -v KUBE- | grep -iv flannel | $SUDO $tool-restore || true
    done
}

enable_and_start() {
    if ! grep -qs memory /sys/fs/cgroup/cgroup.controllers && ! grep -qs '^memory.*1$' /proc/cgroups; then
        say 'Failed to find memory cgroup, you may need to add "cgroup_memory=1 cgroup_enable=memory" to your linux cmdline (/boot/firmware/cmdline.txt on a Raspberry Pi)'
    fi
    if is_true "$INSTALL_K3S_SKIP_ENABLE"; then return 0; fi
    if [ "$INIT" = systemd ]; then
        say "systemd: Enabling $UNIT unit"
        $SUDO systemctl enable "$SERVICE_FILE" >/dev/null
        $SUDO systemctl daemon-reload >/dev/null
    else
        say "openrc: Enabling $UNIT service for default runlevel"
        $SUDO rc-update add "$UNIT" default >/dev/null
    fi
    if is_true "$INSTALL_K3S_SKIP_START"; then return 0; fi
    if [ "$HASHES_BEFORE" = "$(installed_hashes)" ] && ! is_true "$INSTALL_K3S_FORCE_RESTART"; then
        say 'No change detected so skipping service start'
        return 0
    fi
    filter_firewall
    if [ "$INIT" = systemd ]; then
        say "systemd: Starting $UNIT"
        $SUDO systemctl restart "$UNIT"
    else
        say "openrc: Starting $UNIT"
        $SUDO "$SERVICE_FILE" restart
    fi
}

set -- $INSTALL_K3S_EXEC "$@"
find_init_system
choose_command "$@"
choose_places
require_program
skip_selinux
make_links
write_killall
write_uninstall
drop_old_unit
write_environment
if [ "$INIT" = systemd ]; then write_systemd_unit; else write_openrc_script; fi
enable_and_start
