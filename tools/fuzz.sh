#!/usr/bin/env bash
# Heaps against their model, heaps and logs full of garbage, and power cuts, for long: fuzz.sh [CASES of each, default 20000; a
# tenth of that for logs]. With overflow checks, so that arithmetic that goes wrong shows. A failure prints the smallest case
# and how to play it again, or its seed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export SHMKIT_FUZZ_CASES=${1:-20000}
cargo test --quiet --package shmkit --lib -- alloc::heap::tests::steps
cargo test --quiet --package shmkit --test it -- hostile::
rounds=$((${1:-20000} / 10))
SHMKIT_FUZZ_ROUNDS=$rounds SHMKIT_POWER_CUTS=$rounds cargo test --quiet --package shmkit --test it -- log::hostile log::power
