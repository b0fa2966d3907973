#!/usr/bin/env bash
# Builds the workers of the word count and runs the demonstration. VICTIM=rust|c|python|go says who is killed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p build/demo
cargo build --quiet --release --package shmkit --example wordcount
cp target/release/examples/wordcount build/demo/wordcount-rust
cc -std=c11 -O2 -Wall -Wextra -Iinclude examples/wordcount/main.c build/c/libshmkit.a -lpthread -ldl -lm -o build/demo/wordcount-c
(cd examples && go build -o ../build/demo/wordcount-go ./wordcount)
exec .venv/bin/python examples/wordcount/demo.py build/demo ${VICTIM:-c}
