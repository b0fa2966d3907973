#!/usr/bin/env bash
# Runs under miri what it can run: the unit tests of the core that make no system call. Needs a nightly toolchain with miri
# (rustup component add miri --toolchain nightly).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --quiet --package shmkit --lib --target-dir target/miri -- \
    protocol:: view:: exports:: error:: header::tests::what header::tests::each
