#!/usr/bin/env bash
# All tests of all languages, on what tools/build.sh built. Each part runs even if one before it failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

failed=()
part() {
    local name=$1
    shift
    echo "== $name"
    "$@" || failed+=("$name")
}

part "checks" tools/check.sh
part "rust" cargo test --quiet --workspace --exclude shmkit-python
part "go" tools/go-test.sh
part "test programs" tools/build-runners.sh
part "python, c, go, conformance, packaging" .venv/bin/python -m pytest -q tests

if [ ${#failed[@]} -gt 0 ]; then
    printf 'test: failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "test: all passed"
