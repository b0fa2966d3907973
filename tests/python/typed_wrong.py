"""A program whose every marked line mypy must refuse."""

from shmkit import Mapping, Region

region = Region.open("name")
region[0] = b"x"  # E: a byte is an integer
region[0:4] = 7  # E: a slice takes bytes
region.write_at(0, "text")  # E: text is no bytes
Region.open(7)  # E: a name is a str
Region.create("name", 10, 0o600)  # E: options have names
Mapping.open("path", protection="execute")  # E: no such protection
region.name = "other"  # E: read-only
region.atomic("name", "u8")  # E: no such type
region.semaphore("name", 1, 2)  # E: options have names
region.event("name").wait("1")  # E: a time is a number
with region.mutex("name").aio():  # E: only for async with
    pass
"""The end."""
