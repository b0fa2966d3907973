#!/usr/bin/env bash
# Storms of SIGKILL over each primitive, long and optimised: storm.sh [SECONDS of each, default 30] [NAME]. Prints kills and
# recovery times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SHMKIT_STORM_SECONDS=${1:-30} cargo test --quiet --release --package shmkit --test it -- \
    "storm::${2:-}" --nocapture --test-threads=1 | grep -v '^$'
