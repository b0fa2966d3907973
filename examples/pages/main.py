"""What the kernel knows of memory: which pages are there, how many page faults work on them costs, and how that changes
when they are populated, let go, or made huge.

main 16     looks at 16 MiB of private memory
"""

import sys

from shmkit import Advice, Error, HugePages, Mapping, Usage


def show(what: str, mapping: Mapping) -> None:
    counts = mapping.residency().counts()
    print(f"{what}: {counts.resident} of {counts.pages} pages")


def touch(mapping: Mapping, length: int) -> int:
    """Writes one byte in each page of the first bytes, and says how many faults that was."""
    with memoryview(mapping) as view, Usage() as used:
        for at in range(0, length, mapping.page_size):
            view[at] = 1
    return used.minor_faults + used.major_faults


def run(length: int) -> None:
    with Mapping.anonymous(length, sharing="private", huge_pages=HugePages.NEVER) as mapping:
        show("untouched", mapping)

        # Memory comes when it is touched, by a page fault.
        eighth = touch(mapping, length // 8)
        show("an eighth touched", mapping)
        mapping.advise(Advice.POPULATE_WRITE)
        show("populated", mapping)
        every = touch(mapping, length)
        print("faults of the first touch:", "some" if eighth > 0 else "none")
        print("faults when populated:", "hardly any" if every < eighth // 8 else "many")

        mapping.advise(Advice.DONT_NEED)
        show("let go", mapping)

    # Fewer, larger pages, where the system allows them.
    with Mapping.anonymous(length, sharing="private", huge_pages=HugePages.TRANSPARENT, populate=True) as mapping:
        show("populated, huge", mapping)
        print(f"in huge pages: {mapping.memory_use().huge >> 20} MiB")


if __name__ == "__main__":
    mib = int(sys.argv[1]) if len(sys.argv) == 2 and sys.argv[1].isdecimal() else 0
    if not 4 <= mib <= 1024:
        print("usage: pages MIB (4 to 1024)", file=sys.stderr)
        sys.exit(2)
    try:
        run(mib << 20)
    except Error as error:
        sys.exit(f"pages: {error}")
