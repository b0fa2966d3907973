#!/usr/bin/env bash
# Writes include/shmkit.h from the Rust sources. The result is committed; tests fail when it is stale.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
SHMKIT_WRITE_HEADER=1 cargo test --quiet --package shmkit-ffi --test header
