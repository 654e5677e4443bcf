#!/bin/sh
# Runs the crate against servers that are not ours. Needs Node.js 20 or later, npm and openssl.
set -eu
cd "$(dirname "$0")"
npm install --no-package-lock --no-audit --no-fund --loglevel=error
cd ../..
cargo test --all-features --test interop_oidc_provider
