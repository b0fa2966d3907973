"""What all commands have in common: help, versions, exit statuses."""

import os
import re
import subprocess

import pytest

from .machine import COMMAND, LIMIT_S, Machine


def shmkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=LIMIT_S)


def test_the_version_is_the_librarys() -> None:
    done = shmkit("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"shmkit \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("command", ["", "ls", "stat", "gc", "rm"])
def test_help_has_examples(command: str) -> None:
    done = shmkit(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: shmkit {command}".rstrip() in done.stdout
    assert f"Examples:\n  shmkit {command}" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "frobnicate",
        "stat",
        "stat a b",
        "rm",
        "gc --yes --dry-run",
        "ls --colour",
        "stat a --watch 0",
        "stat a --watch x",
    ],
)
def test_nonsense_is_refused(arguments: str) -> None:
    done = shmkit(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: shmkit" in done.stderr or "--help" in done.stderr


def test_a_reader_that_goes_away_ends_the_command(machine: Machine) -> None:
    machine.holder("jobs", "create=64").end()
    reader, writer = os.pipe()
    command = machine.inside(COMMAND, "stat", "jobs", "--watch", "0.05")
    process = subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert os.read(reader, 6) == b"Region"
    os.close(reader)
    _, complaint = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, complaint) == (141, b"")


def test_a_full_disk_is_an_error(machine: Machine) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            machine.inside(COMMAND, "ls"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=LIMIT_S
        )
    assert done.returncode == 1
    assert done.stderr.startswith("shmkit: cannot read or write: No space left on device")
