"""Times the Python face beside its peers. Arguments: the groups wanted, or none for all.

Ours and the peer are measured in turn, round by round, so that a machine that changes its speed changes both; the
figure is the median over the rounds. The loop itself is timed too and taken off both.
"""

import json
import mmap
import multiprocessing
import os
import statistics
import sys
import threading
import timeit

import shmkit

ROUNDS = 15


def compare(name, count, ours, peer, our_names, peer_names):
    """Times two statements, `count` times each a round."""
    timers = {
        "ours": timeit.Timer(ours, globals=our_names),
        "peer": timeit.Timer(peer, globals=peer_names),
        "loop": timeit.Timer("pass"),
    }
    times = {which: [] for which in timers}
    for timer in timers.values():
        timer.timeit(count // 10 + 1)
    for _ in range(ROUNDS):
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
    guard = region.guard
    ours = {"acquire": guard.acquire, "release": guard.release, "guard": guard, "region": region}
    for peer_name, peer in [
        ("multiprocessing_lock", multiprocessing.Lock()),
        ("threading_lock", threading.Lock()),
    ]:
        peers = {"acquire": peer.acquire, "release": peer.release, "peer": peer}
        pair = "acquire(); release()"
        compare(f"lock.acquire_release.python.vs_{peer_name}", 200_000, pair, pair, ours, peers)
        compare(f"lock.with.python.vs_{peer_name}", 200_000, "with guard: pass", "with peer: pass", ours, peers)
        statement = "with region.lock(): pass"
        compare(f"lock.with_lock.python.vs_{peer_name}", 200_000, statement, "with peer: pass", ours, peers)


def run_copy():
    for label, size, count in [("64b", 64, 200_000), ("4k", 4096, 100_000), ("1m", 1 << 20, 300)]:
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
        compare(f"item.{label}.python.vs_mmap", 200_000, statement, statement, ours, peers)


GROUPS = {"lock": run_lock, "copy": run_copy, "item": run_item}

if __name__ == "__main__":
    for group in sys.argv[1:] or GROUPS:
        GROUPS.get(group, lambda: None)()
