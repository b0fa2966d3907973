"""Where each language's test programs are. `tools/build-runners.sh` builds them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("rust", "c", "python", "go")


#: The System V example without the library.
PLAIN_SYSV = str(ROOT / "build/examples/sysv/plain")


class NotBuilt(Exception):
    """A program is missing: an error of the set-up, which must not pass for a skipped test."""


def _program(language: str, built: Path, source: Path) -> list[str]:
    command = [sys.executable, str(source)] if language == "python" else [str(built)]
    if not Path(command[-1]).exists():
        raise NotBuilt(f"{command[-1]} does not exist: run tools/build-runners.sh")
    return command


def runner(language: str) -> list[str]:
    """The command that starts the conformance runner of a language."""
    return _program(language, ROOT / "build/runners" / language, ROOT / "tests/conformance/runner.py")


def example(task: str, language: str) -> list[str]:
    """The command that starts the example for a task in a language."""
    return _program(language, ROOT / "build/examples" / task / language, ROOT / "examples" / task / "main.py")
