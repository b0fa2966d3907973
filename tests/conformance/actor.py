"""One runner: a process in some language that does what it is told, line by line."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from helpers import languages

PR_SET_SECUREBITS = 28
SECBIT_NOROOT = 1


class ProtocolError(Exception):
    """A runner did not keep to the protocol: it said nonsense, fell silent or ended."""


@dataclass(frozen=True)
class Answer:
    """What a runner said: `ok`, `error` or `fail`, and the fields after it."""

    status: str
    fields: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: str) -> "Answer":
        status, *words = line.split()
        fields = dict(word.split("=", 1) for word in words)
        return cls(status, {key: unquote(value, errors="strict") for key, value in fields.items()})


def command(op: str, **arguments: object) -> str:
    """A command line; values are encoded."""
    return " ".join([op, *(f"{key}={quote(str(value), safe='')}" for key, value in arguments.items())])


class Actor:
    """A running runner. Its commands may be sent without waiting for their answers."""

    def __init__(self, language: str, *, unprivileged: bool = False) -> None:
        self.language = language
        self._errors = tempfile.TemporaryFile()  # dispose closes it
        self._process = subprocess.Popen(
            languages.runner(language),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            umask=0o022,
            preexec_fn=lambda: _prepare(unprivileged),
        )
        self._unread = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, line: str, within_s: float = 20) -> Answer:
        self.send(line)
        return self.answer(within_s)

    def send(self, line: str) -> None:
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ProtocolError(f"the {self.language} runner ended: {self._last_words()}") from None

    def answer(self, within_s: float) -> Answer:
        """The next answer. `TimeoutError` when there is none in this time."""
        deadline = time.monotonic() + within_s
        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._process.stdout], [], [], left)[0]:
                raise TimeoutError(f"the {self.language} runner did not answer within {within_s} s")
            received = os.read(self._process.stdout.fileno(), 1 << 16)
            if not received:
                raise ProtocolError(f"the {self.language} runner ended: {self._last_words()}")
            self._unread += received
        line, self._unread = self._unread.split(b"\n", 1)
        return Answer.parse(line.decode())

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for_death(self, within_s: float) -> int:
        """The exit status, once the process has ended by itself."""
        return self._process.wait(within_s)

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        # Until the kernel says so it may still run.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self, within_s: float = 10) -> int:
        """Closes the runner's input, as a user's terminal would; the exit status."""
        self._process.stdin.close()
        return self._process.wait(within_s)

    def dispose(self) -> None:
        """Whatever state it is in: no process and no descriptor stays."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            # What was never read by the dead cannot be flushed either.
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def _last_words(self) -> str:
        status = self._process.wait(10)
        self._errors.seek(0)
        return f"status {status}, {self._errors.read().decode(errors='replace').strip()!r}"


def expect_ok(actor: Actor, line: str) -> dict[str, str]:
    """What the answer to a request says, which must be a good one."""
    answer = actor.ask(line)
    assert answer.status == "ok", answer
    return answer.fields


def _prepare(unprivileged: bool) -> None:
    # Who is refused a longer file is told so, and not killed.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if unprivileged:
        _give_up_privileges()


def _give_up_privileges() -> None:
    """Root without root's powers: permission bits count for it as for anybody else."""
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(PR_SET_SECUREBITS, SECBIT_NOROOT) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECUREBITS)")
