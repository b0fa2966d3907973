"""`shmkit stat`."""

import json
import re
import time
from collections.abc import Callable

from helpers.languages import ROOT

from .machine import LIMIT_S, Machine


def objects(shown: str) -> dict[str, list[str]]:
    """The lines about each object, under its kind and name, without the space between columns."""
    found: dict[str, list[str]] = {}
    lines = shown.split("\nObjects\n")[1].splitlines()
    column = lines[0].index("STATE")
    for line in lines[1:]:
        head, state = line[:column].rsplit(maxsplit=2)[:1], line[column:]
        if line[:column].strip():
            found[re.sub(r"\s+", " ", head[0]).strip()] = current = []
        current.append(state)
    return found


def eventually(machine: Machine, name: str, condition: Callable[[dict], bool]) -> dict:
    """The status of a region, once it is so."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        status = json.loads(machine.output("stat", name, "--json"))
        if condition(status):
            return status
        assert time.monotonic() < deadline, status


def test_a_region_at_rest(machine: Machine) -> None:
    machine.holder("jobs", "create=5000").end()
    shown = machine.output("stat", "jobs")
    assert shown.startswith("Region jobs\n")
    facts = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in shown.splitlines()[1:7])
    assert facts["user bytes"] == "5000"
    assert facts["attached"] == "0 alive, 0 dead, 128 at most"
    assert facts["owners died"] == "0"
    assert re.fullmatch(r"\d+ of 262144 bytes used", facts["arena"])
    assert re.fullmatch(r".* ago by process \d+", facts["created"])
    assert "Attached" not in shown
    assert objects(shown) == {"guard -": ["free"]}


def test_every_kind_of_object(machine: Machine) -> None:
    held = ["guard", "mutex=m", "read=r", "write=w", "permit=p", "later-barrier=b"]
    others = ["signals=s", "event=e", "condvar=c", "atomic=a"]
    holder = machine.holder("jobs", "create=64", *held, *others)
    eventually(machine, "jobs", lambda status: any(one["name"] == "b" and one["shares"] for one in status["objects"]))
    who = f"{holder.pid} cli-holder"
    shown = objects(machine.output("stat", "jobs"))
    barrier = shown.pop("barrier b")
    assert shown == {
        "guard -": [f"held by {who}"],
        "mutex m": [f"held by {who}"],
        "rwlock r": [f"read by {who}"],
        "rwlock w": [f"written by {who}"],
        "tracked semaphore p": ["2 permits available", f"1 permit with {who}"],
        "semaphore s": ["2 permits available"],
        "event e": ["set"],
        "condvar c": ["nobody waits"],
        "atomic i64 a": ["value -7"],
    }
    assert barrier[:2] == ["1 of 3 arrived", f"arrived: {who}"]


def test_who_is_attached(machine: Machine) -> None:
    living = machine.holder("jobs", "create=64")
    dead = machine.holder("jobs", "mutex=m")
    dead.kill()
    shown = machine.output("stat", "jobs")
    assert "1 alive, 1 dead, 128 at most" in shown
    rows = [line.split() for line in shown.split("\nAttached\n")[1].split("\n\n")[0].splitlines()[1:]]
    states = {row[0]: (row[1], row[-1]) for row in rows}
    assert states == {str(living.pid): ("alive", "cli-holder"), str(dead.pid): ("dead", "cli-holder")}


def test_a_killed_holder_and_the_next_owner(machine: Machine) -> None:
    machine.holder("jobs", "create=64")
    victim = machine.holder("jobs", "mutex=m", "write=w", "read=r", "permit=p")
    victim.kill()
    dead = f"{victim.pid} cli-holder (dead)"
    warning = "the next to take it is told that its owner died"
    shown = objects(machine.output("stat", "jobs"))
    assert shown["mutex m"] == [f"held by {dead}", warning]
    assert shown["rwlock w"] == [f"written by {dead}", warning]
    assert shown["rwlock r"] == [f"read by {dead}"]
    assert shown["tracked semaphore p"] == ["2 permits available", f"1 permit with {dead}"]
    # Nobody who lives has any of them open.
    lines = machine.output("stat", "jobs").splitlines()
    assert next(line for line in lines if " m " in line).split()[2:4] == ["0", "0"]

    heir = machine.holder("jobs", "mutex=m")
    shown = machine.output("stat", "jobs")
    assert objects(shown)["mutex m"] == [
        f"held by {heir.pid} cli-holder",
        "an owner died, and nobody made it consistent since",
    ]
    assert next(line for line in shown.splitlines() if " m " in line).split()[2:4] == ["1", "1"]
    assert "  owners died  1\n" in shown


def test_who_waits_for_whom_since_when(machine: Machine) -> None:
    holder = machine.holder("jobs", "create=64", "mutex=m")
    waiter = machine.holder("jobs", "later-mutex=m")

    def has_waited_long(status: dict) -> bool:
        # Longer than the slices that a sleep is cut into.
        times = [one["waits_ns"] for one in status["attachments"] if one["waits_for"] == "m"]
        return bool(times) and status["now_ns"] - times[0] > 100_000_000

    status = eventually(machine, "jobs", has_waited_long)
    mutex = next(one for one in status["objects"] if one["name"] == "m")
    assert mutex["holder"]["pid"] == holder.pid and mutex["has_waiters"]
    assert status["now_ns"] - mutex["holder"]["since_ns"] > 100_000_000

    # Between two slices of its sleep a waiter is none, for an instant.
    for _ in range(100):
        shown = machine.output("stat", "jobs")
        if "mutex m, for" in shown:
            break
    assert re.search(rf"{waiter.pid}  alive  .*  mutex m, for (\d+ ms|[\d.]+ s)  cli-holder\n", shown)
    held, waits = objects(shown)["mutex m"]
    assert re.fullmatch(rf"held by {holder.pid} cli-holder for at least (\d+ ms|[\d.]+ s)", held)
    assert re.fullmatch(rf"{waiter.pid} cli-holder has waited for (\d+ ms|[\d.]+ s)", waits)


def test_a_waiter_for_the_guard(machine: Machine) -> None:
    machine.holder("jobs", "create=64", "guard")
    waiter = machine.holder("jobs", "later-guard")
    status = eventually(machine, "jobs", lambda status: any(one["waits_for"] == "" for one in status["attachments"]))
    assert [one["pid"] for one in status["attachments"] if one["waits_for"] == ""] == [waiter.pid]


def test_go_and_the_documentation_know_every_field(machine: Machine) -> None:
    """Go would drop what its types lack without a word. Python's are checked by its own tests."""
    machine.holder("jobs", "create=64", "guard", "permit=p")
    status = json.loads(machine.output("stat", "jobs", "--json"))
    found = {
        "Status": status,
        "AttachmentStatus": status["attachments"][0],
        "ObjectStatus": status["objects"][0],
        "Holder": status["objects"][0]["holder"],
        "Share": status["objects"][1]["shares"][0],
    }
    source = (ROOT / "go/status.go").read_text()
    declared = {
        name: set(re.findall(r'`json:"(\w+)"`', body))
        for name, body in re.findall(r"^type (\w+) struct {\n(.*?)^}", source, re.MULTILINE | re.DOTALL)
    }
    assert declared == {name: set(fields) for name, fields in found.items()}

    (entry,) = json.loads(machine.output("ls", "--json"))
    text = (ROOT / "docs/cli.md").read_text().split("## The status as JSON")[1]
    documented = set(re.findall(r"`(\w+)`", text))
    assert set(entry).union(*found.values()) <= documented


