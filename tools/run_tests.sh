#!/usr/bin/env bash
# Everything that `make test` does, in order. It ends at the first step that fails, and says which.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
. tools/steps.sh

step "what the tests need beside Python packages" tools/setup_tests.sh
step "checks" make --no-print-directory check
step "native twins" make --no-print-directory native
step "the native twins are what runs" "$python" tools/require_native.py
step "protocol modules, each by its own tests alone" make --no-print-directory coverage
step "Autobahn suite, what fits in five minutes" "$python" tests/conformance/autobahn.py server --sections 1-7,9,10,12.1,12.3,13.1,13.5
step "Autobahn suite against the client" "$python" tests/conformance/autobahn.py client --sections 1-7,9,10,12.1,13.1

# The suite waits more than it computes: both twins are tested at once, each in three processes. What the native ones
# print comes behind the end of the others, so that pytest's closing line is the last one.
pytest=("$python" -m pytest --numprocesses 3 --dist loadfile)
log=$(mktemp)
"${pytest[@]}" -p no:cacheprovider >"$log" 2>&1 &
native=$!
trap 'kill "$native" 2>/dev/null || true; rm -f "$log"' EXIT

native_twins() {
    local status=0
    wait "$native" || status=$?
    cat "$log"
    return "$status"
}

step "all tests, Python twins" env ELIO_PURE=1 "${pytest[@]}"
step "all tests, native twins, which ran beside them" native_twins
