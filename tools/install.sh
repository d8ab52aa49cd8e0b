#!/usr/bin/env bash
# Installs the release build:  PREFIX=/usr/local DESTDIR= tools/install.sh
#   bin/  the programs, lib/aperture/  libchdb, share/aperture/  the dashboard, share/man, completions
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix
meson configure build/release --prefix "$prefix"
meson install -C build/release --no-rebuild --quiet ${DESTDIR:+--destdir "$DESTDIR"}
install -D -m 755 "$chdb_library" "$root/lib/aperture/libchdb.so"
mkdir -p "$root/share/aperture/ui"
cp -r ui/dist/. "$root/share/aperture/ui/"
say "installed into $root"
