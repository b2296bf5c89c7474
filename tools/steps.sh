# For scripts that go step by step: `. tools/steps.sh`, then `step TITLE COMMAND ...`. The first step that fails ends them.
number=0

step() {
    local title=$1
    shift
    number=$((number + 1))
    printf '\n== step %d, after %d s: %s\n' "$number" "$SECONDS" "$title"
    "$@" || { printf '\n== step %d FAILED: %s\n' "$number" "$title" >&2; exit 1; }
}
