#!/usr/bin/env bash
# Does what the manual's page "first token" says, word for word: the shell commands with keytool
# and again with openssl, and the profile, against npm's oidc-provider. The doctor then gets a token
# and calls the resource with it, by mutual TLS and by a signed assertion.
#
# Needs Node.js 20 or later and npm. Where keytool is missing it is installed, which needs Debian and
# root.
set -euo pipefail
interop="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
project="$interop/../.."
page="$project/src/manual/first_token.md"

if ! command -v keytool >/dev/null; then
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends default-jre-headless
fi
npm install --prefix "$interop" --no-package-lock --no-audit --no-fund --loglevel=error

# With the features that an application has which uses profiles.
cargo build --quiet --manifest-path "$project/Cargo.toml" --example doctor
doctor="${CARGO_TARGET_DIR:-$project/target}/debug/examples/doctor"

# blocks LANGUAGE CHAPTER [SECTION]: the page's blocks of code in this place
blocks() {
    awk -v language="$1" -v chapter="# $2." -v section="${3:+## With $3}" '
        /^# /  { inside = index($0, chapter) == 1; here = section == "" }
        /^## / { here = section == "" || $0 == section }
        $0 == "```" { copying = 0 }
        copying { print; copied++ }
        $0 == "```" language && inside && here { copying = 1 }
        END { exit copied == 0 }' "$page"
}

scratch="$(mktemp -d)"
server=
cleanup() {
    [[ -z "$server" ]] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

tokens=0
for tool in keytool openssl; do
    mkdir "$scratch/$tool"
    cd "$scratch/$tool"
    blocks sh 1 "$tool" >make-keystore.sh
    bash -euo pipefail make-keystore.sh >make-keystore.log 2>&1 || { cat make-keystore.log; exit 1; }

    # The server ends with its standard input, even when this script is killed.
    mkfifo keep-alive address
    node "$interop/oidc-provider/first-token.mjs" . <keep-alive >address &
    server=$!
    exec {alive}>keep-alive
    read -r address <address
    ISSUER="$(node -p "JSON.parse(process.argv[1]).issuer" "$address")"
    API="$(node -p "JSON.parse(process.argv[1]).api" "$address")"
    export ISSUER API

    blocks sh 3 "$tool" >make-truststore.sh
    bash -euo pipefail make-truststore.sh >make-truststore.log 2>&1 || { cat make-truststore.log; exit 1; }
    blocks toml 4 >profile.toml

    for profile in mtls assertion; do
        echo "== $tool, $profile"
        "$doctor" profile.toml --profile "$profile" --call "$API/orders"
        tokens=$((tokens + 1))
    done
    exec {alive}>&-
    wait "$server" || true
    server=
done
[[ "$tokens" == 4 ]]
echo "tokens=$tokens"
