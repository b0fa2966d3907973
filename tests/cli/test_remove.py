"""`shmkit gc` and `shmkit rm`."""

import json

from .machine import Machine


def abandoned_and_living(machine: Machine) -> None:
    """Two regions that nobody is attached to, one by death; and one with a living process."""
    machine.holder("left", "create=64").end()
    machine.holder("died", "create=64", "mutex=m").kill()
    machine.holder("alive", "create=64")


def test_gc_shows_and_removes_only_what_nobody_lives_in(machine: Machine) -> None:
    abandoned_and_living(machine)
    shown = machine.output("gc", "--dry-run")
    rows = {line.split()[0]: line for line in shown.splitlines()[1:]}
    assert set(rows) == {"left", "died"}
    assert rows["left"].endswith("nobody") and rows["died"].endswith("cli-holder")
    assert machine.names() == ["alive", "died", "left"]

    assert machine.output("gc", "--yes").endswith("removed died\nremoved left\n")
    assert machine.names() == ["alive"]
    assert machine.output("gc", "--yes") == "no region without a living process\n"
    assert machine.output("gc") == "no region without a living process\n"


def test_gc_refuses_without_a_terminal(machine: Machine) -> None:
    abandoned_and_living(machine)
    done = machine.run("gc")
    assert done.returncode == 1
    assert "--yes removes 2 regions without asking" in done.stderr
    assert machine.names() == ["alive", "died", "left"]


def test_gc_asks(machine: Machine) -> None:
    abandoned_and_living(machine)
    for answer in ("\n", "n\n", "nonsense\n", "\x04"):  # the last is the end of input
        terminal = machine.terminal("gc")
        terminal.read_until("Remove 2 regions? [y/N] ")
        terminal.type(answer)
        assert terminal.status() == 1
        assert terminal.shown.endswith("nothing removed\n")
        assert machine.names() == ["alive", "died", "left"]
    terminal = machine.terminal("gc")
    terminal.read_until("[y/N] ")
    terminal.type("Yes\n")
    assert terminal.status() == 0
    assert machine.names() == ["alive"]


def test_gc_looks_again_before_it_removes(machine: Machine) -> None:
    for name in ("attached", "replaced", "removed", "same"):
        machine.holder(name, "create=64").end()
    terminal = machine.terminal("gc")
    terminal.read_until("Remove 4 regions? [y/N] ")
    machine.holder("attached")
    machine.region("replaced").unlink()
    machine.holder("replaced", "create=64").end()
    machine.region("removed").unlink()
    terminal.type("y\n")
    assert terminal.status() == 0
    assert "kept attached: somebody attached to it meanwhile\n" in terminal.shown
    assert "replaced is gone already\n" in terminal.shown and "removed is gone already\n" in terminal.shown
    assert "removed same\n" in terminal.shown
    assert machine.names() == ["attached", "replaced"]


def test_gc_leaves_alone_what_it_cannot_look_at(machine: Machine) -> None:
    for name in ("fine", "locked", "text"):
        machine.holder(name, "create=64").end()
    machine.region("locked").chmod(0)
    machine.region("text").write_text("not a region")
    done = machine.run("gc", "--yes", powers=False)
    assert done.returncode == 0
    assert done.stdout.endswith("removed fine\n")
    assert "left alone: cannot open region 'locked': the system refused access" in done.stderr
    assert "left alone: cannot open region 'text': " in done.stderr
    assert machine.names() == ["locked", "text"]


def test_gc_says_what_it_may_not_remove(machine: Machine) -> None:
    machine.holder("stuck", "create=64").end()
    machine.shm.chmod(0o555)
    done = machine.run("gc", "--yes", powers=False)
    machine.shm.chmod(0o1777)
    assert done.returncode == 1
    assert "cannot unlink region 'stuck': the system refused access" in done.stderr
    assert machine.names() == ["stuck"]


def test_rm_removes_and_reports_each_name(machine: Machine) -> None:
    abandoned_and_living(machine)
    done = machine.run("rm", "left", "nowhere", "died")
    assert done.returncode == 1
    assert done.stdout == "removed left\nremoved died\n"
    assert done.stderr.startswith("shmkit: cannot unlink region 'nowhere': does not exist")
    assert machine.names() == ["alive"]


def test_rm_refuses_while_processes_live_in_it(machine: Machine) -> None:
    first = machine.holder("jobs", "create=64")
    second = machine.holder("jobs")
    machine.holder("jobs").kill()
    done = machine.run("rm", "jobs")
    assert (done.returncode, done.stdout) == (1, "")
    who = f"{first.pid} cli-holder, {second.pid} cli-holder"
    assert f"cannot remove region 'jobs': attached are {who}; " in done.stderr
    assert "--force" in done.stderr
    assert machine.names() == ["jobs"]

    assert machine.output("rm", "--force", "jobs") == f"removed jobs; still attached are {who}\n"
    assert machine.names() == []


def test_rm_of_what_cannot_be_looked_at_needs_force(machine: Machine) -> None:
    machine.holder("text", "create=64").end()
    machine.region("text").write_text("not a region")
    done = machine.run("rm", "text")
    assert done.returncode == 1
    assert "cannot open region 'text': " in done.stderr and "--force removes it without looking" in done.stderr
    assert machine.output("rm", "--force", "text") == "removed text\n"
    assert machine.names() == []


def test_rm_takes_names_only(machine: Machine) -> None:
    (machine.shm / "precious").touch()
    done = machine.run("rm", "--force", "../shm/precious")
    assert done.returncode == 1
    assert "is not a valid name" in done.stderr
    assert (machine.shm / "precious").exists()


def test_rm_removes_an_object_that_nobody_uses(machine: Machine) -> None:
    machine.holder("region", "create=64", "mutex=used")
    machine.holder("region", "pool=frames", "value=free").end()
    busy = machine.run("rm", "region:used", "region:free", "region:none", "none:free")
    assert busy.returncode == 1
    assert busy.stdout == "removed region:free\n"
    complaints = busy.stderr.splitlines()
    assert len(complaints) == 3 and "is still in use" in complaints[0] and "region:none" in complaints[1]
    assert machine.output("rm", "region:frames") == "removed region:frames\n"
    assert [line.split()[1] for line in machine.output("objects", "region").splitlines()[1:]] == ["used"]


def test_objects_are_listed(machine: Machine) -> None:
    machine.holder("region", "create=64", "pool=frames", "atomic=number")
    rows = [line.split() for line in machine.output("objects", "region").splitlines()]
    assert rows[0] == ["KIND", "NAME", "BYTES", "USERS", "PARAMETERS"]
    assert rows[1][:2] == ["pool", "frames"] and rows[1][3:5] == ["1", "64,"]
    assert rows[2][:3] == ["atomic", "i64", "number"] and rows[2][-1] == "-"
    objects = json.loads(machine.output("objects", "region", "--json"))
    assert [(object["name"], object["kind"], object["users"]) for object in objects] == [
        ("frames", "pool", 1),
        ("number", "atomic i64", 1),
    ]
    machine.holder("empty", "create=64").end()
    assert machine.output("objects", "empty") == "no named objects\n"
    assert machine.run("objects", "none").returncode == 1


def test_stat_shows_who_has_blocks(machine: Machine) -> None:
    holder = machine.holder("region", "create=64", "pool=frames")
    shown = machine.output("stat", "region")
    assert "3 blocks free" in shown and f"1 block with {holder.pid} cli-holder" in shown
