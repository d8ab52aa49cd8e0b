#!/usr/bin/env bash
# Runs every fuzz target for SECONDS over its seed corpus:  tools/fuzz.sh SECONDS
# What it finds is left in build/fuzz/findings/<target>, and told again at the end, where a log that was cut still has it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
seconds=${1:-60}
failed=()

tell() { # TARGET: why it ended, and its input, to be decoded by `base64 -d`
    echo "FAILED $1"
    grep -m 1 -A 25 -E 'ERROR|runtime error|Assertion|ALARM' "build/fuzz/corpus/$1.log" || tail -n 25 "build/fuzz/corpus/$1.log"
    for input in "build/fuzz/findings/$1"/*; do
        [ -e "$input" ] || continue
        echo "$input ($(stat -c %s "$input") bytes)"
        head -c 1500 "$input" | base64 -w 0
        echo
    done
}

# An input may take 60 s by the clock: it is not alone on the machine, which may stand still for some seconds.
for target in build/fuzz/fuzz/*_fuzz; do
    name=$(basename "$target" _fuzz)
    work=build/fuzz/corpus/$name
    mkdir -p "$work" "build/fuzz/findings/$name"
    seeds=()
    [ ! -d "fuzz/corpus/$name" ] || seeds=("fuzz/corpus/$name")
    if "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=60 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$name/" "$work" "${seeds[@]}" >"$work.log" 2>&1; then
        echo "ok $name $(grep -o 'stat::number_of_executed_units: .*' "$work.log")"
    else
        echo "FAILED $name"
        failed+=("$name")
    fi
done
for name in "${failed[@]}"; do
    tell "$name"
done
[ ${#failed[@]} -eq 0 ]
