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

limits=(-rss_limit_mb=2048 -timeout=10)

fuzz() { # TARGET NAME
    local work=build/fuzz/corpus/$2 seeds=()
    [ ! -d "fuzz/corpus/$2" ] || seeds=("fuzz/corpus/$2")
    "$1" -max_total_time="$seconds" "${limits[@]}" -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$2/" "$work" "${seeds[@]}" >"$work.log" 2>&1
}

# Whether an input took its 10 s, which are the clock's, and takes less when it is run again: then the machine stood
# still, and it is no finding.
stood_still() { # TARGET NAME
    local input inputs=("build/fuzz/findings/$2"/*)
    for input in "${inputs[@]}"; do
        [[ $input == */timeout-* ]] && "$1" "${limits[@]}" "$input" >/dev/null 2>&1 || return 1
    done
    rm "${inputs[@]}"
}

for target in build/fuzz/fuzz/*_fuzz; do
    name=$(basename "$target" _fuzz)
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/findings/$name"
    if fuzz "$target" "$name" || { stood_still "$target" "$name" && fuzz "$target" "$name"; }; then
        echo "ok $name $(grep -o 'stat::number_of_executed_units: .*' "build/fuzz/corpus/$name.log")"
    else
        echo "FAILED $name"
        failed+=("$name")
    fi
done
for name in "${failed[@]}"; do
    tell "$name"
done
[ ${#failed[@]} -eq 0 ]
