"""Counts a real corpus with four workers in four languages, kills one of them, and checks the result.

demo.py WORKERS_FOLDER [VICTIM]      VICTIM: rust, c, python or go (default c)

README.md in this folder says what the workers share. The folder holds the programs that tools/demo.sh built.
"""

import os
import signal
import struct
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import shmkit

LANGUAGES = ["rust", "c", "python", "go"]
CHUNK_SIZE = 256 * 1024
MAX_CHUNKS = 16384
ACTIVE, READY, WAITING, GIVEN_BACK, GIVEN_BACK_BY = 16, 40, 48, 56, 64
RESULTS, RESULT_LEN = 32768, 32768
REGION_LEN = 3 * 32768
TIME_LIMIT_S = 120


def gather_corpus(path):
    """All sources of the Python and Go standard libraries in one file."""
    python = Path(sysconfig.get_path("stdlib"))
    go = Path(
        subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip(),
        "src",
    )
    sources = [file for file in python.rglob("*.py") if "site-packages" not in file.parts]
    sources += go.rglob("*.go")
    with path.open("wb") as corpus:
        for source in sorted(sources):
            if source.is_file():
                corpus.write(source.read_bytes())
    print(f"corpus: {len(sources):,} source files, {path.stat().st_size / 1e6:.1f} MB in {path.name}")


