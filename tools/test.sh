#!/usr/bin/env bash
# All tests of all languages, on what tools/build.sh built. Each part runs even if one before it failed. Most of the time of
# most tests is waiting, so the parts run in two lanes side by side; what each printed is shown when it has ended.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

part() {
    local name=$1 began=$SECONDS verdict=passed
    shift
    if ! "$@" >"$work/$name" 2>&1; then
        verdict=FAILED
        echo "$name" >>"$work/failed"
    fi
    # One echo at a time, whichever lane is first.
    flock "$work/lock" bash -c 'echo "== $1: $2 in $3 s"; cat "$4"' - "$name" "$verdict" $((SECONDS - began)) "$work/$name"
}

rust_lane() {
    part "checks" tools/check.sh
    part "rust" cargo test --quiet --workspace --exclude shmkit-python
    part "models" tools/loom.sh
}

others_lane() {
    part "go" tools/go-test.sh
    part "test programs" tools/build-runners.sh
    # More workers than cores: they wait for each other's processes most of the time.
    part "python, c, go, conformance, packaging" .venv/bin/python -m pytest -q -n 4 --dist loadgroup tests
}

rust_lane &
others_lane &
wait

if [ -s "$work/failed" ]; then
    sed 's/^/test: failed: /' "$work/failed" >&2
    exit 1
fi
echo "test: all passed"
