#!/bin/sh
# Installs the service k3s-agent on worker-1 of cluster home: k3s v1.36.3+k3s1.
# It neither starts nor restarts k3s, and may be run again by hand.
set -eu

wanted=v1.36.3+k3s1

fail() {
  echo "k3s-install: $*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail "this must run as root"
for file in /usr/local/bin/k3s /usr/local/lib/bootstrap/k3s-upstream-install.sh /etc/rancher/k3s/config.yaml; do
  [ -s "$file" ] || fail "$file is missing: \`bootstrap apply\` puts it there"
done

found=$(/usr/local/bin/k3s --version 2>/dev/null | sed -n '1s/^k3s version \([^ ]*\).*/\1/p')
[ "$found" = "$wanted" ] || fail "/usr/local/bin/k3s is ${found:-no k3s}, not $wanted"

# The installer does not look whether there is a token, and with none k3s would found a cluster of its own.
grep -q '^token: ' /etc/rancher/k3s/config.yaml || fail "/etc/rancher/k3s/config.yaml has no token"
grep -qs '^server: https://' /etc/rancher/k3s/config.yaml.d/10-join.yaml || fail "/etc/rancher/k3s/config.yaml.d/10-join.yaml names no server to join"

# An empty environment: the installer would copy K3S_*, CONTAINERD_* and proxy variables of its caller into the service.
# What the service shall have of these stands in /etc/default/k3s-agent, which the installer leaves alone.
exec env -i \
  HOME=/root \
  PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH" \
  INSTALL_K3S_SKIP_DOWNLOAD=true \
  INSTALL_K3S_SKIP_START=true \
  INSTALL_K3S_BIN_DIR=/usr/local/bin \
  INSTALL_K3S_EXEC=agent \
  sh /usr/local/lib/bootstrap/k3s-upstream-install.sh
