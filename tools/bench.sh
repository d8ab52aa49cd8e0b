#!/usr/bin/env bash
# Measures and prints JSON lines:  tools/bench.sh
#   the parts that run without privileges (bench/), the unwind tables of all programs installed here
#   against readelf, the cost of sampling a known load, the share of complete stacks beside perf's,
#   and the flame graph's redraw time in a headless browser. Run it on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
seconds=${BENCH_SECONDS:-20}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

ninja -C build/release bench/aperture-bench tests/differential/readelf_check >"$out/build.log" 2>&1 || { cat "$out/build.log" >&2; exit 1; }
AP_CHDB_LIBRARY=$chdb_library build/release/bench/aperture-bench
tests/differential/run.py build/release/tests/differential/readelf_check --all

# Two busy loops, sampled at the default rate and at ten times that.
for hz in 99 997; do
    build/release/src/cli/aperture record -F "$hz" -o "$out/profile.pb.gz" --ledger "$out/ledger.json" -- \
        sh -c "timeout $seconds sh -c 'while :; do :; done' & timeout $seconds sh -c 'while :; do :; done'; wait" \
        2>"$out/record.log" || true
    python3 tools/bench_capture.py "$hz" "$seconds" <"$out/ledger.json"
done
missing=$(for name in perf nginx wrk redis-benchmark pgbench; do command -v "$name" >/dev/null || printf "%s " "$name"; done)
if [ -z "$missing" ]; then
    bench/complete.py
else
    warn "left out bench/complete.py, for want of $missing(tools/setup.sh test installs them)"
fi
node ui/bench/redraw.mjs
