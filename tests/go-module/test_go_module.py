"""The Go module as its users get it: through a module proxy, into a fresh module, vendored, beside other libraries."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROXY = ROOT / "build/go-module"
MODULE = "github.com/shmkit/shmkit/go"
LIBRARY = f"vendor/{MODULE}/lib"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Runs a command of Go with nothing to get modules from but our proxy, an empty cache; returns what it printed."""
    subprocess.run([ROOT / "tools/go-module.sh"], check=True)
    cache = tmp_path_factory.mktemp("modules")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GO", "CGO"))} | {
        "GOMODCACHE": str(cache),
        "GOFLAGS": "-modcacherw",
        "GOPROXY": f"file://{PROXY}",
        "GONOSUMDB": MODULE,
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOWORK": "off",
    }

    def run(directory: Path, *arguments: str, fails: bool = False, **changes: str) -> str:
        result = subprocess.run(
            ["go", *arguments],
            cwd=directory,
            env=environment | changes,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert (result.returncode != 0) == fails, result.stdout
        return result.stdout

    yield run
    shutil.rmtree(cache)


@pytest.fixture
def user(go: Callable[..., str], tmp_path: Path) -> Path:
    """A fresh module that got ours."""
    return fresh_module(go, tmp_path / "user", "user")


def fresh_module(go: Callable[..., str], directory: Path, source: str) -> Path:
    directory.mkdir()
    for file in (HERE / source).iterdir():
        shutil.copy(file, directory)
    go(directory, "mod", "init", "example.org/user")
    go(directory, "get", f"{MODULE}@latest")
    return directory


def run(program: Path, *arguments: str) -> str:
    result = subprocess.run([program, *arguments], text=True, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_go_get_build_and_run(go: Callable[..., str], user: Path, fresh_name: str) -> None:
    go(user, "vet", ".")
    go(user, "build", "-o", "program", ".")
    assert run(user / "program", fresh_name) == "4000 4096\n"
    assert not re.search(r"libshmkit", subprocess.check_output(["ldd", user / "program"], text=True))


def test_the_module_passes_its_own_tests(go: Callable[..., str], user: Path) -> None:
    assert "ok" in go(user, "test", "-short", MODULE)


def test_vendored_it_needs_no_network(go: Callable[..., str], user: Path, fresh_name: str) -> None:
    go(user, "mod", "tidy")
    go(user, "mod", "vendor")
    assert list((user / LIBRARY).glob("*/libshmkit.a")), "vendoring dropped the library"
    go(user, "build", "-mod=vendor", "-o", "program", ".", GOPROXY="off", GOMODCACHE=str(user / "empty"))
    assert run(user / "program", fresh_name) == "4000 4096\n"


def test_the_race_detector_sees_the_guard(go: Callable[..., str], user: Path, fresh_name: str) -> None:
    go(user, "build", "-race", "-o", "program", ".")
    assert run(user / "program", fresh_name) == "4000 4096\n"


def test_the_race_detector_still_sees_races(go: Callable[..., str], tmp_path: Path, fresh_name: str) -> None:
    """And none where an object orders the goroutines."""
    racy = fresh_module(go, tmp_path / "racy", "racy")
    go(racy, "build", "-race", "-o", "program", ".")
    for kind in ("region", "mutex", "rwlock", "semaphore", "event"):
        for place, expected in (("inside", 0), ("outside", 66)):
            command = [racy / "program", fresh_name, kind, place]
            result = subprocess.run(command, text=True, capture_output=True, timeout=60)
            found = "DATA RACE" in result.stderr
            assert (result.returncode, found) == (expected, expected != 0), f"{kind} {place}: {result.stderr}"


def test_beside_another_rust_library(go: Callable[..., str], tmp_path: Path) -> None:
    program = fresh_module(go, tmp_path / "two", "two_libraries")
    other = ["rustc", "--edition=2024", "--crate-type=staticlib", "-O", "other.rs", "-o", "libother.a"]
    subprocess.run(other, cwd=program, check=True)
    (program / "other.rs").unlink()
    go(program, "build", "-o", "program", ".")
    assert run(program / "program") == "both caught their panics\n"


def test_a_changed_library_is_linked_again(go: Callable[..., str], user: Path) -> None:
    """Go does not hash the library itself: the constant beside it must tell of the change."""
    go(user, "mod", "vendor")
    (constant,) = (user / LIBRARY).glob("*/sum.go")
    library = constant.with_name("libshmkit.a")
    digest = subprocess.check_output(["sha256sum", library], text=True).split()[0]
    assert f'"{digest}"' in constant.read_text()

    go(user, "build", "-o", "program", ".")
    library.write_bytes(b"no library at all")
    go(user, "build", "-o", "program", ".")  # Go has not noticed
    constant.write_text(constant.read_text().replace(digest, "0" * 64))
    go(user, "build", "-o", "program", ".", fails=True)


def test_without_cgo_the_build_says_what_is_missing(go: Callable[..., str], user: Path) -> None:
    said = go(user, "build", ".", fails=True, CGO_ENABLED="0")
    assert "CGO_ENABLED_1_and_a_C_compiler" in said and said.count("undefined") == 1
    said = go(user, "build", ".", fails=True, GOOS="windows", GOARCH="amd64", CGO_ENABLED="0")
    assert "needs_linux_on_amd64_or_arm64" in said


def test_the_installed_library_instead(go: Callable[..., str], user: Path, fresh_name: str, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    subprocess.run([ROOT / "tools/c-install.sh", prefix], check=True, stdout=subprocess.DEVNULL)
    path = str(prefix / "lib/pkgconfig")
    go(user, "build", "-tags", "shmkit_shared", "-o", "program", ".", PKG_CONFIG_PATH=path)
    assert str(prefix) in subprocess.check_output(["ldd", user / "program"], text=True)
    assert run(user / "program", fresh_name) == "4000 4096\n"
