#!/usr/bin/env bash
# Builds and runs the benchmarks; arguments: the groups wanted, or none for all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p build/bench
cargo build --quiet --release --package shmkit-bench
cp target/release/shmkit-bench build/bench/rust
cc -std=c11 -O2 -Wall -Wextra -Iinclude tests/bench/c/*.c build/c/libshmkit.a -lpthread -ldl -lm -lrt -o build/bench/c
(cd tests/bench/go && go build -o ../../../build/bench/go .)
exec .venv/bin/python tests/bench/bench.py "$@"
