#!/usr/bin/env bash
# Installs what is missing, and only that:  tools/setup.sh build|run|test
#   Debian packages (deps/apt), a newer Rust and Node where the machine's are too old, the Rust
#   static library (deps/rust), libchdb (deps/chdb), the dashboard's packages (ui) and, for tests,
#   a Python environment (tests/requirements.txt) and Debian's kernels (tests/vm/kernels.txt). Every
#   step is skipped when it is done already.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh
mode=${1:-build}

RUST_MIN=1.88
NODE_MIN=20.19

missing_packages() {
    local name
    grep -hv '^#' "$@" | while read -r name; do
        dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q '^install ok' || echo "$name"
    done
}

apt_install() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "these packages are needed, and there is no apt-get here to install them: $*"
    say "installing Debian packages: $*"
    local log=build/.stamps/apt.log
    as_root apt-get update >"$log" 2>&1 || warn "apt-get update failed; trying with the lists that are there"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" \
        >>"$log" 2>&1 || { tail -5 "$log" >&2; die "apt-get could not install: $*  (see $log)"; }
}

install_packages() {
    local lists=(deps/apt/build.txt) names
    [ "$mode" != test ] || lists+=(deps/apt/test.txt)
    command -v dpkg-query >/dev/null || die "this set-up knows Debian and Ubuntu. Elsewhere, install the
equivalents of these packages by hand: $(grep -hv '^#' "${lists[@]}" | tr '\n' ' ')"
    names=$(missing_packages "${lists[@]}")
    # shellcheck disable=SC2086
    apt_install_without_services $names
    [ "$mode" != test ] || install_optional_packages
}

# What some distributions do not have: tests that need it are skipped there, with the reason.
install_optional_packages() {
    local name names=()
    for name in $(missing_packages deps/apt/test_optional.txt); do
        if apt-cache show "$name" >/dev/null 2>&1; then
            names+=("$name")
        else
            warn "there is no package $name here: the tests that need it will be skipped"
        fi
    done
    apt_install_without_services "${names[@]}"
}

# Tests start servers of their own: those that packages bring along are not to run, neither now nor
# after a restart. One that the machine had before stays as it is.
apt_install_without_services() (
    local policy=/usr/sbin/policy-rc.d unit new=()
    [ $# -gt 0 ] || return 0
    for unit in clickhouse-server nginx postgresql zookeeper; do
        [ -e "/lib/systemd/system/$unit.service" ] || new+=("$unit")
    done
    if [ ! -e $policy ]; then
        trap 'as_root rm -f $policy' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    apt_install "$@"
    command -v systemctl >/dev/null || return 0
    for unit in "${new[@]}"; do
        [ ! -e "/lib/systemd/system/$unit.service" ] || as_root systemctl disable --quiet "$unit"
    done
)

install_rust() {
    local have
    have=$(cargo --version 2>/dev/null | awk '{print $2}' || true)
    ! version_at_least "${have:-0}" "$RUST_MIN" || return 0
    say "Rust ${have:-(none)} is older than $RUST_MIN: installing Debian's newer one"
    apt_install rustc-web cargo-web
}

install_node() {
    local have
    have=$(node --version 2>/dev/null | tr -d v || true)
    command -v npm >/dev/null || apt_install npm
    ! version_at_least "${have:-0}" "$NODE_MIN" || return 0
    say "Node ${have:-(none)} is older than $NODE_MIN: installing a pinned one into deps/node"
    npm_ci deps/node
}

# npm ci, when the lock file changed since the last one.
npm_ci() {
    stamp_fresh "$1/node_modules" "$1/package-lock.json" && return 0
    say "installing npm packages of $1"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error >/dev/null) ||
        die "npm ci failed in $1: is the package registry reachable?"
    stamp_write "$1/node_modules" "$1/package-lock.json"
}

build_rust() {
    local target=deps/rust/target
    stamp_fresh "$target" deps/rust/Cargo.lock && return 0
    say "building the Rust static library (about a minute)"
    cargo build --quiet --release --locked --manifest-path deps/rust/Cargo.toml ||
        die "cargo build failed in deps/rust"
    mkdir -p "$target/include"
    cp -f "$(cargo metadata --format-version 1 --locked --manifest-path deps/rust/Cargo.toml |
        python3 -c 'import json, os, sys
p = [p for p in json.load(sys.stdin)["packages"] if p["name"] == "blazesym-c"][0]
print(os.path.join(os.path.dirname(p["manifest_path"]), "include", "blazesym.h"))')" "$target/include/"
    stamp_write "$target" deps/rust/Cargo.lock
}

# The formats are checked with Go's own pprof, of whatever version is there.
install_go() {
    command -v go >/dev/null || apt_install golang-go
}

python_env() {
    stamp_fresh tests/venv tests/requirements.txt && return 0
    say "installing Python packages for the tests"
    python3 -m venv tests/venv
    tests/venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt ||
        die "pip could not install tests/requirements.txt"
    stamp_write tests/venv tests/requirements.txt
}

# Debian's package of a kernel, into build/vm. Where the archive has dropped the pinned version, the
# series' newest.
download_kernel() { # SERIES PACKAGE VERSION
    local newest log=$PWD/build/.stamps/vm.log
    (cd build/vm && apt-get download "$2=$3") >"$log" 2>&1 && return 0
    as_root apt-get update >>"$log" 2>&1 || true
    (cd build/vm && apt-get download "$2=$3") >>"$log" 2>&1 && return 0
    newest=$(apt-cache search --names-only "^linux-image-$1\\.[0-9.]+[+-].*cloud-amd64$" | cut -d' ' -f1 | sort -V | tail -1)
    [ -n "$newest" ] || return 1
    warn "$2 $3 is not on offer: taking $newest; tests/vm/kernels.txt should name it"
    (cd build/vm && apt-get download "$newest") >>"$log" 2>&1
}

# The kernels that tests/vm boots, unpacked and not installed. Tests of those that cannot be had are
# skipped, with the reason.
vm_kernels() {
    local series package version complete=1
    stamp_fresh build/vm tests/vm/kernels.txt && return 0
    say "fetching Debian kernels for the tests in virtual machines (60 MB)"
    rm -rf build/vm
    mkdir -p build/vm
    while read -r series package version; do
        if download_kernel "$series" "$package" "$version"; then
            dpkg-deb --fsys-tarfile build/vm/*.deb | tar -xO --wildcards './boot/vmlinuz-*' >"build/vm/vmlinuz-$series"
            rm build/vm/*.deb
        else
            warn "Linux $series cannot be had from this machine's apt sources (see build/.stamps/vm.log)"
            complete=0
        fi
    done < <(grep -v '^#' tests/vm/kernels.txt)
    [ $complete = 0 ] || stamp_write build/vm tests/vm/kernels.txt
}

mkdir -p build/.stamps
install_packages
install_rust
install_node
build_rust
npm_ci deps/chdb
npm_ci ui
if [ "$mode" = test ]; then
    install_go
    python_env
    vm_kernels
fi
