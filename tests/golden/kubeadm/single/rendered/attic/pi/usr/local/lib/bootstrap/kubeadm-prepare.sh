#!/bin/sh
# Prepares pi of cluster attic for Kubernetes v1.36.3: modules, settings, runtime, images, services.
# It founds nothing and joins nothing, changes only what is not as it should be, and may be run again by hand.
set -eu

fail() {
  echo "kubeadm-prepare: $*" >&2
  exit 1
}

note() {
  echo "kubeadm-prepare: $*" >&2
}

[ "$(id -u)" = 0 ] || fail "this must run as root"
for file in /usr/local/bin/kubeadm /usr/local/bin/kubelet /usr/local/bin/kubectl /etc/containerd/config.toml; do
  [ -s "$file" ] || fail "$file is missing: \`bootstrap apply\` puts it there"
done

# Modules. A kernel may have them built in; br_netfilter matters only to networks with a bridge.
for module in overlay br_netfilter; do
  modprobe --quiet "$module" || note "the module $module can't be loaded"
done
grep -qw overlay /proc/filesystems || fail "the kernel has no overlay filesystem, which containerd needs"

sysctl --quiet --ignore --load=/etc/sysctl.d/90-kubernetes.conf

# A kubelet does not start beside swap; `kubelet: {failSwapOn: false}` in the inventory would let it.
if [ "$(wc -l </proc/swaps)" -gt 1 ]; then
  swapoff -a || fail "swap can't be turned off"
  mkdir -p -m 700 "$(dirname /var/lib/bootstrap/swap-was-on)"
  : >/var/lib/bootstrap/swap-was-on
  systemctl mask --quiet swap.target
  note "swap is off now, and stays off: swap.target is masked"
fi

# The runtime from its releases. Programs that run keep their old file until they are started again.
unpack() {
  archive=$1 folder=$2
  [ -s "$archive" ] || fail "$archive is missing: \`bootstrap apply\` puts it there"
  sum=$(sha256sum <"$archive")
  [ "$(cat "$archive.unpacked" 2>/dev/null)" != "$sum" ] || return 0
  mkdir -p "$folder"
  tar -xzmf "$archive" -C "$folder" --no-same-owner
  echo "$sum" >"$archive.unpacked"
}
unpack /var/lib/bootstrap/downloads/containerd.tar.gz /usr/local
unpack /var/lib/bootstrap/downloads/cni-plugins.tgz /opt/cni/bin
unpack /var/lib/bootstrap/downloads/crictl.tar.gz /usr/local/bin
[ -x /usr/local/sbin/runc ] || fail "/usr/local/sbin/runc is missing: \`bootstrap apply\` puts it there"

systemctl daemon-reload
systemctl unmask --quiet containerd kubelet
systemctl enable --quiet containerd kubelet

# containerd reads its configuration when it starts. Containers go on while it is started again.
is_older() {
  [ ! -e /run/containerd/containerd.sock ] || [ "$1" -nt /run/containerd/containerd.sock ]
}
if ! systemctl is-active --quiet containerd; then
  systemctl start containerd
elif is_older /etc/containerd/config.toml || is_older /usr/local/bin/containerd; then
  systemctl restart containerd
fi

# Images that a mirror had, so that none is pulled.
if [ -s /var/lib/bootstrap/images/kubernetes-images.tar ]; then
  have=$(ctr --namespace k8s.io images list -q)
  for image in registry.k8s.io/kube-proxy:v1.36.3 registry.k8s.io/pause:3.10.2; do
    echo "$have" | grep -qxF "$image" || { ctr --namespace k8s.io images import /var/lib/bootstrap/images/kubernetes-images.tar >/dev/null; break; }
  done
fi
