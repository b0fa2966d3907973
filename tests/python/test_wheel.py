"""The wheel that users get: installed into a fresh environment, used from outside the tree."""

import json
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from helpers.languages import ROOT

import shmkit

WHEELS = ROOT / "build/wheel"

PROGRAM = """
import pathlib, sys
import shmkit
assert pathlib.Path(shmkit.__file__).is_relative_to(sys.prefix), shmkit.__file__
with shmkit.Region.create(sys.argv[1], 64) as region:
    with region.lock():
        region[0:5] = b"wheel"
    print(shmkit.__version__, region[0:5].decode())
shmkit.Region.unlink(sys.argv[1])
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    wheels = list(WHEELS.glob("shmkit-*.whl"))
    assert len(wheels) == 1, f"{len(wheels)} wheels in {WHEELS}: run tools/wheel.sh"
    return wheels[0]


def test_it_is_for_every_python_from_3_11_on(wheel: Path) -> None:
    assert f"-{shmkit.__version__}-cp311-abi3-" in f"-{wheel.name.removeprefix('shmkit-')}"


def test_it_holds_what_belongs_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name for name in archive.namelist()}
    wanted = {"__init__.py", "_native.abi3.so", "_native.pyi", "py.typed", "LICENSE-MIT", "LICENSE-APACHE"}
    assert wanted <= names
    assert not [name for name in names if name.endswith((".rs", ".pyc"))]


def test_it_comes_with_its_source(wheel: Path) -> None:
    assert (WHEELS / f"shmkit-{shmkit.__version__}.tar.gz").exists()


def test_a_fresh_environment_can_use_it(wheel: Path, tmp_path: Path, fresh_name: str) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*install, "--disable-pip-version-check", str(wheel)], check=True, timeout=100)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    said = subprocess.run(
        [python, "-W", "error", program, fresh_name], cwd=tmp_path, capture_output=True, text=True, timeout=50
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, f"{shmkit.__version__} wheel\n", "")
    command = [tmp_path / "venv/bin/shmkit", "--version"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert (said.returncode, said.stdout, said.stderr) == (0, f"shmkit {shmkit.__version__}\n", "")


def test_the_source_is_complete(wheel: Path, tmp_path: Path) -> None:
    """Cargo finds every member, target and locked dependency in it; building it all would tell nothing more."""
    with tarfile.open(WHEELS / f"shmkit-{shmkit.__version__}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (manifest,) = tmp_path.glob("*/python/Cargo.toml")
    command = ["cargo", "metadata", "--offline", "--format-version=1", f"--manifest-path={manifest}"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=100).stdout)
    members = {name.partition("#")[0].rpartition("/")[2] for name in metadata["workspace_members"]}
    assert {"core", "python"} <= members
