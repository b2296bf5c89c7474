#!/usr/bin/env bash
# Install what the tests need beyond Python packages: a browser, peers in other languages, servers.
# What is there already is left alone; the rest comes from Debian's packages and from npm.
set -euo pipefail
cd "$(dirname "$0")/.."

# command:package
needed="chromium:chromium node:nodejs npm:npm curl:curl openssl:openssl redis-server:redis-server nats-server:nats-server"
needed="$needed nginx:nginx-light haproxy:haproxy caddy:caddy tinyproxy:tinyproxy microsocks:microsocks"
# Debian keeps servers where the PATH of ordinary users does not look.
PATH="$PATH:/usr/sbin"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "these must be installed first, and neither root nor sudo is at hand: ${packages[*]}"; fi
}

packages=()
for pair in $needed; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
if [ "${#packages[@]}" -gt 0 ]; then
    command -v apt-get >/dev/null || die "these must be installed first, and there is no apt-get here: ${packages[*]}"
    say "installing ${packages[*]} with apt-get"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null ||
        die "apt-get could not install: ${packages[*]}"
fi
for pair in $needed; do
    command -v "${pair%%:*}" >/dev/null || die "there is still no ${pair%%:*} in PATH"
done

# Peers of the tests in JavaScript.
stamp=tests/peers/node_modules/.ready
if [ ! -e "$stamp" ] || [ tests/peers/package.json -nt "$stamp" ]; then
    say "installing the peers of tests/peers/package.json with npm"
    npm install --prefix tests/peers --no-package-lock --no-audit --no-fund --loglevel=error
    touch "$stamp"
fi

# The Autobahn suite and its Python 2.7.
.venv/bin/python tests/conformance/autobahn.py setup
say "everything the tests need is here"
