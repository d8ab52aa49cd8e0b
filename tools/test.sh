#!/usr/bin/env bash
# Every test there is, in order of cost; ends with one line: N passed, N failed, N skipped.
# A suite that fails does not keep the others from running.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
. tools/lib.sh
results=build/results
rm -rf "$results"
mkdir -p "$results"
fuzz_seconds=${FUZZ_SECONDS:-20}

suite() {
    local name=$1
    shift
    say "$name"
    if "$@" >"$results/$name.log" 2>&1; then
        printf '%s\t0\n' "$name" >>"$results/suites.tsv"
    else
        printf '%s\t%s\n' "$name" "$?" >>"$results/suites.tsv"
        tail -n 60 "$results/$name.log"
    fi
}

meson_suite() { # VARIANT [MESON ARGS]
    local dir=build/$1 status
    shift
    meson test -C "$dir" --no-rebuild --print-errorlogs "$@"
    status=$?
    cp "$dir/meson-logs/testlog.junit.xml" "$results/$(basename "$dir").junit.xml"
    return $status
}

ui_suite() (
    cd ui && npm run --silent typecheck &&
        npx --no-install vitest run --reporter=default --reporter=junit --outputFile="../$results/ui.junit.xml"
)

system_suite() {
    AP_BUILD=$PWD/build/release AP_TEST_BUILD=$PWD/build/debug AP_CHDB_LIBRARY=$chdb_library AP_UI_DIR=$PWD/ui/dist \
        tests/venv/bin/python -m pytest tests/system -q -rs --junitxml="$results/system.junit.xml"
}

vm_suite() {
    AP_BUILD=$PWD/build/release AP_TEST_BUILD=$PWD/build/debug \
        tests/venv/bin/python -m pytest tests/vm -q -rs --junitxml="$results/vm.junit.xml"
}

suite lint tools/lint.py
suite build-debug tools/build.sh debug
suite build-ubsan tools/build.sh ubsan
suite build-release tools/build.sh release
suite build-fuzz tools/build.sh fuzz fuzz-targets
suite unit meson_suite debug --no-suite chdb
suite unit-chdb meson_suite ubsan --suite chdb
suite ui ui_suite
suite system system_suite
suite vm vm_suite
suite fuzz tools/fuzz.sh "$fuzz_seconds"
exec tools/summary.py "$results"
