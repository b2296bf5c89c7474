# For scripts that go step by step: `. tools/steps.sh`, then `step TITLE COMMAND ...`. The first step that fails ends them.
# What waits more than it computes may run beside other steps: `beside NAME COMMAND ...`, later `step TITLE await NAME`,
# which prints what it printed.
number=0
declare -A beside_processes=() beside_logs=()

step() {
    local title=$1
    shift
    number=$((number + 1))
    printf '\n== step %d, after %d s: %s\n' "$number" "$SECONDS" "$title"
    "$@" || { printf '\n== step %d FAILED: %s\n' "$number" "$title" >&2; exit 1; }
}

beside() {
    local name=$1
    shift
    beside_logs[$name]=$(mktemp)
    "$@" >"${beside_logs[$name]}" 2>&1 &
    beside_processes[$name]=$!
}

await() {
    local status=0
    wait "${beside_processes[$1]}" || status=$?
    cat "${beside_logs[$1]}"
    return "$status"
}

end_beside() {
    kill "${beside_processes[@]}" 2>/dev/null || true
    rm -f "${beside_logs[@]}"
}
trap end_beside EXIT
