#!/usr/bin/env bash
# Runs the models of the lock protocol. LOOM_MAX_PREEMPTIONS (default 3) bounds them; more finds more and takes longer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Flags of its own need a target folder of their own, or everything would be built anew each time.
RUSTFLAGS="--cfg loom" cargo test --quiet --release --package shmkit-loom --target-dir target/loom "$@"
