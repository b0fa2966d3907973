#!/usr/bin/env bash
# Heaps against their model, and heaps full of garbage, for long: fuzz.sh [CASES of each, default 20000]. With overflow checks,
# so that arithmetic that goes wrong shows. A failure prints the smallest case and how to play it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SHMKIT_FUZZ_CASES=${1:-20000} cargo test --quiet --package shmkit --lib -- alloc::heap::tests::steps
