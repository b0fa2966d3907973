"""Other processes for tests: Python programs that are told and asked over their standard streams."""

import subprocess
import sys
import textwrap
from typing import Any


class Process:
    """A running Python program."""

    def __init__(self, program: str, *arguments: Any, expect_stderr: bool = False) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-W", "error", "-u", "-c", textwrap.dedent(program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if expect_stderr else None,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def hear(self) -> str:
        """The next line that it prints."""
        assert self.popen.stdout is not None
        return self.popen.stdout.readline().strip()

    def tell(self, line: str = "") -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.popen.kill()
        self.popen.communicate()

    def end(self, timeout: float = 20) -> tuple[int, str]:
        """Waits for its end: the exit status, and what it printed to its standard error."""
        _, errors = self.popen.communicate(timeout=timeout)
        return self.popen.returncode, errors or ""


HOLDER = """
    import sys
    from shmkit import Region
    region = Region.open(sys.argv[1])
    region.guard.acquire()
    print("locked")
    sys.stdin.readline()
    region.guard.release()
    print("released")
"""
"""Takes the guard and says so; gives it back when it is told a line."""
