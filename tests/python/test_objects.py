"""What all named objects have in common: names, kinds, parameters, ends, pickling, fork."""

import copy
import errno
import multiprocessing as mp
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shmkit
from python.processes import Process
from shmkit import Region

MAKERS: dict[str, Callable[[Region, str], Any]] = {
    "Mutex": lambda region, name: region.mutex(name),
    "RwLock": lambda region, name: region.rwlock(name),
    "Semaphore": lambda region, name: region.semaphore(name, 2, max=5),
    "Semaphore, tracked": lambda region, name: region.semaphore(name, 2, tracked=True),
    "Condvar": lambda region, name: region.condvar(name),
    "Event": lambda region, name: region.event(name),
    "Event, automatic": lambda region, name: region.event(name, automatic=True),
    "Barrier": lambda region, name: region.barrier(name, 2),
    "Atomic": lambda region, name: region.atomic(name),
    "Atomic, i64": lambda region, name: region.atomic(name, "i64", -3),
}
each = pytest.mark.parametrize("kind", MAKERS)


@each
def test_a_name_leads_to_one_object(region: Region, kind: str) -> None:
    one, same = MAKERS[kind](region, "it"), MAKERS[kind](region, "it")
    assert one is not same
    assert one.name == same.name == "it"
    assert type(one) is getattr(shmkit, kind.partition(",")[0])
    for other, make in MAKERS.items():
        if other != kind:
            with pytest.raises((shmkit.WrongKindError, shmkit.ParameterMismatchError)) as raised:
                make(region, "it")
            assert raised.value.filename == f"{region.name}:it"
            assert raised.value.errno == errno.EINVAL


@each
@pytest.mark.parametrize("name", ["", "no/name", "\N{SNOWMAN}", "\ud800", "x" * 201])
def test_a_bad_name(region: Region, kind: str, name: str) -> None:
    with pytest.raises(shmkit.InvalidNameError):
        MAKERS[kind](region, name)


@each
def test_a_name_is_text(region: Region, kind: str) -> None:
    for name in (b"bytes", 3, None, Path("path")):
        with pytest.raises(TypeError):
            MAKERS[kind](region, name)  # type: ignore[arg-type]


@each
def test_regions_that_have_no_objects(region: Region, kind: str, fresh_name: str) -> None:
    with Region.open(region.name, read_only=True) as reader, pytest.raises(shmkit.ReadOnlyError):
        MAKERS[kind](reader, "it")
    with Region.create(f"{fresh_name}-bare", 10, arena_len=0) as bare:
        Region.unlink(bare.name)
        with pytest.raises(shmkit.NoSpaceError):
            MAKERS[kind](bare, "it")
    region.close()
    with pytest.raises(shmkit.ClosedError):
        MAKERS[kind](region, "it")


def test_parameters_must_be_the_same(region: Region) -> None:
    region.semaphore("semaphore", 2, max=5)
    region.event("event")
    region.barrier("barrier", 2)
    for ask in (
        lambda: region.semaphore("semaphore", 1, max=5),
        lambda: region.semaphore("semaphore", 2, max=6),
        lambda: region.semaphore("semaphore", 2),
        lambda: region.event("event", automatic=True),
        lambda: region.barrier("barrier", 3),
    ):
        with pytest.raises(shmkit.ParameterMismatchError) as raised:
            ask()
        assert isinstance(raised.value, ValueError)
    region.atomic("atomic", initial=7)
    assert region.atomic("atomic", initial=8).load() == 7  # what it holds by now is no parameter


@pytest.mark.parametrize(
    "ask",
    [
        lambda region: region.semaphore("it", -1),
        lambda region: region.semaphore("it", 2**32),
        lambda region: region.semaphore("it", 2, max=1),
        lambda region: region.semaphore("it", 0, tracked=True),
        lambda region: region.barrier("it", 0),
        lambda region: region.barrier("it", -1),
        lambda region: region.atomic("it", "u8"),
        lambda region: region.atomic("it", "u32", 2**32),
        lambda region: region.atomic("it", "u64", -1),
        lambda region: region.atomic("it", "i64", 2**63),
    ],
)
def test_parameters_that_make_no_sense(region: Region, ask: Callable[[Region], object]) -> None:
    with pytest.raises(shmkit.InvalidArgumentError) as raised:
        ask(region)
    assert raised.value.filename == f"{region.name}:it"
    with pytest.raises(shmkit.NotFoundError):
        region.remove_object("it")  # nothing was made


@each
def test_close_ends_a_handle_and_only_that(region: Region, kind: str) -> None:
    one, same = MAKERS[kind](region, "it"), MAKERS[kind](region, "it")
    assert not one.closed
    one.close()
    one.close()
    assert one.closed and not same.closed
    assert "closed" in repr(one)
    with pytest.raises(shmkit.ClosedError):
        pickle.dumps(one)
    with pytest.raises(shmkit.BusyError):
        region.remove_object("it")
    same.close()
    region.remove_object("it")
    with pytest.raises(shmkit.NotFoundError):
        region.remove_object("it")
    assert MAKERS[kind](region, "it").name == "it"


