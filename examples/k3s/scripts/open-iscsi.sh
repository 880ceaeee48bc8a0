# Longhorn mounts its volumes by iSCSI.
set -eu
if ! command -v iscsiadm >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy open-iscsi
fi
