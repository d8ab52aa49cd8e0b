#!/usr/bin/env bash
# Runs every fuzz target for SECONDS over its seed corpus:  tools/fuzz.sh SECONDS
# What it finds is left in build/fuzz/findings/<target>.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
seconds=${1:-60}
failed=0
for target in build/fuzz/fuzz/*_fuzz; do
    name=$(basename "$target" _fuzz)
    work=build/fuzz/corpus/$name
    mkdir -p "$work" "build/fuzz/findings/$name"
    seeds=()
    [ ! -d "fuzz/corpus/$name" ] || seeds=("fuzz/corpus/$name")
    if "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$name/" "$work" "${seeds[@]}" >"$work.log" 2>&1; then
        echo "ok $name $(grep -o 'stat::number_of_executed_units: .*' "$work.log")"
    else
        echo "FAILED $name"
        tail -n 30 "$work.log"
        failed=1
    fi
done
exit $failed
