"""Runs the benchmark programs of the four languages, prints a table and writes target/bench/results.json.

bench.py [GROUP ...]

Each program prints one JSON object a line: name, ours_ns, peer_ns. The name is `<group>.<case>.<language>.vs_<peer>`;
the ratio is ours divided by peer, so lower is better.
"""

import json
import subprocess
import sys
from pathlib import Path

import ipc_report
import log_report

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "bench"
PROGRAMS = [
    [BUILT / "rust"],
    [BUILT / "c"],
    [BUILT / "go"],
    [sys.executable, ROOT / "tests/bench/python/bench_python.py"],
]


def main(groups):
    results = []
    print(f"{'name':<56} {'ours ns':>12} {'peer ns':>12} {'ratio':>7}")
    # Peers in C++, where they are installed: tools/bench.sh says what is missing.
    peers = {"cpp-spdlog": {"log"}, "cpp-boost": {"heap", "pool"}}
    optional = [
        [BUILT / name]
        for name, theirs in peers.items()
        if (BUILT / name).exists() and (not groups or theirs.intersection(groups))
    ]
    for program in PROGRAMS + optional:
        with subprocess.Popen([*map(str, program), *groups], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                row = json.loads(line)
                row["ratio"] = round(row["ours_ns"] / row["peer_ns"], 3)
                results.append(row)
                print(
                    f"{row['name']:<56} {row['ours_ns']:>12.1f} {row['peer_ns']:>12.1f} {row['ratio']:>7.3f}"
                    + (f"  ({row['unit']})" if "unit" in row else ""),
                    flush=True,
                )
        if process.returncode:
            sys.exit(f"bench: {program[0]} ended with status {process.returncode}")
    if not results:
        sys.exit(f"bench: no group is called {' or '.join(groups)}")
    path = ROOT / "target" / "bench" / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    ipc_report.write(results, path.parent)
    log_report.write(results, path.parent)
    print(f"bench: {len(results)} figures in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
