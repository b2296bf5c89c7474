#!/bin/sh
# Builds the load generator and the bare server into .cache/bench (or the folder given). Without the development files
# of zlib or OpenSSL the load is built without permessage-deflate or TLS, and says so when a case needs them.
set -eu
cd "$(dirname "$0")"
out=${1:-../.cache/bench}
mkdir -p "$out"
flags="-std=c11 -O3 -march=native -Wall -Wextra"
load="native/common.c native/client.c native/measure.c native/deflate.c native/echo.c native/get.c native/open.c native/fanout.c"
features="" libraries=""
has() { printf '#include <%s>\nint main(void){return 0;}\n' "$1" | ${CC:-gcc} -x c - -o /dev/null "$2" 2>/dev/null; }
if has zlib.h -lz; then features="$features -DWITH_DEFLATE" libraries="$libraries -lz"; fi
if has openssl/ssl.h -lssl; then features="$features -DWITH_TLS" libraries="$libraries -lssl -lcrypto"; fi
# shellcheck disable=SC2086
${CC:-gcc} $flags $features -o "$out/load" load.c $load $libraries
# shellcheck disable=SC2086
${CC:-gcc} $flags -o "$out/bare" bare.c native/common.c native/peers.c