def independent_count(corpus):
    """Words by length, and lines, by tools that know nothing of shared memory."""
    script = (
        "tr -cs 'A-Za-z0-9_' '\\n' <\"$1\" | "
        "awk 'length > 0 { n[length < 32 ? length : 32]++ } END { for (i = 1; i <= 32; i++) print n[i] + 0 }'; "
        'wc -l <"$1"'
    )
    output = subprocess.run(
        ["sh", "-c", script, "sh", corpus],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout.split()
    *by_length, lines = map(int, output)
    return by_length, lines


class Results:
    """What the region says, without taking its guard: numbers are read one by one, and each is whole."""

    def __init__(self, region):
        self.region = region

    def number(self, offset):
        return struct.unpack("=Q", self.region.read_at(offset, 8))[0]

    def result(self, offset):
        return self.number(RESULTS + self.number(ACTIVE) * RESULT_LEN + offset)

    words = property(lambda self: self.result(0))
    lines = property(lambda self: self.result(8))
    chunks = property(lambda self: self.result(16))
    by_worker = property(lambda self: [self.result(24 + i * 8) for i in range(4)])
    by_length = property(lambda self: [self.result(64 + i * 8) for i in range(32)])


def show_progress(results, chunk_count, end=""):
    done = results.chunks
    bar = "█" * (30 * done // chunk_count)
    shares = "  ".join(f"{language} {chunks}" for language, chunks in zip(LANGUAGES, results.by_worker))
    line = f"  {bar:·<30} {done}/{chunk_count} chunks   {shares}"
    # On a terminal the line is drawn over itself; elsewhere only the last one is printed.
    if sys.stdout.isatty():
        print("\r" + line, end=end, flush=True)
    elif end:
        print(line)


def start_workers(folder, corpus, name, victim):
    commands = {language: [folder / f"wordcount-{language}"] for language in ("rust", "c", "go")}
    commands["python"] = [sys.executable, Path(__file__).with_name("main.py")]
    workers = {}
    for language in LANGUAGES:
        doomed = ["--doomed"] if language == victim else []
        workers[language] = subprocess.Popen([*map(str, commands[language]), str(corpus), name, *doomed])
    return workers


def run_workers(folder, corpus, victim):
    """Runs the four workers to the end and returns what they counted."""
    size = corpus.stat().st_size
    chunk_count = -(-size // CHUNK_SIZE)
    assert chunk_count <= MAX_CHUNKS, "the corpus is larger than the tables"
    name = f"wordcount-{os.getpid()}"
    with shmkit.Region.create(name, REGION_LEN) as region:
        try:
            region[0:16] = struct.pack("=QQ", chunk_count, CHUNK_SIZE)
            results = Results(region)
            workers = start_workers(folder, corpus, name, victim)
            started, first, killed = time.monotonic(), None, None
            while results.chunks < chunk_count or any(w.poll() is None for w in workers.values()):
                if first is None and results.number(READY) == len(LANGUAGES):
                    first = time.monotonic()
                if results.number(WAITING) and killed is None:
                    killed = time.monotonic()
                    show_progress(results, chunk_count, end="\n")
                    print(
                        f"  kill:   the {victim} worker has added half of a chunk's counts, holding the guard: SIGKILL"
                    )
                    workers[victim].send_signal(signal.SIGKILL)
                    workers[victim].wait()
                if killed and results.number(GIVEN_BACK) and killed is not True:
                    heir = LANGUAGES[results.number(GIVEN_BACK_BY) - 1]
                    took_ms = (time.monotonic() - killed) * 1e3
                    print(
                        f"  heir:   the {heir} worker was told that the owner died, gave its chunk back and went on ({took_ms:.1f} ms)"
                    )
                    killed = True
                for language, worker in workers.items():
                    if worker.poll() not in (None, 0) and not (language == victim and killed):
                        sys.exit(f"demo: the {language} worker failed with status {worker.returncode}")
                if time.monotonic() - started > TIME_LIMIT_S:
                    sys.exit(f"demo: not finished after {TIME_LIMIT_S} s")
                show_progress(results, chunk_count)
                time.sleep(0.002)
            took = time.monotonic() - first
            show_progress(results, chunk_count, end="\n")
            if workers[victim].returncode != -signal.SIGKILL or not killed:
                sys.exit(
                    f"demo: the {victim} worker ended with {workers[victim].returncode} instead of being killed"
                )
            if results.number(GIVEN_BACK) != 1:
                sys.exit(f"demo: {results.number(GIVEN_BACK)} chunks were given back instead of one")
            print(
                f"  done:   {size / 1e6:.1f} MB in {took:.2f} s, {size / 1e6 / took:.0f} MB/s, by three survivors and the dead one's first two chunks"
            )
            return results.by_length, results.lines, results.words
        finally:
            shmkit.Region.unlink(name)


def compare_with_pipe(folder, corpus):
    """One Rust process counts the mapped file, and counts the same bytes when they come through a pipe."""
    program = folder / "wordcount-rust"
    times = {"mapped": [], "pipe": []}
    for _ in range(3):
        for how in times:
            start = time.monotonic()
            if how == "mapped":
                output = subprocess.run([program, "mapped", corpus], check=True, capture_output=True).stdout
            else:
                sender = subprocess.Popen(["cat", corpus], stdout=subprocess.PIPE)
                output = subprocess.run(
                    [program, "stdin"], stdin=sender.stdout, check=True, capture_output=True
                ).stdout
                sender.wait()
            times[how].append(time.monotonic() - start)
    mapped, pipe = (sorted(times[how])[1] for how in ("mapped", "pipe"))
    print(
        f"pipe:   one process counts the mapped file in {mapped:.3f} s; through a pipe the same takes {pipe:.3f} s ({pipe / mapped:.2f} times)"
    )
    return [int(number) for number in output.split()]


def main(folder, victim="c"):
    if victim not in LANGUAGES:
        sys.exit(f"demo: the victim is one of {', '.join(LANGUAGES)}, not {victim!r}")
    folder = Path(folder)
    corpus = folder / "corpus.txt"
    gather_corpus(corpus)
    print("workers: rust, c, python and go, on one region")
    by_length, lines, words = run_workers(folder, corpus, victim)
    expected_by_length, expected_lines = independent_count(corpus)
    print(
        f"check:  {words:,} words in {lines:,} lines; tr, awk and wc say {sum(expected_by_length):,} in {expected_lines:,}"
    )
    if by_length != expected_by_length or lines != expected_lines or words != sum(expected_by_length):
        sys.exit("demo: the counts differ")
    if compare_with_pipe(folder, corpus) != [words, lines]:
        sys.exit("demo: the count through a pipe differs")
    print("demo: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
