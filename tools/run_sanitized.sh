#!/usr/bin/env bash
# The compiled twins under AddressSanitizer and UndefinedBehaviorSanitizer: their tests, and what the fuzzers know.
#   tools/run_sanitized.sh                 all of it; ends at the first step that fails
#   tools/run_sanitized.sh tests/sse       these tests only
#   LEAKS=1 tools/run_sanitized.sh tests/sse    and what was allocated by the twins and lost
# Everything happens in a copy below .cache, so that the build in src stays as it is. gcc and its libasan are needed.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
copy=.cache/sanitize
. tools/steps.sh

copy_tree() {
    mkdir -p "$copy"
    # What has not changed keeps its time, so that only what has changed is compiled again.
    tar -cf - --exclude='*.so' --exclude=__pycache__ --exclude=node_modules --exclude='*.egg-info' \
        src tests fuzzing setup.py pyproject.toml README.md | tar -xf - -C "$copy"
}

build() {
    # Without optimization: compiling takes a third of the time, running not much more.
    local flags="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    (cd "$copy" && ELIO_BUILD_NATIVE=1 CFLAGS="-O0 -g1 $flags" LDFLAGS="$flags" \
        "$python" setup.py --quiet build_ext --inplace)
}

sanitized() {
    (cd "$copy" && PYTHONPATH=src LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
        PYTHONMALLOC=malloc ASAN_OPTIONS="detect_leaks=${LEAKS:-0}:abort_on_error=1:allocator_may_return_null=1" \
        UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=exitcode=0 timeout --kill-after=10 3600 "$@")
}

step "a copy of the tree" copy_tree
step "twins with the sanitizers" build
step "the twins are what runs" sanitized "$python" -c \
    'from elio import _twins; import sys; sys.exit(not all(_twins.running().values()))'
if [ $# -gt 0 ]; then
    step "tests: $*" sanitized "$python" -m pytest -q -p no:cacheprovider "$@"
    exit
fi
for name in websocket sse http server tls; do
    step "fuzzer $name: its corpus, and changed copies" sanitized "$python" "fuzzing/fuzz_$name.py" --replay 50
done
step "tests of the twins" sanitized "$python" -m pytest -q -p no:cacheprovider tests/net tests/server \
    tests/test_{send,wire,session,event_stream,fan_out,twins}.py tests/integration/test_twins_agree.py \
    tests/sse tests/websocket
