#!/usr/bin/env bash
# Tests the Go package: form, vet, tests, tests under the race detector, and tests with the garbage collector at work
# inside each call. Needs what tools/go-static.sh made.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../go"

unformatted=$(gofmt -l . ../examples ../tests/conformance/go ../tests/go-module)
if [ -n "$unformatted" ]; then
    printf 'go-test: gofmt would change:\n%s\n' "$unformatted" >&2
    exit 1
fi
for module in . ../examples ../tests/conformance/go; do
    (cd "$module" && go vet ./...)
done
go test ./...
go test -race .
# What is freed is filled, so that a use after it shows.
MALLOC_PERTURB_=165 go test -tags shmkit_collect -run 'Alive|Forgotten|Former' .
