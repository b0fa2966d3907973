#!/usr/bin/env bash
# Builds and runs the benchmarks; arguments: the groups wanted, or none for all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p build/bench
cargo build --quiet --release --package shmkit-bench
cp target/release/shmkit-bench build/bench/rust
cc -std=c11 -O2 -Wall -Wextra -Iinclude tests/bench/c/*.c build/c/libshmkit.a -lpthread -ldl -lm -lrt -o build/bench/c
(cd tests/bench/go && go build -o ../../../build/bench/go .)
# Against a library for C++, where it is installed.
rm -f build/bench/cpp-spdlog
if pkg-config --exists spdlog 2>/dev/null; then
    # shellcheck disable=SC2046  # one word for each flag
    c++ -std=c++17 -O2 -Iinclude $(pkg-config --cflags spdlog) tests/bench/cpp/spdlog.cpp build/c/libshmkit.a \
        $(pkg-config --libs spdlog) -lpthread -ldl -lm -o build/bench/cpp-spdlog
else
    echo "bench: no spdlog here (Debian: libspdlog-dev): the log is not timed beside it" >&2
fi
rm -f build/bench/cpp-boost
if echo '#include <boost/version.hpp>' | c++ -E -x c++ - >/dev/null 2>&1; then
    c++ -std=c++17 -O2 -Wall -Wextra -Iinclude tests/bench/cpp/boost.cpp build/c/libshmkit.a -lpthread -ldl -lm -lrt \
        -o build/bench/cpp-boost
else
    echo "bench: no Boost here (Debian: libboost-dev): heaps and pools are not timed beside it" >&2
fi
exec .venv/bin/python tests/bench/bench.py "$@"
