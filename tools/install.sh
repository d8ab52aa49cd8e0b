#!/usr/bin/env bash
# Installs the release build:  PREFIX=/usr/local DESTDIR= tools/install.sh
#   bin/  the programs, lib/aperture/  libchdb, share/aperture/  the dashboard, share/man, completions
# Nothing is built and no path is built in: the programs find the rest from where they are.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
root=${DESTDIR:-}${PREFIX:-/usr/local}
[ -x build/release/src/cli/aperture ] && [ -f ui/dist/index.html ] || die "nothing to install yet: run make first"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
meson install -C build/release --no-rebuild --quiet --destdir "$stage"
built=$(find "$stage" -path '*/bin/aperture' -printf '%h/..\n')
mkdir -p "$root"
# Folders that are there keep their owner and mode, as those of a system do.
tar -C "$built" -c . | tar -C "$root" -xp --no-overwrite-dir --no-same-owner
install -D -m 755 "$chdb_library" "$root/lib/aperture/libchdb.so"
rm -rf "$root/share/aperture/ui"
find ui/dist -type f -printf '%P\0' | xargs -0 -I{} install -D -m 644 ui/dist/{} "$root/share/aperture/ui/{}"
say "installed into $root"
