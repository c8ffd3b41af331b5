#!/usr/bin/env bash
# Installs what a make target needs on Debian 12, and says what it does. Does nothing where all is
# there already.
set -euo pipefail
cd "$(dirname "$0")/.."

CARGO_DENY_VERSION=0.20.2
DEEPDIFF_VERSION=9.1.0

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

debian() { # debian PACKAGE...: those that are not installed yet
    local missing=() package
    for package in "$@"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing with apt-get: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

build() {
    command -v cargo >/dev/null || {
        echo "cargo is missing: install Rust 1.91 or later (https://rustup.rs)" >&2
        exit 1
    }
    debian gcc libc6-dev make libpcap-dev
}

test_tools() {
    as_root tests/install-tools.sh
    tests/install-envoy.sh
}

bench_tools() { # peers and valgrind: what cannot be had is told by the bench
    debian valgrind tshark tcpflow httpry || echo "some peers could not be installed" >&2
    dpkg -s suricata >/dev/null 2>&1 && return 0
    # Not in Debian 12 itself, only in its backports.
    echo "deb http://deb.debian.org/debian bookworm-backports main" |
        as_root tee /etc/apt/sources.list.d/backports.list >/dev/null
    debian suricata || echo "suricata could not be installed" >&2
}

bench_diff_tools() { # what compares JSON elsewhere: what cannot be had is told by the bench
    local to=target/bench-diff
    mkdir -p "$to"
    command -v npm >/dev/null || debian nodejs npm || echo "npm could not be installed" >&2
    debian python3-venv || echo "python3 could not be installed" >&2
    [ -x "$to/venv/bin/python" ] || python3 -m venv "$to/venv"
    "$to/venv/bin/python" -c 'import deepdiff' 2>/dev/null ||
        "$to/venv/bin/pip" install --quiet "deepdiff==$DEEPDIFF_VERSION" || echo "no deepdiff" >&2
    [ -d "$to/node_modules/microdiff" ] || npm install --silent --no-audit --no-fund --prefix "$to" \
        microdiff@1.6.0 fast-json-patch@3.1.1 jsondiffpatch@0.7.7 || echo "no npm packages" >&2
}

fuzz_tools() {
    debian g++
}

live_tools() {
    debian wrk
}

check_tools() {
    cargo deny --version 2>/dev/null | grep -qx "cargo-deny $CARGO_DENY_VERSION" || {
        echo "installing cargo-deny $CARGO_DENY_VERSION from crates.io"
        cargo install --quiet --locked "cargo-deny@$CARGO_DENY_VERSION"
    }
}

case "${1:-}" in
build) build ;;
test) test_tools ;;
fuzz) fuzz_tools ;;
live) live_tools ;;
check) check_tools ;;
bench) bench_tools ;;
bench-diff) bench_diff_tools ;;
*) echo "usage: $0 build|test|fuzz|live|check|bench|bench-diff" >&2; exit 2 ;;
esac
