"""The examples of all languages do the same, print the same, and work together."""

import itertools
import subprocess
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


def test_failures_are_told(language: str, fresh_name: str, tmp_path: Path) -> None:
    """A newcomer who runs the steps in the wrong order reads what to do next."""
    missing = str(tmp_path / "missing")
    assert missing in refused("file_mapping", language, "read", missing)
    said = refused("named_region", language, "read", fresh_name)
    assert fresh_name in said and "create it first" in said
    for task in ("file_mapping", "named_region", "lifecycle"):
        assert "usage" in refused(task, language).lower()
