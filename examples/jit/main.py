"""Code made at run time: a function that adds a number to its argument, for x86-64 or AArch64.

main NUMBER ARGUMENT
"""

import ctypes
import platform
import struct
import sys
from collections.abc import Callable

from shmkit import CodeMemory, Error


def add(number: int) -> bytes:
    """The machine code of `argument + number`."""
    if platform.machine() == "x86_64":
        return b"\x48\x8d\x87" + struct.pack("<I", number) + b"\xc3"  # lea rax, [rdi + number]; ret
    # mov x1, number; add x0, x0, x1; ret
    return struct.pack("<III", 0xD2800001 | number << 5, 0x8B010000, 0xD65F03C0)


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except Error as error:
        return error.kind
    return "done"


def run(number: int, argument: int) -> None:
    # Written, then sealed, then called: never both at once.
    with CodeMemory(4096) as code:
        code.write_at(0, add(number))
        print("called before it is sealed:", outcome(lambda: code.call(argument)))
        code.seal()
        print("written after it is sealed:", outcome(lambda: code.write_at(0, add(0))))
        print(f"{argument} + {number} = {code.call(argument)}")

    # Mapped twice, code can be changed while it is in use, and still nothing is writable where it runs.
    code = CodeMemory(4096, patchable=True)
    code.write_at(0, add(number))
    function = code.function(ctypes.c_uint64, ctypes.c_uint64)
    code.write_at(0, add(2))
    print(f"patched: {argument} + 2 = {function(argument)}")


if __name__ == "__main__":
    try:
        number, argument = map(int, sys.argv[1:])
        if not 0 <= number < 2**16:
            raise ValueError(number)
    except ValueError:
        print("usage: jit NUMBER ARGUMENT (at most 65535)", file=sys.stderr)
        sys.exit(2)
    try:
        run(number, argument)
    except Error as error:
        sys.exit(f"jit: {error}")
