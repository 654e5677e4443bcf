#!/bin/sh
# Draws src/manual/dashboard.svg anew: what the example records goes into a Prometheus, which answers
# the queries of dashboard.json. Needs prometheus, promtool and python3.
set -eu
cd "$(dirname "$0")/../.."
room=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait; rm -rf "$room"' EXIT

cargo run --quiet --example observability >"$room/samples"
begun=$(sed -n '1s/.* //p' "$room/samples")
promtool tsdb create-blocks-from openmetrics "$room/samples" "$room/data" >"$room/blocks"
: >"$room/prometheus.yml"
prometheus --config.file="$room/prometheus.yml" --storage.tsdb.path="$room/data" \
    --storage.tsdb.retention.time=100y --web.listen-address=127.0.0.1:19090 2>"$room/log" &
server=$!
python3 examples/observability/picture.py http://127.0.0.1:19090 "$begun" >"$room/dashboard.svg"
mv "$room/dashboard.svg" src/manual/dashboard.svg
