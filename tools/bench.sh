#!/usr/bin/env bash
# Measures and prints JSON lines:  tools/bench.sh [PART…]   (all of them by default)
#   unit      the parts that run without an agent (bench/): trees, wire, store, tables, system calls
#   tables    the unwind tables of all programs installed here, against readelf
#   capture   the cost of sampling a known load
#   complete  the share of complete stacks, beside perf's
#   overhead  what the agent costs loads of several kinds, in each mode, beside none (about 15 minutes:
#             BENCH_ROUNDS, BENCH_LOAD_SECONDS)
#   schedule  what a recording tells of a program whose waits, locks, calls and CPU time are known
#   ingest    20 M samples of a day into the aggregator: rate, acknowledgements, memory, disk; and
#   queries   flame graphs over them, cold and warm; each on both stores (BENCH_STORE=embedded or server)
#   paced     2 M samples a second (BENCH_RATE), and how long an acknowledgement takes then
#   agents    10,000 agents that push every 10 s (BENCH_AGENTS)
#   redraw    the flame graph's redraw time in a headless browser
# And only if asked for:
#   crash     kills agents, the aggregator and its ClickHouse server at random moments and counts what is stored
#             (BENCH_CRASH_ROUNDS of each store: 500; BENCH_SEED: 1; BENCH_STORE); where it fails, all is kept
# Run it on an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
parts=(unit tables capture complete overhead schedule ingest paced queries agents redraw)
seconds=${BENCH_SECONDS:-20}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export AP_CHDB_LIBRARY=$chdb_library

build() {
    ninja -C build/release "$@" >"$out/build.log" 2>&1 || { cat "$out/build.log" >&2; exit 1; }
}

bench_unit() {
    build bench/aperture-bench
    build/release/bench/aperture-bench
}

bench_tables() {
    build tests/differential/readelf_check
    tests/differential/run.py build/release/tests/differential/readelf_check --all
}

# Two busy loops, sampled at the default rate and at ten times that.
bench_capture() {
    local hz
    for hz in 99 997; do
        build/release/src/cli/aperture record -F "$hz" -o "$out/profile.pb.gz" --ledger "$out/ledger.json" -- \
            sh -c "timeout $seconds sh -c 'while :; do :; done' & timeout $seconds sh -c 'while :; do :; done'; wait" \
            2>"$out/record.log" || true
        python3 tools/bench_capture.py "$hz" "$seconds" <"$out/ledger.json"
    done
}

bench_complete() {
    local missing
    missing=$(for name in perf nginx wrk redis-benchmark pgbench; do command -v "$name" >/dev/null || printf "%s " "$name"; done)
    if [ -z "$missing" ]; then
        bench/complete.py
    else
        warn "left out bench/complete.py, for want of $missing(tools/setup.sh test installs them)"
    fi
}

bench_overhead() {
    build bench/aperture-bench bench/storm
    build/release/bench/aperture-bench syscall
    bench/overhead.py
}

bench_schedule() { bench/schedule.py; }

bench_server() {
    build bench/swarm
    # shellcheck disable=SC2086 # no store is none, not an empty one
    bench/server.py "$1" ${BENCH_STORE:-}
}

bench_ingest() { bench_server ingest; }
bench_paced() { bench_server paced; }
bench_queries() { bench_server queries; }
bench_agents() { bench_server agents; }

bench_crash() {
    build src/aggregator/aperture-aggregator
    ninja -C build/debug tests/system/spool_agent >"$out/build.log" 2>&1 || { cat "$out/build.log" >&2; exit 1; }
    local kept
    kept=$(mktemp -d)
    (cd tests/system && AP_CRASH_ROUNDS=${BENCH_CRASH_ROUNDS:-500} AP_CRASH_SEED=${BENCH_SEED:-1} \
        AP_CRASH_STORE=${BENCH_STORE:-embedded server} ../venv/bin/python -m pytest -q -s \
        --basetemp="$kept/folders" test_crash.py) >"$kept/log" ||
        { cat "$kept/log" >&2; die "what was printed, and all folders, are kept in $kept"; }
    grep '^{' "$kept/log"
    rm -rf "$kept"
}

bench_redraw() { node ui/bench/redraw.mjs; }

for part in "$@"; do
    declare -F "bench_$part" >/dev/null || die "no part '$part'; there are: ${parts[*]}"
done
[ $# -gt 0 ] || set -- "${parts[@]}"
for part in "$@"; do
    "bench_$part"
done
