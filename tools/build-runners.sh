#!/usr/bin/env bash
# Builds what the cross-language tests run: the conformance runner and each example, in each compiled language. They go
# to build/runners/<language> and build/examples/<task>/<language>; Python's are their sources. Needs what tools/build.sh
# made. With arguments, only for these languages: tools/build-runners.sh rust go
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tasks=()
for directory in examples/*/; do
    if [ -f "${directory}main.rs" ]; then
        tasks+=("$(basename "$directory")")
    fi
done
mkdir -p build/runners
for task in "${tasks[@]}"; do
    mkdir -p "build/examples/$task"
done

# install_program FROM TO: in place at once, so that a test that is running keeps the old one.
install_program() {
    cp "$1" "$2.new"
    mv "$2.new" "$2"
}

build_rust() {
    local target=${CARGO_TARGET_DIR:-target}/release/examples
    cargo build --release --quiet --package shmkit --examples
    install_program "$target/conformance-runner" build/runners/rust
    for task in "${tasks[@]}"; do
        install_program "$target/$task" "build/examples/$task/rust"
    done
}

# compile_c SOURCE PROGRAM: against the static library, as a program that is shipped alone.
compile_c() {
    cc -std=c11 -O2 -g -Wall -Wextra -pedantic -Werror -Iinclude "$1" build/c/libshmkit.a -lpthread -ldl -lm -o "$2.new"
    mv "$2.new" "$2"
}

build_c() {
    compile_c tests/conformance/runner.c build/runners/c
    for task in "${tasks[@]}"; do
        compile_c "examples/$task/main.c" "build/examples/$task/c"
    done
    compile_c examples/sysv/plain.c build/examples/sysv/plain
}

build_go() {
    local root=$PWD
    (cd tests/conformance/go && go build -o "$root/build/runners/go" .)
    for task in "${tasks[@]}"; do
        (cd examples && go build -o "$root/build/examples/$task/go" "./$task")
    done
}

for language in "${@:-rust c go}"; do
    for one in $language; do
        "build_$one"
    done
done
