"""The examples of all languages do the same, print the same, and work together."""

import itertools
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import languages
from helpers.objects import object_path


def run(task: str, language: str, *arguments: str) -> str:
    """What the example prints; it must end well and say nothing else."""
    result = subprocess.run(
        [*languages.example(task, language), *arguments], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def refused(task: str, language: str, *arguments: str) -> str:
    """What the example says on stderr when it cannot do what it is asked."""
    result = subprocess.run(
        [*languages.example(task, language), *arguments], capture_output=True, text=True, timeout=60
    )
    assert result.returncode not in (0, -6, -11), result
    assert result.stdout == ""
    return result.stderr


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = metafunc.config.getoption("--languages").split(",")
    if "chosen" in metafunc.fixturenames:
        metafunc.parametrize("chosen", [pytest.param(chosen, id="all")])
    if "writer" in metafunc.fixturenames:
        metafunc.parametrize(("writer", "reader"), list(itertools.product(chosen, repeat=2)))
    elif "language" in metafunc.fixturenames:
        metafunc.parametrize("language", chosen)


def test_file_mapping(writer: str, reader: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    assert run("file_mapping", writer, "write", str(path)) == f"wrote 2 bytes to {path}\n"
    assert path.read_bytes() == b"Hi" + bytes(4094)
    assert run("file_mapping", reader, "read", str(path)) == "read: Hi\n"


def test_file_mapping_mode(language: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    program = languages.example("file_mapping", language)
    subprocess.run([*program, "write", str(path)], check=True, capture_output=True, umask=0o022)
    assert path.stat().st_mode & 0o777 == 0o644


def test_named_region(writer: str, reader: str, fresh_name: str) -> None:
    assert run("named_region", writer, "write", fresh_name) == f"wrote: hello from {writer}\n"
    assert object_path(fresh_name).exists(), "the region stays when its creator ends"
    expected = f"read: hello from {writer}\nunlinked\n"
    assert run("named_region", reader, "read", fresh_name) == expected
    assert not object_path(fresh_name).exists()


def test_lifecycle(language: str, fresh_name: str) -> None:
    assert run("lifecycle", language, fresh_name).splitlines() == [
        "close with a live view: busy",
        "close with the guard held: busy",
        "closed",
        "access after close: refused",
        "unlinked",
    ]


TRACES = Path(__file__).parents[1] / "traces"


@pytest.mark.parametrize("trace", ["compile", "query"])
def test_allocators(language: str, trace: str, tmp_path: Path) -> None:
    """Each language tells the same of the same trace: the heaps do the same."""
    path = str(TRACES / f"{trace}.trace")
    told = run("allocators", language, path).splitlines()
    assert [line.split(":")[0] for line in told[::2]] == ["best fit", "first fit", "buddy"]
    course = {line.split(":")[0]: [float(word) for word in line.split()[-10:]] for line in told[::2]}
    assert all(0 <= value < 1 for values in course.values() for value in values)
    assert max(course["best fit"]) < max(course["buddy"])
    assert told == run("allocators", "rust", path).splitlines()
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"no trace")
    assert "is no trace" in refused("allocators", language, str(wrong))
    assert "usage" in refused("allocators", language)


def test_allocators_are_plotted(tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.write_bytes(b"shmkit trace 1\n" + bytes([100 << 2 & 0x7F | 0x80, 100 << 2 >> 7, 1] * 20))
    program = [*languages.example("allocators", "python"), str(few), "--plot"]
    shown = subprocess.run(program, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True)
    assert "100 % |" in shown.stdout or (tmp_path / "allocators.png").exists()


def test_shrinking(language: str, tmp_path: Path) -> None:
    assert run("shrinking", language, str(tmp_path / "data.bin")).splitlines() == [
        "mapped 20000 bytes, one of them is 120",
        "cut: now it is 0",
        "noticed",
        "mapped again: 5000 bytes",
    ]


def test_resize(language: str, fresh_name: str, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    assert run("resize", language, fresh_name, str(path)).splitlines() == [
        "grown: 1000000 bytes, the other sees 1000000",
        "shrunk: 4096 bytes, kept",
        "the file has 100000 bytes, the view 4096",
    ]
    assert path.stat().st_size == 100_000
    assert not object_path(fresh_name).exists()


def start(task: str, language: str, *arguments: str) -> subprocess.Popen[str]:
    """The example, running."""
    command = [*languages.example(task, language), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_frames_are_passed_on_without_a_copy(chosen: list[str], fresh_name: str) -> None:
    """Each language produces and consumes; who gets whose frames is left to chance."""
    count = 200
    parts = {"produce": f"passed on {count} frames\n", "consume": f"took {count} frames, {count} of them whole\n"}
    running = [
        (start("pool", language, fresh_name, part, str(count)), said)
        for part, said in parts.items()
        for language in chosen
    ]
    try:
        for process, said in running:
            assert process.communicate(timeout=60) == (said, "")
    finally:
        for process, _ in running:
            process.kill()
    assert run("pool", chosen[0], fresh_name, "show") == "8 of 8 blocks free, 0 came back from the dead\n"
    assert run("pool", chosen[0], fresh_name, "remove") == "unlinked\n"


def test_blocks_of_a_killed_process_come_back(writer: str, reader: str, fresh_name: str) -> None:
    hoarder = start("pool", writer, fresh_name, "hoard")
    assert hoarder.stdout is not None
    assert hoarder.stdout.readline() == "took 8 blocks\n"
    assert run("pool", reader, fresh_name, "show") == "0 of 8 blocks free, 0 came back from the dead\n"
    hoarder.kill()
    hoarder.communicate()
    assert run("pool", reader, fresh_name, "show") == "8 of 8 blocks free, 8 came back from the dead\n"
    assert run("pool", reader, fresh_name, "remove") == "unlinked\n"
    assert fresh_name in refused("pool", reader, fresh_name, "show")
    assert "usage" in refused("pool", reader, fresh_name, "many").lower()


def test_readings_are_whole_in_every_language(chosen: list[str], fresh_name: str) -> None:
    """Writers and readers of all languages at once; nobody sees a half, and no reading is lost."""
    count = 2000
    total = count * len(chosen)
    told = {"write": f"wrote {count} readings\n", "watch": f"watched up to {total}, 0 torn\n"}
    running = [
        (start("value", language, fresh_name, part, str(count if part == "write" else total)), said)
        for part, said in told.items()
        for language in chosen
    ]
    try:
        for process, said in running:
            assert process.communicate(timeout=60) == (said, "")
    finally:
        for process, _ in running:
            process.kill()
            process.communicate()
    assert run("value", chosen[0], fresh_name, "limit", "40") == "limit 40\n"
    for language in chosen:
        assert run("value", language, fresh_name, "show") == f"reading {total}, whole, limit 40\n"
    assert run("value", chosen[0], fresh_name, "remove") == "unlinked\n"


def test_a_killed_writer_leaves_a_whole_reading(writer: str, reader: str, fresh_name: str) -> None:
    victim = start("value", writer, fresh_name, "write", "1000000000")
    try:
        assert run("value", reader, fresh_name, "watch", "1000") == "watched up to 1000, 0 torn\n"
    finally:
        victim.kill()
        victim.communicate()
    shown = run("value", reader, fresh_name, "show")
    last = re.fullmatch(r"reading (\d+), whole, limit 30\n", shown)
    assert last, shown
    assert run("value", reader, fresh_name, "write", "10") == "wrote 10 readings\n"
    shown = run("value", writer, fresh_name, "show")
    assert shown == f"reading {int(last[1]) + 10}, whole, limit 30\n"
    assert run("value", reader, fresh_name, "remove") == "unlinked\n"
    assert fresh_name in refused("value", reader, fresh_name, "show")
    assert "usage" in refused("value", reader, fresh_name, "many").lower()


def test_counter(language: str, fresh_name: str) -> None:
    assert run("counter", language, fresh_name, "10") == "added 10 three times\n"
    assert run("counter", language, fresh_name, "0") == "added 0 three times\n"
    assert run("counter", language, fresh_name, "show") == "atomic 10, mutex 10, rwlock 10\n"
    assert run("counter", language, fresh_name, "remove") == "unlinked\n"
    assert not object_path(fresh_name).exists()
    assert fresh_name in refused("counter", language, fresh_name, "show")
    assert "usage" in refused("counter", language, fresh_name, "many").lower()


def test_counters_of_all_languages_lose_nothing(chosen: list[str], fresh_name: str) -> None:
    """Two processes of each language count at once, long enough to meet."""
    count = 100_000
    counters = [
        subprocess.Popen(
            [*languages.example("counter", language), fresh_name, str(count)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for language in chosen * 2
    ]
    try:
        for counter in counters:
            assert counter.communicate(timeout=60) == (f"added {count} three times\n", "")
            assert counter.returncode == 0
    finally:
        for counter in counters:
            counter.kill()
            counter.communicate()
    total = count * len(counters)
    for language in chosen:
        shown = run("counter", language, fresh_name, "show")
        assert shown == f"atomic {total}, mutex {total}, rwlock {total}\n"
    assert run("counter", chosen[0], fresh_name, "remove") == "unlinked\n"


def test_counters_survive_a_kill(language: str, chosen: list[str], fresh_name: str) -> None:
    """A process that is killed while it counts leaves numbers with which the others go on."""
    victim = subprocess.Popen([*languages.example("counter", language), fresh_name, "1000000000"])
    try:
        wait_until_it_counts(fresh_name, chosen[0])
    finally:
        victim.kill()
        victim.wait()
    before = numbers(run("counter", chosen[0], fresh_name, "show"))
    assert max(before) - min(before) <= 1, "each number is whole; at most one addition was under way"
    for other in chosen:
        assert run("counter", other, fresh_name, "1000") == "added 1000 three times\n"
    after = numbers(run("counter", chosen[0], fresh_name, "show"))
    assert after == [number + 1000 * len(chosen) for number in before]
    assert run("counter", chosen[0], fresh_name, "remove") == "unlinked\n"


def numbers(shown: str) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", shown)]


def wait_until_it_counts(name: str, language: str) -> None:
    deadline = time.monotonic() + 30
    program = [*languages.example("counter", language), name, "show"]
    while True:
        shown = subprocess.run(program, capture_output=True, text=True, timeout=60)
        if shown.returncode == 0 and min(numbers(shown.stdout)) > 0:
            return
        assert time.monotonic() < deadline, shown
        time.sleep(0.01)


def test_log(language: str, chosen: list[str], tmp_path: Path) -> None:
    """Writers of all languages at once, one that is killed at its record, and one that follows."""
    directory = str(tmp_path / "log")
    victim = subprocess.Popen(
        [*languages.example("log", language), "claim", directory], stdout=subprocess.PIPE, text=True
    )
    assert victim.stdout is not None and victim.stdout.readline() == "claimed\n"
    follow = [*languages.example("log", language), "follow", directory, str(len(chosen)), "500"]
    follower = subprocess.Popen(follow, stdout=subprocess.PIPE, text=True)
    writers = [
        subprocess.Popen(
            [*languages.example("log", other), "write", directory, str(number), "500"], stdout=subprocess.PIPE
        )
        for number, other in enumerate(chosen, 1)
    ]
    for number, writer in enumerate(writers, 1):
        assert writer.communicate(timeout=60)[0].decode() == f"writer {number} appended 500 records\n"
    assert follower.poll() is None, "it waits behind the record that is being written"
    victim.kill()
    victim.communicate()
    told = follower.communicate(timeout=60)[0]
    assert told == f"read {500 * len(chosen)} records, each once and in order; skipped 1\n"


def test_log_policies(language: str, tmp_path: Path) -> None:
    lines = run("log", language, "time", str(tmp_path / "log")).splitlines()
    found = [re.fullmatch(r"(\w+): (\d+) ns a record, (\d+) flushes", line) for line in lines]
    flushes = {match[1]: int(match[3]) for match in found if match}
    assert list(flushes) == ["none", "interval", "bytes", "group", "every"]
    assert flushes["none"] == 0 and flushes["interval"] > 0 and flushes["bytes"] > 0
    assert flushes["group"] == flushes["every"] == 200, "one who waits alone shares with nobody"


def test_shared_private(language: str, tmp_path: Path) -> None:
    assert run("shared_private", language, str(tmp_path / "data.bin")).splitlines() == [
        "after a private write: shared first, private secret, reader first",
        "after a shared write: shared public, private secret, reader public",
        "the file holds: public",
    ]


def test_protection(language: str, tmp_path: Path) -> None:
    path = tmp_path / "config.bin"
    assert run("protection", language, str(path)).splitlines() == [
        "a write to a read-only page: refused, read-only",
        "a write to the page after it: done",
        "protecting pages with a writable view: refused, busy",
        "a read of a page without access: refused, no access",
        "a write after all was allowed: done",
        "allowing writes to a file open for reading: refused, read-only",
    ]
    assert path.read_bytes() == b"Config" + bytes(4090) + b"x" + bytes(4095)


def test_anonymous(language: str) -> None:
    assert run("anonymous", language) == "of my own: mine\nthe child wrote: Hi\n"


@pytest.fixture
def sysv_key() -> Iterator[str]:
    """A System V key that nobody else uses; what is left under it goes."""
    key = str(0x58000000 | os.getpid() & 0xFFFF | secrets.randbelow(1 << 8) << 16)
    yield key
    for program in (languages.example("sysv", "rust"), [languages.PLAIN_SYSV]):
        subprocess.run([*program, "remove", key], capture_output=True)


def test_sysv(language: str, sysv_key: str) -> None:
    """With each other by way of a plain C program that knows nothing of the library."""

    def plain(*arguments: str) -> str:
        return subprocess.run(
            [languages.PLAIN_SYSV, *arguments], check=True, capture_output=True, text=True, timeout=60
        ).stdout

    assert run("sysv", language, "write", sysv_key, f"from {language}") == f"wrote: from {language}\n"
    assert plain("read", sysv_key) == f"read: from {language}\n"
    assert plain("write", sysv_key, "from plain C") == "wrote: from plain C\n"
    assert run("sysv", language, "read", sysv_key) == "read: from plain C\n"
    assert run("sysv", language, "remove", sysv_key) == "removed\n"
    assert "create it first" in refused("sysv", language, "read", sysv_key)

    assert plain("write", sysv_key, "plain is first") == "wrote: plain is first\n"
    assert run("sysv", language, "write", sysv_key, "second") == "wrote: second\n"
    assert plain("read", sysv_key) == "read: second\n"
    assert plain("remove", sysv_key) == "removed\n"


def test_jit(language: str) -> None:
    assert run("jit", language, "40", "2").splitlines() == [
        "called before it is sealed: PermissionDenied",
        "written after it is sealed: ReadOnly",
        "2 + 40 = 42",
        "patched: 2 + 2 = 4",
    ]


def test_flush(language: str, tmp_path: Path) -> None:
    first, *timed, last = run("flush", language, str(tmp_path / "data.bin")).splitlines()
    assert first in ("a flush reaches a device: yes", "a flush reaches a device: no")
    names = ["async", "sync", "sync again", "sync, one page", "invalidate"]
    assert [re.fullmatch(r"(.*?) +\d+\.\d{3} ms", line)[1] for line in timed] == names
    assert last in ("pages not on the disk: 0", "pages not on the disk: unknown")
    assert (tmp_path / "data.bin").read_bytes() == b"\2" * (16 << 20)


def test_flush_without_a_device(language: str, fresh_name: str) -> None:
    """A shared memory object has no disk: all that is flushed is done at once."""
    path = object_path(fresh_name)
    try:
        assert run("flush", language, str(path)).startswith("a flush reaches a device: no\n")
    finally:
        path.unlink()


def test_pages(language: str) -> None:
    pages = (16 << 20) // os.sysconf("SC_PAGE_SIZE")
    *shown, huge = run("pages", language, "16").splitlines()
    assert shown[:3] == [
        f"untouched: 0 of {pages} pages",
        f"an eighth touched: {pages // 8} of {pages} pages",
        f"populated: {pages} of {pages} pages",
    ]
    assert shown[3:5] == ["faults of the first touch: some", "faults when populated: hardly any"]
    assert shown[5:] == [f"let go: 0 of {pages} pages", f"populated, huge: {pages} of {pages} pages"]
    assert 0 <= int(re.fullmatch(r"in huge pages: (\d+) MiB", huge)[1]) <= 16


def test_windows(language: str, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    title, headings, each, windows, summary = run("windows", language, str(path), "64").splitlines()
    assert title == "64 MiB, 20000 reads of 4096 bytes at random"
    assert headings.split() == ["mmap", "munmap", "faults", "ms", "in", "kernel"]
    assert each.split()[:6] == ["a", "map", "for", "each", "20000", "20000"]
    assert windows.split()[:4] == ["windows,", "reused", "16", "0"]
    assert int(each.split()[6]) > int(windows.split()[4]), "faults"
    # Each of the 16 windows is mapped once.
    assert summary == "19984 of 20000 reads found their window mapped; 0 gave their place"
    assert path.stat().st_size == 64 << 20


def test_failures_are_told(language: str, fresh_name: str, tmp_path: Path) -> None:
    """A newcomer who runs the steps in the wrong order reads what to do next."""
    missing = str(tmp_path / "missing")
    assert missing in refused("file_mapping", language, "read", missing)
    said = refused("named_region", language, "read", fresh_name)
    assert fresh_name in said and "create it first" in said
    for task in (
        "file_mapping",
        "named_region",
        "lifecycle",
        "counter",
        "shared_private",
        "protection",
        "sysv",
        "jit",
        "flush",
        "pages",
        "windows",
    ):
        assert "usage" in refused(task, language).lower()
