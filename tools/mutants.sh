#!/usr/bin/env bash
# Breaks the committed core in each way that tests/mutants lists, in a copy of the tree, and says which test suite noticed:
# mutants.sh [PATTERN of names]. Takes an hour for all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exec python3 tests/mutants/run.py "$@"
