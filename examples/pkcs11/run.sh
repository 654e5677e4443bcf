#!/bin/sh
# Runs the example on a token of SoftHSM that is made for it and thrown away. Where SoftHSM is
# missing it is installed, which needs Debian and root.
set -eu
cd "$(dirname "$0")"

if ! command -v softhsm2-util >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends softhsm2
fi

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tokens"

echo "directories.tokendir = $scratch/tokens" >"$scratch/softhsm2.conf"

export SOFTHSM2_CONF="$scratch/softhsm2.conf"
export PKCS11_MODULE="${PKCS11_MODULE:-/usr/lib/softhsm/libsofthsm2.so}"
export PKCS11_TOKEN="tower-oauth example"
PKCS11_PIN="$(od -An -N8 -tu8 /dev/urandom | tr -d ' ')"
export PKCS11_PIN
softhsm2-util --init-token --free --label "$PKCS11_TOKEN" --pin "$PKCS11_PIN" --so-pin "$PKCS11_PIN"

cargo run --quiet
