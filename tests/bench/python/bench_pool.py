"""The pool beside a mutex and `bytearray`, a value beside a copy under a mutex and `multiprocessing.Value`."""

import multiprocessing
import struct


def run_pool(compare, scratch_region):
    region = scratch_region("py-pool", 4096)
    pool, mutex = region.pool("p", 64, 1024), region.mutex("m")
    ours = {"allocate": pool.allocate}
    with_block = "with allocate(): pass"
    compare("pool.with_block.python.vs_with_mutex", 30_000, with_block, "with mutex: pass", ours, {"mutex": mutex})
    pair = "allocate().free()"
    names = {"acquire": mutex.acquire, "release": mutex.release}
    compare("pool.allocate_free.python.vs_mutex", 30_000, pair, "acquire(); release()", ours, names)
    compare("pool.allocate_free.python.vs_bytearray", 30_000, pair, "bytearray(64)", ours, {})


def run_value(compare, scratch_region):
    region = scratch_region("py-value", 4096)
    word, wide, mutex = region.value("w", "d", 0.0), region.value("v", "8d", (0.0,) * 8), region.mutex("m")
    shared = multiprocessing.Value("d", 0.0)
    compare(
        "value.load_8_bytes.python.vs_multiprocessing_value",
        30_000,
        "load()",
        "shared.value",
        {"load": word.load},
        {"shared": shared},
    )
    compare(
        "value.store_8_bytes.python.vs_multiprocessing_value",
        30_000,
        "store(1.5)",
        "shared.value = 1.5",
        {"store": word.store},
        {"shared": shared},
    )
    doubles = struct.Struct("8d")
    names = {"mutex": mutex, "region": region, "read": doubles.unpack_from, "write": doubles.pack_into}
    names["numbers"] = (1.0,) * 8
    compare(
        "value.load_64_bytes.python.vs_mutex_and_struct",
        30_000,
        "load()",
        "with mutex: read(region)",
        {"load": wide.load},
        names,
    )
    compare(
        "value.store_64_bytes.python.vs_mutex_and_struct",
        30_000,
        "store(numbers)",
        "with mutex: write(region, 0, *numbers)",
        {"store": wide.store, "numbers": names["numbers"]},
        names,
    )
