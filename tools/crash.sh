#!/usr/bin/env bash
# Kills every operation after every instruction, in unoptimised and in optimised code, and prints how many instructions and
# states each has: crash.sh [NAME].
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for profile in dev release; do
    echo "== $profile"
    cargo test --quiet --profile "$profile" --package shmkit-crash -- --show-output "$@" |
        grep -E 'instructions|test result|panicked|killed after'
done
