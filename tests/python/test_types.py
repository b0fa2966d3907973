"""The stubs: equal to the module, and useful to a type checker."""

import subprocess
import sys
from pathlib import Path

from helpers.languages import ROOT

HERE = Path(__file__).parent


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    # Away from the source tree, so that the installed package is checked.
    return subprocess.run([sys.executable, "-m", *command], cwd="/", capture_output=True, text=True, timeout=300)


def test_the_stubs_are_those_of_the_module(tmp_path: Path) -> None:
    allowed = ROOT / "python/stubtest-allowlist.txt"
    unused = ["--ignore-unused-allowlist"] if sys.version_info >= (3, 12) else []
    result = run("mypy.stubtest", "shmkit", "--allowlist", str(allowed), *unused)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_package_itself_is_typed_strictly(tmp_path: Path) -> None:
    result = run("mypy", "--strict", "--cache-dir", str(tmp_path), "-p", "shmkit")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_good_program_passes(tmp_path: Path) -> None:
    result = run("mypy", "--strict", "--cache-dir", str(tmp_path), str(HERE / "typed.py"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_mistake_is_found(tmp_path: Path) -> None:
    path = HERE / "typed_wrong.py"
    marked = [number for number, line in enumerate(path.read_text().splitlines(), 1) if "# E:" in line]
    result = run("mypy", "--strict", "--cache-dir", str(tmp_path), str(path))
    found = {int(line.split(":")[1]) for line in result.stdout.splitlines() if ": error:" in line}
    assert sorted(found) == marked, result.stdout
