#!/bin/sh
# Add-ons of cluster lab (MicroK8s 1.35), each behind what it needs. Made from the inventory by bootstrap.
# Safe to run by hand, as root on a controller: what is enabled already is left alone, other arguments or not.
# MicroK8s' exit codes prove little: `bootstrap verify` looks at what came up.
set -eu

timeout 600 /snap/bin/microk8s status --wait-ready --timeout 570 </dev/null

# CoreDNS
timeout 1800 /snap/bin/microk8s enable core/dns 192.168.1.1 10.153.183.10 lab.example.com </dev/null

# Traefik on ports 80 and 443 of each node
timeout 1800 /snap/bin/microk8s enable core/ingress --default-ssl-certificate default/wildcard </dev/null

# Addresses for Services of type LoadBalancer
timeout 1800 /snap/bin/microk8s enable core/metallb 192.168.1.240/28,2001:db8::100-2001:db8::1ff </dev/null
