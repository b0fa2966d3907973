#!/usr/bin/env bash
# Builds the workers of the word count and runs the demonstration. VICTIM=rust|c|python|go says who is killed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/build-runners.sh
mkdir -p build/demo
exec .venv/bin/python examples/wordcount/demo.py build/examples/wordcount build/demo/corpus.txt ${VICTIM:-c}
