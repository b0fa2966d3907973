#!/usr/bin/env bash
# Builds the `shmkit` command into build/bin, and the process that its tests look at into build/runners.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}/release

cargo build --quiet --release --package shmkit-cli --bin shmkit --example cli-holder
mkdir -p build/bin build/runners
# New files each time: programs that run keep the old ones.
install -m 755 "$target/shmkit" build/bin/shmkit.new
mv -f build/bin/shmkit.new build/bin/shmkit
install -m 755 "$target/examples/cli-holder" build/runners/cli-holder.new
mv -f build/runners/cli-holder.new build/runners/cli-holder
