"""The C face: its header, its libraries, its behaviour under sanitizers, and its installation.

Needs what `tools/c-build.sh` makes in `build/c`.
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build/c"
HEADER = ROOT / "include/shmkit.h"
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
C11 = ["cc", "-std=c11", *STRICT]
CXX17 = ["c++", "-std=c++17", *STRICT]
#: With addresses at random places, sanitizers do not start on every kernel.
FIXED_PLACEMENT = ["setarch", platform.machine(), "-R"]
#: For what may have to build the library first.
BUILD_LIMIT_S = 900


def run(*command: str | Path, limit_s: float = 110, **options: object) -> str:
    """What a command prints; its complaints are part of the failure."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=limit_s, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def declared() -> set[str]:
    """The functions that the header declares."""
    text = re.sub(r"//.*", "", HEADER.read_text())
    defined = set(re.findall(r"static inline \w+ (\w+)\(", text))
    return set(re.findall(r"\b(shmkit_\w+)\(", text)) - defined


def exported(path: Path, *options: str) -> set[str]:
    """The global names that a library defines."""
    lines = run("nm", "--defined-only", "--extern-only", *options, path).splitlines()
    return {words[2] for words in map(str.split, lines) if len(words) == 3}


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    for name in ("libshmkit.so", "libshmkit.a", "shmkit.pc"):
        assert (BUILD / name).exists(), f"{name} is not there: run tools/c-build.sh"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation in a directory of its own."""
    prefix = tmp_path_factory.mktemp("installed")
    run(ROOT / "tools/c-install.sh", prefix, limit_s=BUILD_LIMIT_S)
    return prefix


@pytest.mark.timeout(BUILD_LIMIT_S)
def test_header_is_fresh() -> None:
    command = ["cargo", "test", "--quiet", "--package", "shmkit-ffi", "--test", "header"]
    run(*command, cwd=ROOT, limit_s=BUILD_LIMIT_S)


def test_header_compiles_alone_in_both_languages(tmp_path: Path) -> None:
    source = tmp_path / "alone.c"
    source.write_text("#include <shmkit.h>\n#include <shmkit.h>\nint main(void) { return SHMKIT_OK; }\n")
    for compiler in (C11, [*CXX17, "-x", "c++"]):
        run(*compiler, f"-I{HEADER.parent}", source, "-fsyntax-only")


def test_libraries_export_what_the_header_declares_and_nothing_else() -> None:
    names = declared()
    assert "shmkit_region_lock" in names
    assert exported(BUILD / "libshmkit.so", "--dynamic") == names
    assert exported(BUILD / "libshmkit.a") == names


def test_shared_library_bears_its_abi_version() -> None:
    dynamic = run("readelf", "--dynamic", BUILD / "libshmkit.so")
    assert "Library soname: [libshmkit.so.0]" in dynamic
    assert "NODELETE" in dynamic
    assert (BUILD / "libshmkit.so.0").resolve() == (BUILD / "libshmkit.so").resolve()


@pytest.mark.parametrize("link", ["shared", "static"])
def test_cpp_program(tmp_path: Path, link: str) -> None:
    library = [f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lshmkit"] if link == "shared" else [BUILD / "libshmkit.a"]
    run(*CXX17, f"-I{HEADER.parent}", HERE / "header.cpp", "-o", tmp_path / "program", *library)
    assert run(tmp_path / "program") == "ok\n"


@pytest.mark.parametrize("build", ["shared", "static", "address,undefined", "thread"])
def test_behaviour(tmp_path: Path, build: str) -> None:
    """The checks in the C files beside this one, in each build."""
    command: list[str | Path] = [*C11, "-g", "-O1", f"-I{HEADER.parent}", *sorted(HERE.glob("*.c"))]
    start: list[str] = []
    if build == "shared":
        command += [f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lshmkit"]
    else:
        command += [BUILD / "libshmkit.a"]
    if build not in ("shared", "static"):
        command += [f"-fsanitize={build}", "-fno-sanitize-recover=all"]
        start = FIXED_PLACEMENT
    run(*command, "-lpthread", "-o", tmp_path / "checks")
    output = run(*start, tmp_path / "checks", env=os.environ | {"TSAN_OPTIONS": "halt_on_error=1"})
    passed = re.search(r"^(\d+) tests passed$", output, re.MULTILINE)
    assert passed and int(passed[1]) == output.count("ok ") >= 30


@pytest.mark.timeout(BUILD_LIMIT_S)
@pytest.mark.parametrize("link", ["shared", "static"])
def test_program_outside_the_tree(tmp_path: Path, installed: Path, fresh_name: str, link: str) -> None:
    """A user's program: found by pkg-config, started without any path in the environment."""
    source = shutil.copy(ROOT / "examples/named_region/main.c", tmp_path)
    environment = os.environ | {"PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}

    def pkg_config(*options: str) -> list[str]:
        return run("pkg-config", *options, "shmkit", env=environment).split()

    flags = pkg_config("--cflags")
    libraries = pkg_config("--libs")
    if link == "static":
        archive = str(installed / "lib/libshmkit.a")
        libraries = [archive if word == "-lshmkit" else word for word in pkg_config("--static", "--libs")]
    run(*C11, *flags, source, "-o", tmp_path / "program", *libraries)
    uses_shared = "libshmkit.so.0" in run("readelf", "--dynamic", tmp_path / "program")
    assert uses_shared == (link == "shared")
    assert run(tmp_path / "program", "write", fresh_name, env={}) == "wrote: hello from c\n"
    assert run(tmp_path / "program", "read", fresh_name, env={}) == "read: hello from c\nunlinked\n"


@pytest.mark.timeout(BUILD_LIMIT_S)
def test_installation_is_complete_and_says_its_version(installed: Path) -> None:
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if not path.is_dir()}
    version = re.search(r'SHMKIT_VERSION "(.*)"', HEADER.read_text())[1]
    assert files == {
        "include/shmkit.h",
        "lib/libshmkit.a",
        "lib/libshmkit.so",
        "lib/libshmkit.so.0",
        f"lib/libshmkit.so.{version}",
        "lib/pkgconfig/shmkit.pc",
    }
    environment = os.environ | {"PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    assert run("pkg-config", "--modversion", "shmkit", env=environment).strip() == version


@pytest.mark.timeout(BUILD_LIMIT_S)
def test_staged_installation_speaks_of_its_final_place(tmp_path: Path) -> None:
    environment = os.environ | {"DESTDIR": str(tmp_path)}
    run(ROOT / "tools/c-install.sh", "/opt/shmkit", env=environment, limit_s=BUILD_LIMIT_S)
    staged = tmp_path / "opt/shmkit"
    assert (staged / "lib/libshmkit.so.0").exists()
    text = (staged / "lib/pkgconfig/shmkit.pc").read_text()
    assert "prefix=/opt/shmkit\n" in text and str(tmp_path) not in text
