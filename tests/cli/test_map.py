"""`shmkit map`."""

import json
import mmap
import re
import subprocess
from pathlib import Path

import pytest

from .machine import COMMAND, Machine

PAGE = mmap.PAGESIZE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 64 pages, all of them on the disk."""
    path = tmp_path / "data.bin"
    with open(path, "wb") as file:
        file.write(bytes(64 * PAGE))
        file.flush()
        subprocess.run(["sync", path], check=True)
    return path


def test_a_region_is_drawn(machine: Machine) -> None:
    machine.holder("jobs", "create=40960")
    text = machine.output("map", "jobs", "--width", "40")
    assert text.startswith("Region jobs\n")
    assert re.search(r"bytes +40960 in 10 pages\n", text)
    assert re.search(r"in memory +40\.0 KiB \(100\.0 %\)\n", text)
    assert re.search(r"^ +0 B  █{10}$", text, re.MULTILINE)
    assert "\x1b" not in text


def test_a_file_is_drawn_at_any_size(path: Path) -> None:
    run = [COMMAND, "map", path]
    shown = subprocess.run([*run, "--json"], capture_output=True, text=True, check=True).stdout
    seen = json.loads(shown)
    assert (seen["kind"], seen["pages"], seen["cell_len"], len(seen["cells"])) == ("File", 64, PAGE, 64)
    assert seen["resident"] == sum(cell["resident"] for cell in seen["cells"]) <= 64
    with open(path, "r+b") as file:
        file.truncate(1 << 36)
    text = subprocess.run([*run, "--width", "78"], capture_output=True, text=True, check=True).stdout
    rows = [line for line in text.splitlines() if re.match(r" +[\d.]+ ([KMGT]i)?B  ", line) and "·" in line]
    assert len(rows) == 16 and max(map(len, rows)) <= 78
    assert "64.0 MiB" in text and "in memory: · none" in text
    small = subprocess.run([*run, "--rows", "1", "--width", "30"], capture_output=True, text=True, check=True).stdout
    assert small.count("·") <= 18


def test_what_is_not_on_the_disk_is_marked(path: Path) -> None:
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[40 * PAGE] = 1
        seen = json.loads(subprocess.run([COMMAND, "map", path, "--json"], capture_output=True, check=True).stdout)
        if seen["dirty"] is None:
            return  # an older kernel does not tell
        # Write-back may have come already, and neighbours may share one mark.
        dirty = [index for index, cell in enumerate(seen["cells"]) if cell["dirty"]]
        assert 40 in dirty or not dirty
        mapped.flush()
        seen = json.loads(subprocess.run([COMMAND, "map", path, "--json"], capture_output=True, check=True).stdout)
        assert seen["dirty"] == 0


def test_a_name_is_a_region_first_and_then_a_file(machine: Machine, path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = machine.inside("sh", "-c", f'cd {path.parent} && exec "$@"', "sh", COMMAND, "map", *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert run("data.bin").stdout.startswith("File data.bin\n")
    machine.holder("data.bin", "create=10")
    assert run("data.bin").stdout.startswith("Region data.bin\n")
    assert run("data.bin", "--path").stdout.startswith("File data.bin\n")
    assert run("./data.bin").stdout.startswith("File ./data.bin\n")
    missing = run("none")
    assert (missing.returncode, missing.stdout) == (1, "") and "none" in missing.stderr


def test_colours_and_the_width_of_a_terminal(machine: Machine, path: Path) -> None:
    terminal = machine.terminal("map", str(path), COLUMNS="50")
    assert terminal.status() == 0
    assert "\x1b[32m" in terminal.shown or "\x1b[2m" in terminal.shown
    plain = re.sub(r"\x1b\[[\d;]*m", "", terminal.shown)
    rows = [line for line in plain.splitlines() if re.match(r" +[\d.]+ ([KMGT]i)?B  ", line)]
    assert rows and max(map(len, rows)) <= 50
    terminal = machine.terminal("map", str(path), LC_ALL="C")
    assert terminal.status() == 0 and terminal.shown.isascii()


def test_nonsense_is_refused() -> None:
    for arguments in ([], ["x", "--width", "5"], ["x", "--rows", "0"], ["x", "y"]):
        done = subprocess.run([COMMAND, "map", *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.startswith("error: ")
    done = subprocess.run([COMMAND, "map", "/"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("shmkit: cannot map file '/'")
