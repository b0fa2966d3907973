"""A machine of its own, as far as the command sees: its /dev/shm is nobody else's.

What the command lists and removes is the whole machine's, and other tests have regions too.
"""

import contextlib
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest
from helpers.languages import ROOT

COMMAND = ROOT / "build/bin/shmkit"
HOLDER = ROOT / "build/runners/cli-holder"
LIMIT_S = 30
#: Root without root's powers: permission bits count for it as for anybody else.
WITHOUT_POWERS = ("setpriv", "--securebits", "+noroot")


class Machine:
    """Keeps a mount namespace alive; commands run in it."""

    def __init__(self) -> None:
        # Who is not root may have a namespace in which it is.
        self._user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._keeper = subprocess.Popen(
            ["unshare", *self._user, "--mount", "sh", "-c", "mount -t tmpfs tmpfs /dev/shm && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._holders: list[Holder] = []
        self._terminals: list[Terminal] = []
        if self._keeper.stdout.readline() != b"ready\n":
            said = self._keeper.stderr.read().decode(errors="replace")
            self.dispose()
            pytest.skip(f"needs mount namespaces: {said}")
        self.shm = Path(f"/proc/{self._keeper.pid}/root/dev/shm")

    def inside(self, *command: str | Path) -> list[str]:
        """A command line that runs in here."""
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", *user, "--mount", "--target", str(self._keeper.pid), *map(str, command)]

    def run(self, *arguments: str, powers: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `shmkit` with these arguments, without a terminal."""
        command = self.inside(*([] if powers else WITHOUT_POWERS), COMMAND, *arguments)
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S)

    def output(self, *arguments: str, powers: bool = True) -> str:
        """What `shmkit` prints when it succeeds and has nothing to complain about."""
        done = self.run(*arguments, powers=powers)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def holder(self, name: str, *steps: str) -> "Holder":
        """A process that has done these steps and keeps what it got."""
        held = Holder(self.inside(HOLDER, name, *steps))
        self._holders.append(held)
        return held

    def terminal(self, *arguments: str, **environment: str) -> "Terminal":
        """Starts `shmkit` on a terminal."""
        started = Terminal(self.inside(COMMAND, *arguments), environment)
        self._terminals.append(started)
        return started

    def region(self, name: str) -> Path:
        """The object behind a region."""
        return self.shm / f"shmkit.{name}"

    def names(self) -> list[str]:
        """The regions there are."""
        return sorted(path.name.removeprefix("shmkit.") for path in self.shm.iterdir())

    def dispose(self) -> None:
        for started in [*self._holders, *self._terminals]:
            started.kill()
        self._keeper.kill()
        self._keeper.communicate()


class Holder:
    """A process of holder.rs."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # nsenter becomes the command: the process id stays.
        self.pid = self._process.pid
        answer = self._process.stdout.readline()
        assert answer == b"ready\n", answer

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self._process.kill()
        self._close()

    def end(self) -> None:
        """Lets it leave; it detaches properly if it has opened no object."""
        self._process.stdin.close()
        assert self._process.wait(LIMIT_S) == 0
        self._close()

    def _close(self) -> None:
        self._process.wait(LIMIT_S)
        self._process.stdin.close()
        self._process.stdout.close()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**inherited, "TERM": "xterm", **environment}
        )
        os.close(slave)
        self.shown = ""

    def read_until(self, text: str) -> str:
        """All that was shown, once this was."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0 and self._read(left), f"{text!r} is not in {self.shown!r}"
        return self.shown

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def status(self) -> int:
        """The exit status; `shown` is complete then."""
        deadline = time.monotonic() + LIMIT_S
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        return self._process.wait(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(LIMIT_S)
        with contextlib.suppress(OSError):
            os.close(self._master)

    def _read(self, within_s: float) -> bool:
        """Takes what is there; false at the end."""
        if not select.select([self._master], [], [], within_s)[0]:
            return False
        try:
            received = os.read(self._master, 1 << 16)
        except OSError:  # EIO: nobody has the other side any more
            return False
        # Terminals end lines with a carriage return too.
        self.shown += received.decode().replace("\r\n", "\n")
        return bool(received)
