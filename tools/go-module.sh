#!/usr/bin/env bash
# Lays out the release of the Go module in build/go-module, as the files that a module proxy serves: GOPROXY=file://… of
# that directory makes `go get` find it. The module holds the static library of each platform that was built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/go-static.sh
module=$(sed -n 's/^module //p' go/go.mod)
version=v$(sed -n 's/^#define SHMKIT_VERSION "\(.*\)"/\1/p' include/shmkit.h)
time=$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null || echo 1980-01-01T00:00:00Z)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/files" "$work/proxy/$module/@v"
(cd go && find . \( -name '*.go' -o -name '*.h' -o -name '*.a' -o -name go.mod \) -print0 | xargs -0 cp --parents -t "$work/files")
cp LICENSE LICENSE-APACHE LICENSE-MIT CHANGELOG.md "$work/files"

served=$work/proxy/$module/@v
echo "$version" >"$served/list"
echo "{\"Version\":\"$version\",\"Time\":\"$time\"}" >"$served/$version.info"
cp go/go.mod "$served/$version.mod"
# The same content makes the same archive: sorted names, one date for all.
python3 - "$work/files" "$served/$version.zip" "$module@$version" <<'END'
import sys, zipfile
from pathlib import Path

root, archive, prefix = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        entry = zipfile.ZipInfo(f"{prefix}/{path.relative_to(root)}")
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        out.writestr(entry, path.read_bytes())
END

mkdir -p build
rm -rf build/go-module
mv "$work/proxy" build/go-module
echo "$module $version for" go/lib/*/libshmkit.a