@each
def test_an_object_outlives_its_region_handle(region: Region, kind: str) -> None:
    made = MAKERS[kind](region, "it")
    region.close()
    USES[kind](made)
    made.close()
    refused = [shmkit.ClosedError]
    for use in (USES[kind],):
        with pytest.raises(tuple(refused)):
            use(made)


def use_barrier(barrier: shmkit.Barrier) -> None:
    with pytest.raises(shmkit.TimeoutError):
        barrier.wait(0)


def use_mutex(mutex: shmkit.Mutex) -> None:
    with mutex:
        assert mutex.locked()


def use_rwlock(rwlock: shmkit.RwLock) -> None:
    with rwlock.read():
        assert rwlock.readers == 1
    with rwlock.write():
        assert rwlock.locked()


def use_semaphore(semaphore: shmkit.Semaphore) -> None:
    with semaphore:
        assert semaphore.available == 1


def use_event(event: shmkit.Event) -> None:
    event.set()
    assert event.wait(0)
    event.clear()


USES: dict[str, Callable[[Any], None]] = {
    "Mutex": use_mutex,
    "RwLock": use_rwlock,
    "Semaphore": use_semaphore,
    "Semaphore, tracked": use_semaphore,
    "Condvar": lambda condvar: condvar.notify_all(),
    "Event": use_event,
    "Event, automatic": use_event,
    "Barrier": use_barrier,
    "Atomic": lambda atomic: atomic.add(5),
    "Atomic, i64": lambda atomic: atomic.add(5),
}


@each
def test_it_says_what_it_is(region: Region, kind: str) -> None:
    text = repr(MAKERS[kind](region, "it"))
    assert f"shmkit.{kind.partition(',')[0]}" in text
    assert f"'it' of region '{region.name}'" in text


@each
def test_a_pickle_is_the_same_object_or_nothing(region: Region, kind: str) -> None:
    made = MAKERS[kind](region, "it")
    pickled = pickle.dumps(made)
    for same in (pickle.loads(pickled), copy.copy(made)):
        assert type(same) is type(made) and same is not made
        USES[kind](same)
        same.close()
    Region.unlink(region.name)
    with pytest.raises(shmkit.NotFoundError):
        pickle.loads(pickled)
    with Region.create(region.name, 10), pytest.raises(shmkit.ReplacedError):
        pickle.loads(pickled)


def take_and_tell(kind: str, made: Any, total: shmkit.Atomic) -> None:
    USES[kind](made)
    total.add()
    total.notify_all()


@each
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_an_object_is_an_argument_of_a_process(region: Region, kind: str, method: str) -> None:
    total = region.atomic("total")
    arguments = (kind, MAKERS[kind](region, "it"), total)
    process = mp.get_context(method).Process(target=take_and_tell, args=arguments)
    process.start()
    process.join()
    assert (process.exitcode, total.load()) == (0, 1)


def test_an_object_of_a_region_in_a_file_is_found_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Region.create(Path("region"), 10) as region:
        mutex = region.mutex("it")
        monkeypatch.chdir("/")
        with pickle.loads(pickle.dumps(mutex)):
            assert mutex.locked()


def in_child(action: Callable[[], None]) -> int:
    """Runs something in a forked child; its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_holds_nothing_of_its_parents(region: Region) -> None:
    mutex, rwlock = region.mutex("mutex"), region.rwlock("rwlock")
    permits = region.semaphore("permits", 2, tracked=True)
    mutex.acquire()
    rwlock.acquire_read()
    permits.acquire()

    def child() -> None:
        for give_back in (mutex.release, rwlock.release_read, permits.release):
            with pytest.raises(shmkit.NotOwnerError):
                give_back()
        assert not mutex.acquire(False)
        assert not rwlock.acquire_write(False)
        assert permits.acquire(False) and not permits.acquire(False)
        assert rwlock.acquire_read(False)

    assert in_child(child) == 0  # and it died with what it had taken
    mutex.release()
    rwlock.release_read()
    assert permits.acquire(timeout=20), "the child's permit has come back"
    permits.release(2)
    with mutex, rwlock.write(timeout=20):
        pass


def test_an_object_that_another_process_has_open_stays(region: Region, start: Callable[..., Process]) -> None:
    region.mutex("it").close()
    process = start(
        "import sys; from shmkit import Region; m = Region.open(sys.argv[1]).mutex('it'); print('open'); input()",
        region.name,
    )
    assert process.hear() == "open"
    with pytest.raises(shmkit.BusyError) as raised:
        region.remove_object("it")
    assert raised.value.filename == f"{region.name}:it"
    process.kill()
    region.remove_object("it")
