#!/usr/bin/env bash
# Records what a program allocates, for the benchmarks and the example: trace.sh TRACE PROGRAM [ARGUMENT ...]
# The traces in tests/traces were made so:
#   PYTHONMALLOC=malloc tools/trace.sh tests/traces/compile.trace python3 -c 'import ast, inspect; ast.parse(inspect.getsource(ast))'
#   tools/trace.sh tests/traces/query.trace sqlite3 :memory: '.read tests/traces/query.sql'
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
trace=$1
shift

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Without -fno-builtin the compiler makes a call of calloc out of the body of calloc.
cc -std=c11 -O2 -fno-builtin -Wall -Wextra -shared -fPIC "$top/tests/traces/record.c" -o "$work/record.so" -ldl -lpthread
SHMKIT_TRACE=$work/recorded LD_PRELOAD=$work/record.so "$@" >/dev/null
python3 "$top/tests/traces/pack.py" "$work/recorded" "$trace" "${STEPS:-300000}"
