#!/usr/bin/env bash
# Everything that `make test` does, in order. It ends at the first step that fails, and says which.
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
. tools/steps.sh

beside setup tools/setup_tests.sh
step "native twins" make --no-print-directory native
step "the native twins are what runs" "$python" tools/require_native.py
step "checks" make --no-print-directory check
step "protocol modules, each by its own tests alone" make --no-print-directory coverage
step "what the tests need beside Python packages, brought meanwhile" await setup
step "Autobahn suite, what fits in five minutes" "$python" tests/conformance/autobahn.py server --sections 1-7,9,10,12.1,12.3,13.1,13.5
step "Autobahn suite against the client" "$python" tests/conformance/autobahn.py client --sections 1-7,9,10,12.1,13.1

# Both twins are tested at once, each in three processes. What the native ones print comes behind the end of the others,
# so that pytest's closing line is the last one.
pytest=("$python" -m pytest --numprocesses 3 --dist loadfile)
beside native "${pytest[@]}" -p no:cacheprovider
step "all tests, Python twins" env ELIO_PURE=1 "${pytest[@]}"
step "all tests, native twins, which ran beside them" await native
