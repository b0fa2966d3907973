#!/usr/bin/env bash
# Installs the C libraries, header and pkg-config file: c-install.sh PREFIX (default /usr/local). DESTDIR is put before
# every path that is written, but is not part of what the files say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
prefix=${1:-/usr/local}
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
root=${DESTDIR:-}$prefix

tools/c-build.sh
version=$(sed -n 's/^#define SHMKIT_VERSION "\(.*\)"/\1/p' include/shmkit.h)
install -d "$root/include" "$root/lib/pkgconfig"
install -m 644 include/shmkit.h "$root/include/shmkit.h"
install -m 755 "build/c/libshmkit.so.$version" "$root/lib/libshmkit.so.$version"
ln -sfn "libshmkit.so.$version" "$root/lib/libshmkit.so.0"
ln -sfn libshmkit.so.0 "$root/lib/libshmkit.so"
install -m 644 build/c/libshmkit.a "$root/lib/libshmkit.a"
# Relative to the prefix, so that the installed tree can be moved with pkg-config's --define-prefix.
sed -e "s|@PREFIX@|$prefix|; s|@LIBDIR@|\${prefix}/lib|; s|@INCLUDEDIR@|\${prefix}/include|; s|@VERSION@|$version|" \
    ffi/shmkit.pc.in >"$root/lib/pkgconfig/shmkit.pc"
