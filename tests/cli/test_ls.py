"""`shmkit ls`."""

import json
import re

import pytest

from .machine import Machine

HEADINGS = ["NAME", "BYTES", "ATTACHED", "DEAD", "GUARD", "OBJECTS", "DEATHS", "ON", "DISK"]


def test_no_regions(machine: Machine) -> None:
    assert machine.output("ls").split() == HEADINGS
    assert json.loads(machine.output("ls", "--json")) == []


def test_a_line_for_each_region(machine: Machine) -> None:
    holder = machine.holder("jobs", "create=5000", "guard", "mutex=m", "event=e")
    machine.holder("jobs")
    victim = machine.holder("other", "create=64", "guard")
    victim.kill()
    machine.holder("idle", "create=1").end()

    headings, *lines = machine.output("ls").splitlines()
    assert headings.split() == HEADINGS
    rows = {line.split()[0]: re.split(r"\s{2,}", line) for line in lines}
    assert list(rows) == ["idle", "jobs", "other"]
    assert rows["jobs"][1:7] == ["5000", "2", "0", f"{holder.pid} cli-holder", "2", "0"]
    assert rows["other"][1:7] == ["64", "0", "1", f"{victim.pid} cli-holder (dead)", "0", "0"]
    assert rows["idle"][1:7] == ["1", "0", "0", "free", "0", "0"]
    assert re.fullmatch(r"\d+\.\d KiB", rows["idle"][7])
    # Columns line up: each value of a number ends where its heading does.
    end = headings.index("BYTES") + len("BYTES")
    assert all(line[:end].split()[1] == rows[line.split()[0]][1] for line in lines)


def test_json_says_the_same(machine: Machine) -> None:
    holder = machine.holder("jobs", "create=5000", "guard", "mutex=m")
    (entry,) = json.loads(machine.output("ls", "--json"))
    assert entry == {
        "name": "jobs",
        "size_on_disk": machine.region("jobs").stat().st_blocks * 512,
        "len": 5000,
        "attached": 1,
        "dead": 0,
        "guard_holder": {"slot": 0, "pid": holder.pid, "alive": True, "since_ns": None},
        "objects": 1,
        "deaths": 0,
        "inconsistent": 0,
    }


def test_deaths_are_counted_and_stay_reported(machine: Machine) -> None:
    machine.holder("jobs", "create=64", "guard", "mutex=m").kill()
    machine.holder("jobs", "guard", "mutex=m")
    (entry,) = json.loads(machine.output("ls", "--json"))
    assert (entry["deaths"], entry["inconsistent"]) == (2, 2)


def test_what_cannot_be_opened_is_shown_with_the_reason(machine: Machine) -> None:
    for name in ("fine", "locked", "text"):
        machine.holder(name, "create=64").end()
    machine.region("locked").chmod(0)
    machine.region("text").write_text("not a region")

    shown = machine.output("ls", powers=False)
    lines = {line.split()[0]: line for line in shown.splitlines()}
    assert "cannot open region 'locked': the system refused access (EACCES)" in lines["locked"]
    assert "cannot open region 'text': " in lines["text"]
    assert lines["fine"].split()[1] == "64"

    entries = {entry["name"]: entry for entry in json.loads(machine.output("ls", "--json", powers=False))}
    assert entries["locked"]["error"]["kind"] == "PermissionDenied"
    assert entries["locked"]["size_on_disk"] > 0
    assert entries["text"]["error"]["kind"] in ("BadMagic", "Truncated")
    assert "error" not in entries["fine"]


def test_names_of_others_cannot_change_the_screen(machine: Machine) -> None:
    (machine.shm / "shmkit.\x1b[2Jevil\n").touch()
    shown = machine.output("ls")
    assert r"\u{1b}[2Jevil\n" in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_on_a_terminal_only(machine: Machine, environment: dict[str, str], coloured: bool) -> None:
    machine.holder("jobs", "create=64", "guard").kill()
    assert "\x1b" not in machine.output("ls")
    terminal = machine.terminal("ls", **environment)
    assert terminal.status() == 0
    assert ("\x1b[31m" in terminal.shown) == coloured, terminal.shown
    assert ("\x1b" in terminal.shown) == coloured
