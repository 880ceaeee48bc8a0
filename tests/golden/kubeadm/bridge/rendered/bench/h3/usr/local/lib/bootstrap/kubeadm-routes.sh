#!/bin/sh
# Routes to the pods of the other hosts of cluster bench, for h3: as /etc/kubernetes/bootstrap/routes says, or none with `remove`.
# Pods keep their own address inside of 10.244.0.0/16, and take their host's for everything else. It may be run again by hand.
set -eu

# The routes of this script and no others, told by their origin.
origin=98

masquerade() {
  iptables -w -t nat "$1" POSTROUTING -s 10.244.2.0/24 ! -d 10.244.0.0/16 -m comment --comment bootstrap-routes -j MASQUERADE
}

wanted=
if [ "${1:-}" != remove ]; then
  wanted=$(cat /etc/kubernetes/bootstrap/routes)
  masquerade -C 2>/dev/null || masquerade -A
else
  while masquerade -D 2>/dev/null; do :; done
fi

ip -4 route show proto "$origin" | while read -r subnet _; do
  case "$wanted" in
    *"$subnet via "*) ;;
    *) ip -4 route del "$subnet" proto "$origin" ;;
  esac
done
echo "$wanted" | while read -r subnet via address; do
  [ -z "$subnet" ] || ip -4 route replace "$subnet" "$via" "$address" proto "$origin"
done
