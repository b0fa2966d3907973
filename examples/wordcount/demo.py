"""Counts a real corpus with four workers in four languages, kills one of them, and checks the result.

demo.py PROGRAMS CORPUS [VICTIM]      VICTIM: rust, c, python or go (default c)

README.md in this folder says what the workers share. PROGRAMS is the folder with the compiled workers, called after
their languages; CORPUS is the file to gather the corpus in.
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
    shares = "  ".join(f"{language} {chunks}" for language, chunks in zip(LANGUAGES, results.by_worker, strict=True))
    line = f"  {bar:·<30} {done}/{chunk_count} chunks   {shares}"
    # On a terminal the line is drawn over itself; elsewhere only the last one is printed.
    if sys.stdout.isatty():
        print("\r" + line, end=end, flush=True)
    elif end:
        print(line)


def start_workers(programs, corpus, name, victim):
    commands = {language: [programs / language] for language in ("rust", "c", "go")}
    commands["python"] = [sys.executable, Path(__file__).with_name("main.py")]
    workers = {}
    for language in LANGUAGES:
        doomed = ["--doomed"] if language == victim else []
        workers[language] = subprocess.Popen([*map(str, commands[language]), str(corpus), name, *doomed])
    return workers


class Run:
    """Four workers on one region, from start to end."""

    def __init__(self, programs, corpus, victim):
        self.size = corpus.stat().st_size
        self.chunk_count = -(-self.size // CHUNK_SIZE)
        assert self.chunk_count <= MAX_CHUNKS, "the corpus is larger than the tables"
        self.programs, self.corpus, self.victim = programs, corpus, victim
        self.killed_at = self.inherited = None

    def run(self):
        """Words by length, lines and words, as the workers counted them."""
        name = f"wordcount-{os.getpid()}"
        with shmkit.Region.create(name, REGION_LEN) as region:
            try:
                region[0:16] = struct.pack("=QQ", self.chunk_count, CHUNK_SIZE)
                self.results = Results(region)
                self.workers = start_workers(self.programs, self.corpus, name, self.victim)
                self.watch()
                return self.results.by_length, self.results.lines, self.results.words
            finally:
                shmkit.Region.unlink(name)

    def watch(self):
        """Shows how it goes, and kills the victim when it stands in the middle of its critical section."""
        results, workers = self.results, self.workers
        deadline, first = time.monotonic() + TIME_LIMIT_S, None
        while results.chunks < self.chunk_count or any(worker.poll() is None for worker in workers.values()):
            if first is None and results.number(READY) == len(LANGUAGES):
                first = time.monotonic()
            if self.killed_at is None and results.number(WAITING):
                self.kill()
            if self.killed_at and not self.inherited and results.number(GIVEN_BACK):
                self.report_heir()
            for language, worker in workers.items():
                if worker.poll() not in (None, 0) and not (language == self.victim and self.killed_at):
                    sys.exit(f"demo: the {language} worker failed with status {worker.returncode}")
            if time.monotonic() > deadline:
                sys.exit(f"demo: not finished after {TIME_LIMIT_S} s")
            show_progress(results, self.chunk_count)
            time.sleep(0.002)
        took = time.monotonic() - first
        show_progress(results, self.chunk_count, end="\n")
        if workers[self.victim].returncode != -signal.SIGKILL or results.number(GIVEN_BACK) != 1:
            status, chunks = workers[self.victim].returncode, results.number(GIVEN_BACK)
            sys.exit(f"demo: the {self.victim} worker ended with {status}, {chunks} chunks were given back")
        megabytes = self.size / 1e6
        speed = megabytes / took
        print(f"  done:   {megabytes:.1f} MB in {took:.2f} s ({speed:.0f} MB/s), two chunks of them by the dead")

    def kill(self):
        show_progress(self.results, self.chunk_count, end="\n")
        print(f"  kill:   the {self.victim} worker has added half of a chunk's counts and holds the guard: SIGKILL")
        self.killed_at = time.monotonic()
        self.workers[self.victim].send_signal(signal.SIGKILL)
        self.workers[self.victim].wait()

    def report_heir(self):
        self.inherited = LANGUAGES[self.results.number(GIVEN_BACK_BY) - 1]
        took_ms = (time.monotonic() - self.killed_at) * 1e3
        print(f"  heir:   the {self.inherited} worker was told that the owner died, gave the chunk back and went on")
        print(f"          ({took_ms:.1f} ms after the kill)")


def compare_with_pipe(programs, corpus):
    """One Rust process counts the mapped file, and counts the same bytes when they come through a pipe."""
    program = programs / "rust"
    times = {"mapped": [], "pipe": []}
    for _ in range(3):
        for how in times:
            start = time.monotonic()
            if how == "mapped":
                output = subprocess.run([program, "mapped", corpus], check=True, capture_output=True).stdout
            else:
                sender = subprocess.Popen(["cat", corpus], stdout=subprocess.PIPE)
                output = subprocess.run([program, "stdin"], stdin=sender.stdout, check=True, capture_output=True).stdout
                sender.wait()
            times[how].append(time.monotonic() - start)
    mapped, pipe = (sorted(times[how])[1] for how in ("mapped", "pipe"))
    print(f"pipe:   one process counts the mapped file in {mapped:.3f} s;")
    print(f"        the same bytes through a pipe take it {pipe:.3f} s, {pipe / mapped:.2f} times as long")
    return [int(number) for number in output.split()]


def main(programs, corpus, victim="c"):
    if victim not in LANGUAGES:
        sys.exit(f"demo: the victim is one of {', '.join(LANGUAGES)}, not {victim!r}")
    programs, corpus = Path(programs), Path(corpus)
    gather_corpus(corpus)
    print("workers: rust, c, python and go, on one region")
    by_length, lines, words = Run(programs, corpus, victim).run()
    expected_by_length, expected_lines = independent_count(corpus)
    expected = sum(expected_by_length)
    print(f"check:  {words:,} words in {lines:,} lines; tr, awk and wc say {expected:,} in {expected_lines:,}")
    if by_length != expected_by_length or lines != expected_lines or words != expected:
        sys.exit("demo: the counts differ")
    if compare_with_pipe(programs, corpus) != [words, lines]:
        sys.exit("demo: the count through a pipe differs")
    print("demo: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
