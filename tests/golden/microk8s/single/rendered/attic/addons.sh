#!/bin/sh
# Add-ons of cluster attic (MicroK8s 1.36), each behind what it needs. Made from the inventory by bootstrap.
# Safe to run by hand, as root on a controller: what is enabled already is left alone, other arguments or not.
# MicroK8s' exit codes prove little: `bootstrap verify` looks at what came up.
set -eu

timeout 600 /snap/bin/microk8s status --wait-ready --timeout 570 </dev/null

# CoreDNS
timeout 1800 /snap/bin/microk8s enable core/dns </dev/null

# StorageClass microk8s-hostpath: folders of the node where the pod runs
timeout 1800 /snap/bin/microk8s enable core/hostpath-storage </dev/null
