#!/usr/bin/env bash
# Storms of SIGKILL over each primitive and the log, long and optimised: storm.sh [SECONDS of each, default 30] [NAME, or log].
# Prints kills and recovery times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${2:-} in
    log) tests=(log::kills::writers) ;;
    "") tests=(storm:: log::kills::writers) ;;
    *) tests=("storm::$2") ;;
esac
SHMKIT_STORM_SECONDS=${1:-30} cargo test --quiet --release --package shmkit --test it -- \
    "${tests[@]}" --nocapture --test-threads=1 | grep -v '^$'
