"""Plays a case: steps that actors take, what they must answer, and what the files must look like."""

import errno
import hashlib
import json
import os
import resource
import shlex
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

from conformance.actor import Actor, Answer
from helpers.objects import Names, object_path

CASES = Path(__file__).parent / "cases"
#: Within this time a command that has to wait would have answered if it did not wait.
STILL_WAITING_S = 0.15
MAGIC = b"shmkit\x1a\n"
#: The region's guard in its header: asking for the lock may mark it, and harms nothing.
GUARD = slice(256, 320)
#: The slot table of a region, and the part of each slot that says what its owner last waited for.
SLOTS, SLOT_SIZE, MOST_SLOTS = 4096, 64, 1023
WAITS = slice(48, 64)
#: Where the header says where the arena begins, and how long it is.
ARENA = slice(40, 56)
#: A wait that ended without what it waited for may leave a mark at the object: somebody waited here.
ENDED_WAITS = ("Timeout", "Broken")
#: The part of the header under the checksum, which follows it.
CHECKED_HEADER_LEN = 100


@dataclass
class Case:
    """One entry of a file in `cases/`; README.md describes the form."""

    name: str
    why: str
    steps: list[dict]
    actors: str | dict[str, str] = "a"
    languages: list[str] | None = None
    pairs: str = "all"
    unprivileged: str = ""

    def languages_of(self, chosen: tuple[str, ...]) -> dict[str, str]:
        """Who speaks which language, when the languages of the actors are `chosen` in turn."""
        return self.actors if isinstance(self.actors, dict) else dict(zip(self.actors, chosen, strict=True))


def load() -> list[Case]:
    cases = [Case(**entry) for file in sorted(CASES.glob("*.json")) for entry in json.loads(file.read_text())]
    seen = [case.name for case in cases]
    assert len(set(seen)) == len(seen), "two cases have the same name"
    return cases


