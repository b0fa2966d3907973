#!/usr/bin/env bash
# Makes a checkout ready: says which toolchain parts are missing, and installs the Python tools into .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=()
# need COMMAND MINIMUM WHAT-TO-DO: the command exists, and its version (first x.y in its output) is not older.
need() {
    local command=$1 minimum=$2 advice=$3 found
    if ! command -v "$command" >/dev/null; then
        missing+=("$command is missing: $advice")
        return
    fi
    found=$("$command" "${4:---version}" 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
    if [ "$(printf '%s\n%s\n' "$minimum" "$found" | sort -V | head -n 1)" != "$minimum" ]; then
        missing+=("$command is $found, $minimum or newer is needed: $advice")
    fi
}
need cargo 1.95 "install Rust with rustup, or run 'rustup update stable'"
need go 1.24 "install Go from your distribution or the Go project" version
need python3 3.11 "install CPython 3.11 or newer"
need cc 0 "install a C compiler (Debian: apt-get install build-essential)"
need ld 0 "install binutils (Debian: apt-get install build-essential)"
if [ ${#missing[@]} -gt 0 ]; then
    printf 'setup: this machine lacks what shmkit is built with:\n' >&2
    printf '  - %s\n' "${missing[@]}" >&2
    exit 1
fi

requirements=python/requirements-dev.txt
stamp=.venv/.installed
wanted="$(python3 --version) $(sha256sum <"$requirements")"
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "setup: installing the Python tools into .venv"
# A Python without ensurepip (Debian ships it apart) can still be given an environment by virtualenv.
python3 -m venv .venv 2>/dev/null || { python3 -m pip install --quiet --user virtualenv && python3 -m virtualenv --quiet .venv; }
.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement "$requirements"
echo "$wanted" >"$stamp"
