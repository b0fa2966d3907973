#!/usr/bin/env bash
# Builds what users get: the C library, the wheel (installed into .venv) and the static library inside the Go package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/go-static.sh
tools/wheel.sh
.venv/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps build/wheel/shmkit-*.whl
