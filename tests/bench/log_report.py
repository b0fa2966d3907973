"""How long the appends to a log take, as a picture: which part of them is done in which time.

log_report.py [RESULTS.json] writes log.svg beside the results of bench.py, which calls it too.
"""

import json
import math
import re
import sys
from pathlib import Path

NAME = re.compile(r"log\.append_p(\d+)\.rust\.vs_write")
WIDTH, HEIGHT, MARGIN = 560, 260, 50
LINES = {"append to a log": "#1b7837", "write(2)": "#d6604d"}
TICKS = {10: "10 ns", 100: "100 ns", 1000: "1 µs", 10_000: "10 µs", 100_000: "100 µs", 1_000_000: "1 ms"}


def collect(results):
    """For each part of the calls, in order: the part, and the longest of ours and of the peer's in it; nanoseconds."""
    points = []
    for row in results:
        if match := NAME.fullmatch(row["name"]):
            points.append((float("0." + match[1]), row["ours_ns"], row["peer_ns"]))
    return sorted(points)


def label(part):
    return f"{part * 100:.5g} %"


def picture(points):
    # The slow ones are few and matter: each step to the right leaves out a tenth of those before.
    def steps(part):
        return -math.log10(1 - part)

    low, high = 1, max(math.log10(max(ours, peer)) for _, ours, peer in points) + 0.1
    last = steps(points[-1][0])

    def x(part):
        return MARGIN + steps(part) / last * WIDTH

    def y(nanoseconds):
        return MARGIN + HEIGHT - (math.log10(max(nanoseconds, 10)) - low) / (high - low) * HEIGHT

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 2 * MARGIN}" height="{HEIGHT + 2 * MARGIN}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{MARGIN}" y="20" font-weight="bold">A record of 100 bytes: so many of the calls take at most</text>',
    ]
    for nanoseconds, text in TICKS.items():
        if math.log10(nanoseconds) <= high:
            at = f"{y(nanoseconds):.1f}"
            parts.append(f'<path d="M{MARGIN} {at}h{WIDTH}" stroke="#ddd"/>')
            parts.append(f'<text x="{MARGIN - 4}" y="{at}" text-anchor="end">{text}</text>')
    for part, _, _ in points:
        parts.append(f'<text x="{x(part):.1f}" y="{MARGIN + HEIGHT + 16}" text-anchor="middle">{label(part)}</text>')
    for index, (name, colour) in enumerate(LINES.items()):
        path = " ".join(f"{x(point[0]):.1f},{y(point[index + 1]):.1f}" for point in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{MARGIN + 10}" y="{MARGIN + 14 + 16 * index}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(results, directory):
    """Writes the picture if the results have such figures, and says so."""
    points = collect(results)
    if len(points) > 1:
        (directory / "log.svg").write_text(picture(points))
        print(f"bench: log.svg in {directory}")


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "target/bench/results.json"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    write(json.loads(path.read_text()), path.parent)
