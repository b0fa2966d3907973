"""`shmkit log`."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

import shmkit

from .machine import COMMAND, LIMIT_S, Terminal

SEGMENT = 8192


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "log", *map(str, arguments)]
    settings = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": LIMIT_S, **options}
    return subprocess.run(command, **settings)


def output(*arguments: str | Path) -> str:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def screen(*arguments: str | Path, **environment: str) -> str:
    """What it shows on a terminal."""
    terminal = Terminal([str(COMMAND), "log", *map(str, arguments)], environment)
    try:
        assert terminal.status() == 0
    finally:
        terminal.kill()
    return terminal.shown


@pytest.fixture
def log(tmp_path: Path) -> shmkit.Log:
    return shmkit.Log.create(tmp_path / "events", segment_len=SEGMENT)


def fill(log: shmkit.Log, records: int) -> None:
    for number in range(records):
        log.append(b"%d" % number + b"." * 500, kind=20)


def segment(log: shmkit.Log, base: int) -> Path:
    return Path(log.directory) / f"segment-{base:020}.log"


def test_records_as_lines(log: shmkit.Log) -> None:
    for kind, data in [(20, "größe".encode()), (40, b"\xff\0raw\n"), (7, b""), (50, b"two\nlines \x1b[31m")]:
        log.append(data, kind=kind)
    lines = output("cat", log.directory).splitlines()
    shown = [re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (.*)", line)[1] for line in lines]
    assert shown == [" INFO größe", r"ERROR �\u{0}raw", "    7 ", r"FATAL two\nlines \u{1b}[31m"]
    assert output("export", log.directory).splitlines() == lines
    assert output("tail", "-n", "2", log.directory).splitlines() == lines[2:]
    assert output("tail", "-n", "0", log.directory) == ""


def test_records_for_programs(log: shmkit.Log, tmp_path: Path) -> None:
    payloads = ['größe "\\\n\x1b'.encode(), b"\xff\0raw", b"", bytes(range(32))]
    positions = [log.append(data, kind=index) for index, data in enumerate(payloads)]
    lines = output("export", "--format", "jsonl", log.directory).splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["position"] for one in found] == positions
    assert [one["kind"] for one in found] == [0, 1, 2, 3]
    read = [bytes.fromhex(one["hex"]) if "hex" in one else one["text"].encode() for one in found]
    assert read == payloads
    to = tmp_path / "out.jsonl"
    assert output("export", "--format", "jsonl", "--output", to, log.directory) == ""
    assert to.read_text().splitlines() == lines
    raw = run("cat", "--raw", log.directory, text=False)
    assert raw.stdout == b"".join(payloads)


def test_the_last_of_many(log: shmkit.Log) -> None:
    fill(log, 200)
    whole = output("cat", log.directory).splitlines()
    for number in [1, 10, 15, 16, 100, 199, 200, 1000]:
        assert output("tail", "-n", str(number), log.directory).splitlines() == whole[-number:]


def test_following(log: shmkit.Log) -> None:
    log.append(b"first")
    command = [COMMAND, "log", "tail", "-f", str(log.directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout.readline().endswith(" first\n")
        for number in range(50):
            log.append(b"n%d" % number)
            assert tail.stdout.readline().endswith(f" n{number}\n")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(LIMIT_S) in (130, -signal.SIGINT)


def test_a_reader_of_the_output_that_leaves(log: shmkit.Log) -> None:
    fill(log, 2000)
    for command in ["cat", "export"]:
        with subprocess.Popen(
            [COMMAND, "log", command, str(log.directory)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as shown:
            shown.stdout.readline()
            shown.stdout.close()
            assert shown.stderr.read() == b""
            shown.wait(LIMIT_S)


def test_a_disk_that_is_full(log: shmkit.Log) -> None:
    fill(log, 100)
    with Path("/dev/full").open("w") as full:
        done = run("cat", log.directory, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "No space left" in done.stderr


def test_what_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in [tmp_path / "none", tmp_path, tmp_path / "file"]:
        for command in ["cat", "tail", "stat", "verify", "export"]:
            done = run(command, path)
            assert (done.returncode, done.stdout) == (1, ""), done
            assert "does not exist" in done.stderr


def test_an_empty_log(log: shmkit.Log) -> None:
    for command in ["cat", "tail", "export"]:
        assert output(command, log.directory) == ""
    assert output("verify", log.directory).startswith("0 good records, 0 B\n")


def test_parameters_and_counters(log: shmkit.Log) -> None:
    fill(log, 40)
    log.flush()
    shown = output("stat", log.directory)
    facts = {line[2:17].strip(): line[17:] for line in shown.splitlines()[1:]}
    assert facts["segments"] == "3 of 8.0 KiB"
    assert facts["attached"] == "1 process"
    status = json.loads(output("stat", "--json", log.directory))
    assert status["end"] == log.end == status["flushed_to"]
    assert status["segments"] == [0, SEGMENT, 2 * SEGMENT]


def test_what_is_wrong_is_told_once_and_fails_a_verification(log: shmkit.Log) -> None:
    fill(log, 60)
    assert json.loads(output("verify", "--json", log.directory))["records"] == 60
    with segment(log, SEGMENT).open("r+b") as file:
        file.seek(4096 + 100)
        file.write(b"damage")
    done = run("verify", log.directory)
    assert done.returncode == 1
    assert "1 place without records, 528 B" in done.stdout
    for command in [["cat"], ["export"], ["tail", "-n", "1000"]]:
        done = run(*command, log.directory)
        assert (len(done.stdout.splitlines()), len(done.stderr.splitlines())) == (59, 1), done


def test_a_segment_that_is_missing_fails_a_verification(log: shmkit.Log) -> None:
    fill(log, 60)
    segment(log, SEGMENT).unlink()
    done = run("verify", "--json", log.directory)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["corruptions"], found["missed_bytes"], found["records"]) == (0, SEGMENT, 45)
    done = run("verify", log.directory)
    assert done.returncode == 1
    assert "missing segments, 8.0 KiB" in done.stdout


def test_what_retention_removed_is_not_missing(tmp_path: Path) -> None:
    log = shmkit.Log.create(tmp_path / "events", segment_len=SEGMENT, retain_count=2)
    fill(log, 60)
    assert json.loads(output("verify", "--json", log.directory))["missed_bytes"] == 0


def test_colours_on_a_terminal(log: shmkit.Log) -> None:
    log.append(b"bad", kind=40)
    assert "\x1b[31mERROR\x1b[0m bad" in screen("cat", log.directory)
    assert "\x1b" not in screen("cat", log.directory, NO_COLOR="1")


def test_progress_on_a_terminal(tmp_path: Path) -> None:
    log = shmkit.Log.create(tmp_path / "events")
    fill(log, 1000)
    shown = screen("verify", log.directory)
    assert "\r0 %" in shown
    assert "1000 good records" in shown
