#!/bin/sh
# Installs from Debian what the end-to-end tests call besides Envoy: tcpdump (a second capture of
# the same traffic), ip (network namespaces), setpriv (a user without rights), python3 (the
# exchange checker). Does nothing when all of them are there.
set -eu

missing=
for pair in tcpdump:tcpdump ip:iproute2 setpriv:util-linux python3:python3; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
if [ -z "$missing" ]; then
    echo "tcpdump, ip, setpriv and python3 are installed"
    exit 0
fi
echo "installing$missing (apt)"
apt-get update -q
# Unquoted on purpose: one word a package.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