@dataclass
class Play:
    """One performance of a case."""

    case: Case
    languages: dict[str, str]
    names: Names
    directory: Path
    actors: dict[str, Actor] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    #: Every answer, without what differs from one performance to the next.
    record: list[tuple[str, Answer]] = field(default_factory=list)

    def run(self) -> None:
        name = self.names.fresh()
        self.words |= {
            "name": name,
            "longest": name.ljust(200, "x"),
            "object": str(object_path(name)),
            "dir": str(self.directory),
            "path": str(self.directory / "file"),
        }
        try:
            for who in self.languages:
                self._start(who)
            self._steps(self.case.steps)
            for who, actor in self.actors.items():
                if actor.is_running():
                    assert actor.end() == 0, f"runner {who} did not end well"
        finally:
            for actor in self.actors.values():
                actor.dispose()
            object_path(name).unlink(missing_ok=True)

    def _start(self, who: str) -> None:
        self.actors[who] = Actor(self.languages[who], unprivileged=who in self.case.unprivileged)

    def _steps(self, steps: list[dict]) -> None:
        for step in steps:
            try:
                self._step(step)
            except (AssertionError, TimeoutError) as problem:
                problem.add_note(f"in step {json.dumps(step)} with {self.languages}")
                raise

    def _step(self, step: dict) -> None:
        match step:
            case {"repeat": count, "steps": steps}:
                for turn in range(count):
                    self.words["turn"] = str(turn)
                    self._steps(steps)
            case {"do": text}:
                prepare(*shlex.split(self._fill(text)))
            case {"file": path, **facts}:
                check_file(Path(self._fill(path)), {key: self._fill(value) for key, value in facts.items()})
            case {"start": who}:
                self.actors[who].dispose()
                self._start(who)
            case {"kill": who}:
                self.actors[who].kill()
            case {"end": who}:
                assert self.actors[who].end() == 0
            case {"stop": who}:
                self.actors[who].stop()
            case {"continue": who}:
                self.actors[who].go_on()
            case {"limit": who, "descriptors": count}:
                self._limit_descriptors(self.actors[who], count)
            case {"limit": who, "file_len": length}:
                resource.prlimit(self.actors[who].pid, resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))
            case {"waits": who}:
                self._expect_no_answer(who)
            case {"join": who}:
                self._judge(step, self.waiting.pop(who), self.actors[who].answer(20))
            case {"race": racers}:
                self._race(racers, step)
            case _:
                self._act(step)

    def _act(self, step: dict) -> None:
        """A step of an actor: its name is the key, its command the value."""
        (who,) = step.keys() & self.actors.keys()
        line = self._fill(step[who])
        actor = self.actors[who]
        if step.get("dies"):
            actor.send(line)
            assert actor.wait_for_death(20) == -9
            return
        if step.get("async"):
            actor.send(line)
            self.waiting[who] = line
            return
        # An error must leave everything as it was. While others are at work, they may change things rightly.
        watched = "error" in step and not self.waiting
        marks = watched and step["error"].split()[0] in ENDED_WAITS
        before = self._state_of_files(without_arena=marks) if watched else None
        answer = actor.ask(line, step.get("within", 20))
        self._judge(step, line, answer)
        if watched:
            assert self._state_of_files(without_arena=marks) == before, "the failed operation changed something"

    def _judge(self, step: dict, line: str, answer: Answer) -> None:
        self.record.append((line.split()[0], self._without_names(answer)))
        if "error" in step:
            kind, errno_name = step["error"].split()
            self._judge_error(kind, errno_name, step, answer)
            return
        assert answer.status == "ok", answer
        expected = dict(word.split("=", 1) for word in self._fill(step["ok"]).split())
        got = {key: answer.fields.get(key) for key in expected}
        assert got == expected
        for key, word in step.get("keep", {}).items():
            self.words[word] = answer.fields[key]

    def _judge_error(self, kind: str, errno_name: str, step: dict, answer: Answer) -> None:
        fields = answer.fields
        assert (answer.status, fields.get("kind")) == ("error", kind), answer
        assert errno.errorcode[int(fields["errno"])] == errno_name, answer
        assert fields["operation"], "an error names what was tried"
        message = fields["message"]
        says = map(self._fill, step.get("says", []))
        for part in (fields["operation"], fields["object"], errno_name, *says):
            assert part in message, f"{part!r} is not in the message {message!r}"
        if "object" in step:
            assert fields["object"] == self._fill(step["object"])
        if "operation" in step:
            assert fields["operation"] == step["operation"]

    def _limit_descriptors(self, actor: Actor, count: int) -> None:
        _, hard = resource.prlimit(actor.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(actor.pid, resource.RLIMIT_NOFILE, (count, hard))

    def _expect_no_answer(self, who: str) -> None:
        try:
            answer = self.actors[who].answer(STILL_WAITING_S)
        except TimeoutError:
            return
        raise AssertionError(f"{who} should be waiting, but answered {answer}")

    def _race(self, racers: str, step: dict) -> None:
        """All were sent off with `async`; exactly one comes in with `one`, the others with `others`."""
        answers = {who: self.actors[who].answer(20) for who in racers}
        winners = [who for who in racers if answers[who].status == "ok"]
        assert len(winners) == 1, f"one must win: {answers}"
        for who in racers:
            result = {"ok": step["one"]} if who in winners else {"error": step["others"]}
            self._judge(result, self.waiting.pop(who), answers[who])

    def _fill(self, text: str) -> str:
        return text.format(**self.words)

    def _without_names(self, answer: Answer) -> Answer:
        """Ids and names differ from one performance to the next; everything else must not."""
        fields = {key: value for key, value in answer.fields.items() if key not in ("id", "pid", "language")}
        for word in ("name", "dir"):
            fields = {key: value.replace(self.words[word], word) for key, value in fields.items()}
        return Answer(answer.status, fields)

    def _state_of_files(self, *, without_arena: bool) -> list[tuple]:
        """What the files of this case are and hold."""
        paths = [*sorted(self.directory.rglob("*")), *self.names.objects()]
        return [_state_of(path, without_arena=without_arena) for path in paths]


def _state_of(path: Path, *, without_arena: bool) -> tuple:
    status = path.lstat()
    content = b""
    if path.is_file() and not path.is_symlink():
        content = bytearray(path.read_bytes())
        if content.startswith(MAGIC):
            content[GUARD] = bytes(len(content[GUARD]))
            slot_count = min(int.from_bytes(content[28:32], sys.byteorder), MOST_SLOTS)
            for start in range(SLOTS, min(SLOTS + slot_count * SLOT_SIZE, len(content)), SLOT_SIZE):
                content[start + WAITS.start : start + WAITS.stop] = bytes(WAITS.stop - WAITS.start)
            if without_arena:
                start, length = struct.unpack("=QQ", content[ARENA])
                del content[start : start + length]
    return (str(path), status.st_mode, status.st_size, hashlib.sha256(content).hexdigest())


def prepare(verb: str, path: str, *arguments: str) -> None:
    """What the driver does to files between the steps."""
    match verb, *arguments:
        case "text", content:
            Path(path).write_text(content)
        case "poke", offset, data:
            with open(path, "r+b") as file:
                file.seek(int(offset))
                file.write(bytes.fromhex(data))
        case ("seal",):
            seal(Path(path))
        case "cut", length:
            os.truncate(path, int(length))
        case "copy", source:
            Path(path).write_bytes(Path(source).read_bytes())
        case "mode", mode:
            os.chmod(path, int(mode, 8))
        case ("directory",):
            os.mkdir(path)
        case ("fifo",):
            os.mkfifo(path)
        case "link", target:
            os.symlink(target, path)
        case ("remove",):
            os.unlink(path)
        case _:
            raise ValueError(f"no such preparation: {verb} with {arguments}")


def seal(path: Path) -> None:
    """Makes the header's checksum right again, so that the lie in it is all that is wrong."""
    content = path.read_bytes()[:CHECKED_HEADER_LEN]
    prepare("poke", str(path), str(CHECKED_HEADER_LEN), crc32c(content).to_bytes(4, "little").hex())


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def check_file(path: Path, facts: dict[str, str]) -> None:
    """What a file must look like: `size`, `mode`, `holds` (hexadecimal, from the start), or `missing`."""
    for fact, expected in facts.items():
        match fact:
            case "missing":
                assert not path.exists(), f"{path} exists"
            case "size":
                assert path.stat().st_size == int(expected)
            case "mode":
                assert oct(path.stat().st_mode & 0o7777) == oct(int(expected, 8))
            case "holds":
                wanted = bytes.fromhex(expected)
                assert path.read_bytes()[: len(wanted)].hex() == wanted.hex()
            case _:
                raise ValueError(f"no such fact: {fact}")
