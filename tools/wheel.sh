#!/usr/bin/env bash
# Builds the Python wheel and the source distribution into build/wheel. With ziglang in .venv the wheel runs on every
# Linux with glibc 2.17 or newer; without it, on systems as new as this one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$PWD/build/wheel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# maturin finds its helpers (zig among them) through the environment that it belongs to.
export VIRTUAL_ENV=${SHMKIT_VENV:-$PWD/.venv}
export PATH=$VIRTUAL_ENV/bin:$PATH

platform=(--compatibility linux)
if python -c 'import ziglang' 2>/dev/null; then
    platform=(--zig --compatibility manylinux2014)
fi
maturin build --quiet --manifest-path python/Cargo.toml --release --locked --strip "${platform[@]}" --out "$work"
maturin sdist --manifest-path python/Cargo.toml --out "$work"

# A symbol without a version is one that the glibc we promise to run on may not have; auditwheel does not see those.
python -m zipfile --extract "$work"/shmkit-*.whl "$work/content"
unversioned=$(nm --dynamic --undefined-only "$work"/content/shmkit/_native*.so |
    awk '$1 == "U" && $2 !~ /@/ && $2 !~ /^_?Py/ {print $2}')
if [ "${platform[0]}" = --zig ] && [ -n "$unversioned" ]; then
    printf 'wheel: symbols that an older glibc lacks:\n%s\n' "$unversioned" >&2
    exit 1
fi

mkdir -p "$out"
rm -f "$out"/shmkit-*
mv "$work"/shmkit-*.whl "$work"/shmkit-*.tar.gz "$out"
