#!/usr/bin/env bash
# Builds the C libraries into build/c: libshmkit.so (with its versioned names), libshmkit.a, shmkit.pc.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$PWD/build/c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --quiet --release --package shmkit-ffi
built=${CARGO_TARGET_DIR:-target}/release
version=$(sed -n 's/^#define SHMKIT_VERSION "\(.*\)"/\1/p' include/shmkit.h)
mkdir -p "$out"

# The shared library under its full version; the linker looks for the short name, programs for the one in between.
# A new file each time: programs that run have the old one mapped.
install -m 755 "$built/libshmkit.so" "$work/libshmkit.so"
mv -f "$work/libshmkit.so" "$out/libshmkit.so.$version"
ln -sfn "libshmkit.so.$version" "$out/libshmkit.so.0"
ln -sfn libshmkit.so.0 "$out/libshmkit.so"

# The static library as one object in which only our names are global: two libraries written in Rust then fit into one
# program. Groups are resolved here (--force-group-allocation), or the two would share unwind tables and crash at a panic.
nm --defined-only --extern-only "$built/libshmkit.a" 2>/dev/null | awk '$3 ~ /^shmkit_/ {print $3}' | sort -u >"$work/exports"
# shellcheck disable=SC2046  # one option for each name
ld -r --gc-sections --force-group-allocation $(sed 's/^/-u /' "$work/exports") \
    -o "$work/all.o" "$built/libshmkit.a"
objcopy --strip-debug --strip-unneeded --remove-section=.llvmbc --remove-section=.llvmcmd \
    --keep-global-symbols="$work/exports" "$work/all.o" "$work/shmkit.o"
ar rcsD "$work/libshmkit.a" "$work/shmkit.o"
mv -f "$work/libshmkit.a" "$out/libshmkit.a"

# For programs that build against this tree without installing.
sed -e "s|@PREFIX@|$out|; s|@LIBDIR@|$out|; s|@INCLUDEDIR@|$PWD/include|; s|@VERSION@|$version|" \
    ffi/shmkit.pc.in >"$out/shmkit.pc"