def test_a_region_in_a_file(machine: Machine) -> None:
    machine.holder("jobs", "create=64").end()
    path = "/dev/shm/elsewhere"
    machine.region("jobs").rename(machine.shm / "elsewhere")
    assert machine.output("stat", "--path", path).startswith(f"Region {path}\n")
    done = machine.run("stat", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("shmkit: cannot open region '/dev/shm/elsewhere': is not a valid name")


def test_errors_are_the_librarys(machine: Machine) -> None:
    done = machine.run("stat", "nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "shmkit: cannot open region 'nowhere': does not exist (ENOENT); create it first, or use open_or_create\n"
    )


def test_watch_goes_on_until_the_region_is_gone(machine: Machine) -> None:
    machine.holder("jobs", "create=64").end()
    # Shown at once, not when the next one is due.
    machine.terminal("stat", "jobs", "--watch", "3600").read_until("Objects")
    terminal = machine.terminal("stat", "jobs", "--watch", "0.05")
    terminal.read_until("\x1b[J\x1b[H")  # drawn, and drawn over
    machine.region("jobs").unlink()
    assert terminal.status() == 1
    assert "cannot open region 'jobs': does not exist" in terminal.shown

    machine.holder("jobs", "create=64").end()
    terminal = machine.terminal("stat", "jobs", "--watch", "0.05", "--json")
    terminal.read_until("}\n{")
    machine.holder("jobs")
    terminal.read_until('"alive":true')
    machine.region("jobs").unlink()
    assert terminal.status() == 1
    *lines, complaint = terminal.shown.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["jobs"] * len(lines)
    assert "does not exist" in complaint


def test_commands_of_others_cannot_change_the_screen(machine: Machine) -> None:
    holder = machine.holder("jobs", "create=64")
    # As any process may call itself: the label is in shared memory.
    path = machine.region("jobs")
    with path.open("r+b") as file:
        content = file.read(1 << 16)
        at = content.index(b"cli-holder")
        file.seek(at)
        file.write(b"\x1b[2Jx\n\xff\0")
    shown = machine.output("stat", "jobs")
    assert "\x1b" not in shown
    assert r"\u{1b}[2Jx\n" in shown and str(holder.pid) in shown
