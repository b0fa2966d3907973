"""Memory for machine code: written, sealed, called."""

import ctypes
import gc
import os
import platform
import threading

import pytest

import shmkit
from shmkit import CodeMemory

CODES = {
    # lea rax, [rdi + rsi]; ret, and mov rax, rdi; sub rax, rsi; ret
    "x86_64": ("488d0437c3", "4889f84829f0c3"),
    # add x0, x0, x1; ret, and sub x0, x0, x1; ret
    "aarch64": ("0000018bc0035fd6", "000001cbc0035fd6"),
}
ADD, SUBTRACT = (bytes.fromhex(code) for code in CODES[platform.machine()])


def pages_at(address: int) -> str:
    with open("/proc/self/maps") as maps:
        for line in maps:
            place, pages, *_ = line.split()
            start, end = (int(number, 16) for number in place.split("-"))
            if start <= address < end:
                return pages
    return ""


def test_written_then_sealed_then_called() -> None:
    with CodeMemory(4096) as code:
        code.write_at(0, ADD)
        assert not code.executable
        with pytest.raises(PermissionError, match="seal it"):
            code.call(40, 2)
        code.seal()
        assert code.sealed and code.executable and len(code) == code.nbytes == 4096
        assert code.call(40, 2) == 42
        assert code.call(-1, 2) == 1
        assert code.call(-1, 0) == 2**64 - 1
        assert pages_at(code.address()).startswith("r-x")
        assert code.read_at(0, len(ADD)) == ADD
        with pytest.raises(shmkit.ReadOnlyError):
            code.write_at(0, ADD)
    assert code.closed and not code.executable
    with pytest.raises(shmkit.ClosedError):
        code.call()


def test_a_function_of_ctypes_keeps_the_memory() -> None:
    code = CodeMemory(64)
    code.write_at(0, memoryview(ADD))
    code.seal()
    add = code.function(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    assert add(40, -50) == -10
    with pytest.raises(BufferError):
        code.close()
    del add
    gc.collect()
    code.close()


def test_code_is_patched_while_it_is_in_use() -> None:
    code = CodeMemory(64, patchable=True)
    code.write_at(0, ADD)
    call = code.function(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
    assert call(40, 2) == 42
    code.write_at(0, SUBTRACT)
    assert call(40, 2) == 38
    assert pages_at(code.address()).startswith("r-x")
    code.seal()
    with pytest.raises(shmkit.ReadOnlyError):
        code.write_at(0, ADD)
    assert call(40, 2) == 38


def test_pages_for_both_are_asked_for_by_name() -> None:
    with CodeMemory(64, allow_wx=True) as code:
        assert pages_at(code.address()).startswith("rwx")
        code.write_at(0, ADD)
        assert code.call(40, 2) == 42
    with pytest.raises(shmkit.InvalidArgumentError):
        CodeMemory(64, allow_wx=True, patchable=True)


def test_misuse_is_refused() -> None:
    for len in (0, 2**64, -1):
        with pytest.raises(ValueError):
            CodeMemory(len)
    with CodeMemory(64, patchable=True) as code:
        code.write_at(0, ADD)
        for refused in (
            lambda: code.write_at(60, bytes(5)),
            lambda: code.read_at(60, 2**40),
            lambda: code.call(offset=64),
            lambda: code.address(64),
            lambda: code.call(*range(7)),
            lambda: code.call(2**64),
        ):
            with pytest.raises(ValueError):
                refused()
        with pytest.raises(TypeError):
            code.call("1")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            code.write_at(0, "text")  # type: ignore[arg-type]


def test_many_threads_call_while_one_patches() -> None:
    code = CodeMemory(64, patchable=True)
    code.write_at(0, ADD)
    answers: set[int] = set()
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            answers.add(code.call(40, 2))

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for _ in range(100):
        code.write_at(0, ADD)
    stop.set()
    for caller in callers:
        caller.join()
    assert answers == {42}


def test_nothing_is_left_behind() -> None:
    def maps() -> int:
        with open("/proc/self/maps") as lines:
            return sum("shmkit-code" in line for line in lines)

    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        code = CodeMemory(5000, patchable=True)
        code.close()
        del code
    assert maps() == 0
    assert len(os.listdir("/proc/self/fd")) == descriptors
