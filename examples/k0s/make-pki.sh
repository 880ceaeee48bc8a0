#!/bin/sh
# Prints the files that are a cluster's identity as YAML for secrets.sops.yaml. Encrypt it at once; needs openssl.
set -eu
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

make_key() {
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1" 2>/dev/null
}
make_authority() {
  make_key "$1.key"
  openssl req -x509 -new -key "$1.key" -out "$1.crt" -subj "/CN=$2" -days 3650 \
    -addext keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign
}
make_authority ca kubernetes-ca
make_authority etcd_ca etcd-ca
make_key sa.key
openssl pkey -in sa.key -pubout -out sa.pub

echo "pki:"
for file in ca.crt ca.key etcd_ca.crt etcd_ca.key sa.key sa.pub; do
  echo "  $(echo "$file" | tr . _): |"
  sed 's/^/    /' "$file"
done
