"""The comparison of ways between processes as a table and as a picture.

ipc_report.py [RESULTS.json] writes ipc.md and ipc.svg beside the results of bench.py, which calls it too.
"""

import json
import math
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

OURS = "shared memory"
WAYS = {OURS: "#1b7837", "pipe": "#4393c3", "unix_socket": "#92c5de", "posix_mq": "#d6604d", "sysv_mq": "#f4a582"}
LANGUAGES = ["rust", "c", "go", "python"]
SIZES = {"64b": "64 B", "4k": "4 KiB", "1m": "1 MiB"}
CASES = {"roundtrip": "round trip", "throughput": "one way"}
NAME = re.compile(r"ipc\.(\w+?)_(\w+)\.(\w+)\.vs_(\w+)")


def collect(results):
    """Microseconds for each case, size, language and way. Ours, measured beside each of the others, is their median."""
    times, ours = {}, defaultdict(list)
    for row in results:
        if match := NAME.fullmatch(row["name"]):
            case, size, language, way = match.groups()
            times[case, size, language, way] = row["peer_ns"] / 1000
            ours[case, size, language, OURS].append(row["ours_ns"] / 1000)
    return times | {key: statistics.median(values) for key, values in ours.items()}


def number(value):
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}" if value < 100 else f"{value:.0f}"


def table(times):
    lines = [f"| µs | language | {' | '.join(WAYS)} |", "|---|---|" + "---:|" * len(WAYS)]
    for case, case_name in CASES.items():
        for size, size_name in SIZES.items():
            for language in LANGUAGES:
                cells = [times.get((case, size, language, way)) for way in WAYS]
                if None not in cells:
                    best = min(cells)
                    texts = [f"**{number(cell)}**" if cell == best else number(cell) for cell in cells]
                    lines.append(f"| {case_name}, {size_name} | {language} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def panel(times, case, size, left, top, width, height):
    """Bars for one case and size, in groups by language, on a scale of their own."""
    shown = {(language, way): times.get((case, size, language, way)) for language in LANGUAGES for way in WAYS}
    most = max(value for value in shown.values() if value)
    parts = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{CASES[case]}, {SIZES[size]}: µs</text>']
    group, bar = width / len(LANGUAGES), width / len(LANGUAGES) / (len(WAYS) + 1)
    for place, language in enumerate(LANGUAGES):
        for index, (way, colour) in enumerate(WAYS.items()):
            if value := shown[language, way]:
                x, tall = left + place * group + index * bar, height * value / most
                parts.append(
                    f'<rect x="{x:.1f}" y="{top + height - tall:.1f}" width="{bar - 1:.1f}" height="{tall:.1f}" '
                    f'fill="{colour}"><title>{way}, {language}: {number(value)} µs</title></rect>'
                )
        parts.append(f'<text x="{left + place * group}" y="{top + height + 14}">{language}</text>')
    parts.append(f'<text x="{left + width}" y="{top + 4}" text-anchor="end">{number(most)}</text>')
    return parts


def picture(times):
    width, height, gap = 300, 120, 50
    across, down = len(SIZES) * (width + gap) + gap, len(CASES) * (height + gap) + gap + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, case in enumerate(CASES):
        for column, size in enumerate(SIZES):
            place = (gap + column * (width + gap), gap + row * (height + gap), width, height)
            parts += panel(times, case, size, *place)
    for index, (way, colour) in enumerate(WAYS.items()):
        x = gap + index * 130
        parts.append(f'<rect x="{x}" y="{down - 22}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="{down - 13}">{way}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(results, directory):
    """Writes both files if the results have such figures, and says so."""
    times = collect(results)
    if not times:
        return
    (directory / "ipc.md").write_text(table(times))
    (directory / "ipc.svg").write_text(picture(times))
    print(table(times) + f"bench: ipc.md and ipc.svg in {directory}")


if __name__ == "__main__":
    default = Path(__file__).resolve().parents[2] / "target/bench/results.json"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    write(json.loads(path.read_text()), path.parent)
