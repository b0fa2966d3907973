"""What goes on in a region, which regions there are, and the command."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import shmkit
from python.processes import Process
from shmkit import Region

LIMIT_S = 30


def by_name(status: shmkit.RegionStatus, name: str) -> shmkit.ObjectStatus:
    (found,) = (one for one in status["objects"] if one["name"] == name)
    return found


def test_a_status_says_who_holds_what(region: Region, holder: Process) -> None:
    permits = region.semaphore("permits", 3, tracked=True)
    permits.acquire()
    region.atomic("count", "i64", -7)
    with Region.open(region.name, read_only=True) as watcher:
        status = watcher.status()
    assert (status["name"], status["len"], status["capacity"]) == (region.name, len(region), region.capacity)
    pids = {one["slot"]: one["pid"] for one in status["attachments"] if one["alive"]}
    assert sorted(pids.values()) == sorted([os.getpid(), holder.pid])
    guard = by_name(status, "")["holder"]
    assert guard is not None and guard["pid"] == holder.pid == pids[guard["slot"]]
    assert by_name(status, "permits")["shares"] == [{"slot": 0, "pid": os.getpid(), "alive": True, "count": 1}]
    assert by_name(status, "permits")["value"] == 2
    assert by_name(status, "count")["value"] == -7
    assert 0 < status["attachments"][0]["attached_ns"] <= status["now_ns"] <= time.monotonic_ns()
    assert abs(status["created_ns"] - time.time_ns()) < 600e9

    holder.kill()
    guard = by_name(region.status(), "")["holder"]
    assert guard is not None and not guard["alive"]
    permits.release()


def test_the_types_have_the_fields_that_there_are(region: Region) -> None:
    region.semaphore("permits", 3, tracked=True).acquire()
    region.mutex("mutex").acquire()
    status = region.status()

    def check(declared: type, found: Any) -> None:
        assert get_type_hints(declared).keys() == found.keys(), declared

    check(shmkit.RegionStatus, status)
    check(shmkit.AttachmentStatus, status["attachments"][0])
    check(shmkit.ObjectStatus, status["objects"][0])
    check(shmkit.Share, by_name(status, "permits")["shares"][0])
    check(shmkit.Holder, by_name(status, "mutex")["holder"])
    region.mutex("mutex").release()
    region.semaphore("permits", 3, tracked=True).release()


def test_a_closed_region_has_no_status(region: Region) -> None:
    region.close()
    with pytest.raises(shmkit.ClosedError):
        region.status()


def test_the_list_has_every_region_by_name(region: Region, tmp_path: Path) -> None:
    Region.create(tmp_path / "file", 64).close()
    names = shmkit.list_regions()
    assert region.name in names
    assert names == sorted(names)
    assert not [name for name in names if "file" in name.split("/")]
    Region.unlink(region.name)
    assert region.name not in shmkit.list_regions()


def command(*words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "shmkit", *words],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd="/",
        **options,
    )


def test_the_command(region: Region, fresh_name: str) -> None:
    done = command("stat", region.name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    expected, shown = region.status(), json.loads(done.stdout)
    assert {**shown, "now_ns": 0} == {**expected, "now_ns": 0}

    assert command("--version").stdout == f"shmkit {shmkit.__version__}\n"
    done = command("stat", "no-such-region")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot open region 'no-such-region': does not exist" in done.stderr
    done = command("nonsense")
    assert done.returncode == 2
    assert "Usage: python -m shmkit" in done.stderr


def test_ctrl_c_ends_a_watch(region: Region, start: Callable[..., Process]) -> None:
    program = "import sys; sys.argv[1:1] = ['stat']; from shmkit.__main__ import main; sys.exit(main())"
    process = start(program, region.name, "--watch", "0.05", "--json")
    assert json.loads(process.hear())["name"] == region.name
    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(LIMIT_S) == -signal.SIGINT
