#!/usr/bin/env bash
# Builds what users get: the C library, the static library inside the Go package, the command and the wheel (installed
# into .venv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/go-static.sh
tools/cli-build.sh
tools/wheel.sh
.venv/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps build/wheel/shmkit-*.whl
