#!/bin/sh
# Add-ons of cluster home (MicroK8s 1.36), each behind what it needs. Made from the inventory by bootstrap.
# Safe to run by hand, as root on a controller: what is enabled already is left alone, other arguments or not.
# MicroK8s' exit codes prove little: `bootstrap verify` looks at what came up.
set -eu

timeout 600 /snap/bin/microk8s status --wait-ready --timeout 570 </dev/null
timeout 600 /snap/bin/microk8s addons repo add own https://git.example.com/home/addons.git --reference v1.2.0 --force </dev/null

# CoreDNS
timeout 1800 /snap/bin/microk8s enable core/dns </dev/null

# StorageClass microk8s-hostpath: folders of the node where the pod runs; needed by observability
timeout 1800 /snap/bin/microk8s enable core/hostpath-storage </dev/null

# Prometheus, Grafana, Loki, Tempo
timeout 1800 /snap/bin/microk8s enable core/observability </dev/null

# Registry of images on port 32000 of each node
timeout 1800 /snap/bin/microk8s enable core/registry --size 40Gi </dev/null

# Addresses for Services of type LoadBalancer
timeout 1800 /snap/bin/microk8s enable core/metallb 192.168.1.240-192.168.1.250,192.168.2.0/28 </dev/null

# Traefik on ports 80 and 443 of each node
timeout 1800 /snap/bin/microk8s enable core/ingress </dev/null

# Certificates by ACME and others
timeout 1800 /snap/bin/microk8s enable core/cert-manager </dev/null

# Role-based access control
timeout 1800 /snap/bin/microk8s enable core/rbac </dev/null

# An address by which pods reach their own host; counts for the node where it runs, so run it on each controller
timeout 1800 /snap/bin/microk8s enable core/host-access ip=10.0.1.9 </dev/null

# The repository of community add-ons; needed by argocd
timeout 1800 /snap/bin/microk8s enable core/community </dev/null

# Of the repository community
timeout 1800 /snap/bin/microk8s enable community/argocd </dev/null

# Of the repository own
timeout 1800 /snap/bin/microk8s enable own/backup --bucket 'home backups' --daily </dev/null
