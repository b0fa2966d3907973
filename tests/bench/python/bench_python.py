"""Times the Python face beside its peers. Arguments: the groups wanted, or none for all.

Ours and the peer are measured in turn, round by round, so that a machine that changes its speed changes both; the
figure is the median over the rounds. The loop itself is timed too and taken off both.
"""

import itertools
import json
import mmap
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import timeit

import bench_ipc
import bench_log
import bench_pool

import shmkit

# Of round trips between processes.
ROUNDS = 15
# Rounds, and into how many of them the operations of one case are divided: see ../rust/src/main.rs.
SHORT_ROUNDS, PARTS = 101, 10


def compare(name, count, ours, peer, our_names, peer_names):
    """Times two statements, `count` times each a round."""
    timers = {
        "ours": timeit.Timer(ours, globals=our_names),
        "peer": timeit.Timer(peer, globals=peer_names),
        "loop": timeit.Timer("pass"),
    }
    times = {which: [] for which in timers}
    count = max(count // PARTS, 1)
    for timer in timers.values():
        timer.timeit(count)
    for _ in range(SHORT_ROUNDS):
        for which, timer in timers.items():
            times[which].append(timer.timeit(count) / count * 1e9)
    medians = {which: statistics.median(values) for which, values in times.items()}
    row = {"name": name, "ours_ns": round(medians["ours"] - medians["loop"], 3)}
    print(json.dumps({**row, "peer_ns": round(medians["peer"] - medians["loop"], 3)}), flush=True)


def scratch_region(tag, len):
    name = f"bench-{tag}-{os.getpid()}"
    region = shmkit.Region.create(name, len)
    shmkit.Region.unlink(name)
    return region


def run_lock():
    region = scratch_region("py-lock", 4096)
    guard, mutex = region.guard, region.mutex("mutex")
    ours = {"acquire": guard.acquire, "release": guard.release, "lock": guard, "region": region}
    ours_mutex = {"acquire": mutex.acquire, "release": mutex.release, "lock": mutex, "mutex": mutex}
    for peer_name, peer in [
        ("multiprocessing_lock", multiprocessing.Lock()),
        ("threading_lock", threading.Lock()),
    ]:
        peers = {"acquire": peer.acquire, "release": peer.release, "lock": peer}
        for case, names in [("", ours), ("mutex_", ours_mutex)]:
            pair, bound = "lock.acquire(); lock.release()", "acquire(); release()"
            compare(f"lock.{case}acquire_release.python.vs_{peer_name}", 50_000, pair, pair, names, peers)
            compare(f"lock.{case}bound_acquire_release.python.vs_{peer_name}", 50_000, bound, bound, names, peers)
            held = "with lock: pass"
            compare(f"lock.{case}with.python.vs_{peer_name}", 50_000, held, held, names, peers)
            made = "with region.lock(): pass" if names is ours else "with mutex.lock(): pass"
            compare(f"lock.{case}with_lock.python.vs_{peer_name}", 50_000, made, held, names, peers)


def run_rwlock():
    region = scratch_region("py-rwlock", 4096)
    peer = multiprocessing.Lock()
    for how in ("read", "write"):
        statement = f"with rwlock.{how}(): pass"
        ours, peers = {"rwlock": region.rwlock("rwlock")}, {"lock": peer}
        name = f"rwlock.with_{how}.python.vs_multiprocessing_lock"
        compare(name, 50_000, statement, "with lock: pass", ours, peers)


def run_semaphore():
    region = scratch_region("py-semaphore", 4096)
    for peer_name, peer in [
        ("multiprocessing_semaphore", multiprocessing.Semaphore(1)),
        ("threading_semaphore", threading.Semaphore(1)),
    ]:
        for case, tracked in [("", False), ("tracked_", True)]:
            semaphore = region.semaphore(f"{case}semaphore", 1, tracked=tracked)
            ours, peers = {"semaphore": semaphore}, {"semaphore": peer}
            pair, held = "semaphore.acquire(); semaphore.release()", "with semaphore: pass"
            compare(f"semaphore.{case}acquire_release.python.vs_{peer_name}", 50_000, pair, pair, ours, peers)
            compare(f"semaphore.{case}with.python.vs_{peer_name}", 50_000, held, held, ours, peers)


class TwoProcesses:
    """A child that answers `there` to each `here`, so many times in all."""

    def __init__(self, here, there, count):
        self.here, self.count = here, count
        self.pid = os.fork()
        if self.pid == 0:
            for _ in range(count * (ROUNDS + 1)):
                there()
            os._exit(0)
        self.round()

    def round(self):
        """Nanoseconds for one round trip."""
        here, began = self.here, time.perf_counter_ns()
        for _ in range(self.count):
            here()
        return (time.perf_counter_ns() - began) / self.count

    def end(self):
        os.waitpid(self.pid, 0)


def multiprocessing_pipe():
    near, far = multiprocessing.Pipe()

    def here():
        near.send_bytes(b"x")
        near.recv_bytes()

    def there():
        far.send_bytes(far.recv_bytes())

    return here, there


def os_pipe():
    (their_end, our_out), (our_end, their_out) = os.pipe(), os.pipe()

    def here():
        os.write(our_out, b"x")
        os.read(our_end, 1)

    def there():
        os.write(their_out, os.read(their_end, 1))

    return here, there


def compare_round_trips(group, make, count=2000):
    for peer_name, make_peer in [("multiprocessing_pipe", multiprocessing_pipe), ("os_pipe", os_pipe)]:
        pairs = [TwoProcesses(*make(), count), TwoProcesses(*make_peer(), count)]
        rounds = [[pair.round() for pair in pairs] for _ in range(ROUNDS)]
        for pair in pairs:
            pair.end()
        ours, peer = (round(statistics.median(times), 3) for times in zip(*rounds, strict=True))
        name = f"{group}.round_trip.python.vs_{peer_name}"
        print(json.dumps({"name": name, "ours_ns": ours, "peer_ns": peer}), flush=True)


def run_event():
    def make():
        region = scratch_region("py-event", 4096)
        ping, pong = (region.event(name, automatic=True) for name in ("ping", "pong"))

        def here():
            ping.set()
            pong.wait()

        def there():
            ping.wait()
            pong.set()

        return here, there

    compare_round_trips("event", make)


def run_condvar():
    def make():
        region = scratch_region("py-condvar", 4096)
        turn = region.condvar("turn", region.mutex("mutex"))

        def give(me):
            with turn:
                while region[0] != me:
                    turn.wait()
                region[0] = 1 - me
                turn.notify()

        # The child waits for the first turn of ours.
        return (lambda: give(0)), (lambda: give(1))

    compare_round_trips("condvar", make)


def run_copy():
    for label, size, count in [("64b", 64, 50_000), ("4k", 4096, 30_000), ("1m", 1 << 20, 300)]:
        region = scratch_region("py-copy", size)
        names = {"region": region, "source": bytes(size), "size": size, "target": memoryview(bytearray(size))}
        compare(
            f"copy.write_{label}.python.vs_memcpy",
            count,
            "region[0:size] = source",
            "target[0:size] = source",
            names,
            names,
        )


def run_item():
    region = scratch_region("py-item", 8192)
    peer = mmap.mmap(-1, 8192)
    block = bytes(4096)
    ours, peers = {"m": region, "block": block}, {"m": peer, "block": block}
    for label, statement in [
        ("get", "m[100]"),
        ("set", "m[100] = 7"),
        ("slice_get_4k", "m[64:4160]"),
        ("slice_set_4k", "m[64:4160] = block"),
    ]:
        compare(f"item.{label}.python.vs_mmap", 50_000, statement, statement, ours, peers)


def run_fault():
    """A mapping under the fault guard beside one without it."""
    len_ = 4 << 20
    with tempfile.TemporaryDirectory() as directory:
        options = {"len": len_, "create": True, "populate": True, "protection": "read_write"}
        path = os.path.join(directory, "file")
        both = [{"m": shmkit.Mapping.open(path, fault_guard=guard, **options)} for guard in (True, False)]
        for names in both:
            names["view"] = memoryview(names["m"])
        for case, statement in [
            ("item", "m[1000]"),
            ("slice_4k", "m[4096:8192]"),
            ("view_4k", "bytes(view[4096:8192])"),
        ]:
            compare(f"fault.{case}.python.vs_unguarded", 30_000, statement, statement, *both)
        for names in both:
            names.pop("view").release()


def run_windows():
    """Random 4-KiB reads of a cached file of 1 GiB."""
    length, block = 1 << 30, 4096
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(length)
        cache = shmkit.WindowCache.open(file.name, window_len=length // 64, pattern="random")
        whole = mmap.mmap(file.fileno(), length, prot=mmap.PROT_READ)
        for offset in range(0, length, block):
            cache.read_at(offset, block)
            whole[offset]
        choose = random.Random(1)
        offsets = itertools.cycle([choose.randrange(length // block) * block for _ in range(100_000)])
        names = {"read": cache.read_at, "next_offset": offsets.__next__}
        ours = "read(next_offset(), 4096)"
        peer = "at = next_offset(); whole[at:at + 4096]"
        names_of_peer = {"whole": whole, "next_offset": offsets.__next__}
        compare("windows.random_4k_fits.python.vs_mmap", 3_000, ours, peer, names, names_of_peer)
        names_of_peer = {"pread": os.pread, "fd": file.fileno(), "next_offset": offsets.__next__}
        peer = "pread(fd, 4096, next_offset())"
        compare("windows.random_4k_fits.python.vs_pread", 3_000, ours, peer, names, names_of_peer)


def run_flush():
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 20)
        mapping = shmkit.Mapping.open(file.name, protection="read_write")
        names = {"mapping": mapping, "page": bytes(range(256)) * 16, "peer": mmap.mmap(file.fileno(), 1 << 20)}
        ours = "mapping[4096:8192] = page; mapping.flush(4096, 4096)"
        peer = "peer[8192:12288] = page; peer.flush(8192, 4096)"
        compare("flush.one_page.python.vs_mmap", 10, ours, peer, names, names)


def run_pages():
    mapping = shmkit.Mapping.anonymous(16 << 20, sharing="private", huge_pages="never")
    view = memoryview(mapping)
    names = {"mapping": mapping, "view": view, "places": range(0, 16 << 20, 4096)}
    ours = "mapping.advise('dont_need'); mapping.advise('populate_write')"
    peer = "mapping.advise('dont_need')\nfor at in places: view[at] = 1"
    compare("pages.populate_16m.python.vs_touch", 4, ours, peer, names, names)


def run_heap():
    name = f"bench-py-heap-{os.getpid()}"
    with shmkit.Heap.create(name, 1 << 20) as heap:
        shmkit.Region.unlink(name)
        compare(
            "heap.pair_best_fit.python.vs_bytearray",
            30_000,
            "allocate(500)",
            "bytearray(500)",
            {"allocate": heap.allocate},
            {},
        )


GROUPS = {
    "lock": run_lock,
    "rwlock": run_rwlock,
    "semaphore": run_semaphore,
    "event": run_event,
    "condvar": run_condvar,
    "copy": run_copy,
    "fault": run_fault,
    "heap": run_heap,
    "item": run_item,
    "windows": run_windows,
    "flush": run_flush,
    "pages": run_pages,
    "ipc": bench_ipc.run,
    "log": lambda: bench_log.run(compare),
    "pool": lambda: bench_pool.run_pool(compare, scratch_region),
    "value": lambda: bench_pool.run_value(compare, scratch_region),
}

if __name__ == "__main__":
    for group in sys.argv[1:] or GROUPS:
        GROUPS.get(group, lambda: None)()
