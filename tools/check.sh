#!/usr/bin/env bash
# Formatting and lints of all languages, and that each mutation still finds its place. Generated files are compared by the
# tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if cargo fmt --version >/dev/null 2>&1; then
    cargo fmt --all --check
else
    echo "check: this toolchain has no rustfmt: Rust formatting is not checked ('rustup component add rustfmt')" >&2
fi
if cargo clippy --version >/dev/null 2>&1; then
    PYO3_PYTHON="$PWD/.venv/bin/python" cargo clippy --quiet --workspace --all-targets -- -D warnings
else
    echo "check: this toolchain has no clippy: Rust lints are not run ('rustup component add clippy')" >&2
fi
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --package shmkit
unformatted=$(gofmt -l go examples tests)
if [ -n "$unformatted" ]; then
    echo "check: not as gofmt wants it: $unformatted" >&2
    exit 1
fi
.venv/bin/python -m ruff check .
.venv/bin/python -m ruff format --check .
.venv/bin/python tests/mutants/run.py --check
