#!/usr/bin/env bash
# Builds one variant into build/<variant>:  tools/build.sh release|debug|ubsan|fuzz [NINJA ARGS]
#   release  optimised, hardened, and the dashboard
#   debug    AddressSanitizer and UndefinedBehaviorSanitizer
#   ubsan    UndefinedBehaviorSanitizer alone, for what loads libchdb
#   fuzz     clang with libFuzzer
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
variant=${1:-release}
shift || true
dir=build/$variant
mkdir -p build

case $variant in
release) options=(--buildtype=release -Dtests=false) ;;
debug) options=("-Db_sanitize=address,undefined" -Db_lundef=false -Doptimization=1) ;;
ubsan) options=(-Db_sanitize=undefined -Db_lundef=false -Doptimization=1) ;;
fuzz) options=(-Dfuzz=true -Db_lundef=false -Doptimization=1)
    export CC=clang-19 ;;
*) die "unknown variant '$variant'" ;;
esac

if [ ! -f "$dir/build.ninja" ]; then
    mkdir -p build
    say "configuring $dir"
    meson setup "$dir" "${options[@]}" >"$dir.log" 2>&1 || { tail -20 "$dir.log" >&2; die "meson failed"; }
fi
say "building $dir"
ninja -C "$dir" "$@" >"$dir.log" 2>&1 || { grep -vE '^\[[0-9]+/' "$dir.log" | tail -60 >&2; die "the build failed ($dir.log)"; }

if [ "$variant" = release ] && ! { [ -f ui/dist/index.html ] &&
    [ -z "$(find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -newer ui/dist/index.html -print -quit)" ]; }; then
    say "building the dashboard"
    (cd ui && npm run --silent build >"../build/ui.log" 2>&1) || { tail -20 build/ui.log >&2; die "the dashboard's build failed"; }
fi
