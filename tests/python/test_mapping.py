"""Mappings: files and memory, options, protection, flush, advice."""

import errno
import mmap
import os
import stat
from pathlib import Path

import pytest

import shmkit
from shmkit import Advice, Mapping, Protection, Sharing

PAGE = mmap.PAGESIZE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 64)
    return path


def test_a_file_is_mapped_whole_and_for_reading(path: Path) -> None:
    with Mapping.open(path) as mapping:
        assert mapping[:] == path.read_bytes()
        assert mapping.read_only and mapping.sharing is Sharing.SHARED and mapping.name == str(path)
        assert repr(mapping) == f"<shmkit.Mapping {path}, 16384 bytes, read-only>"
    assert repr(mapping) == f"<shmkit.Mapping {path}, 16384 bytes, read-only, closed>"
    with Mapping.open(str(path)) as mapping:
        assert len(mapping) == 16384


def test_a_part_of_a_file_from_any_offset(path: Path) -> None:
    with Mapping.open(path, offset=5001, len=10) as mapping:
        assert mapping[:] == path.read_bytes()[5001:5011]
    with Mapping.open(path, offset=16000) as mapping:
        assert len(mapping) == 384


def test_a_file_is_created_and_grown_but_never_cut(tmp_path: Path) -> None:
    path = tmp_path / "new"
    before = os.umask(0o027)
    try:
        with Mapping.open(path, create=True, len=100, protection="read_write", mode=0o666) as mapping:
            mapping[0:2] = b"Hi"
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"Hi" + bytes(98)
    with Mapping.open(path, create=True, len=10), Mapping.open(path, grow=True, len=200, populate=True) as mapping:
        assert mapping[0:2] == b"Hi"
    assert path.stat().st_size == 200


def test_shared_writes_reach_the_file_and_private_ones_do_not(path: Path) -> None:
    with Mapping.open(path, protection=Protection.READ_WRITE) as shared:
        assert not shared.read_only
        shared[0] = 99
        shared.flush()
        shared.flush(10, 20, sync=False)
        shared.flush(invalidate=True)
    assert path.read_bytes()[0] == 99
    with Mapping.open(path, protection="read_write", sharing=Sharing.PRIVATE) as private:
        assert private.sharing is Sharing.PRIVATE
        private[0] = 1
    assert path.read_bytes()[0] == 99


def test_memory_without_a_file(tmp_path: Path) -> None:
    with Mapping.anonymous(10) as shared, Mapping.anonymous(10, sharing="private", populate=True) as private:
        assert shared.name == "" and repr(shared) == "<shmkit.Mapping of memory, 10 bytes>"
        child = os.fork()
        if child == 0:
            shared[0] = private[0] = 7
            os._exit(0)
        os.waitpid(child, 0)
        assert (shared[0], private[0]) == (7, 0)


def test_an_open_descriptor(path: Path) -> None:
    with open(path, "rb") as file:
        from_file = Mapping.from_fd(file, len=16)
        from_number = Mapping.from_fd(file.fileno(), offset=16)
    assert from_file[:] == bytes(range(16))
    assert from_number[0] == 16
    with open(path, "r+b") as file, Mapping.from_fd(file, len=20000, grow=True, protection="read_write") as mapping:
        mapping[19999] = 1
    assert path.stat().st_size == 20000


def test_what_cannot_be_mapped(path: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    full = 16384
    for class_, number, target, options in [
        (shmkit.NotFoundError, errno.ENOENT, tmp_path / "none", {}),
        (shmkit.InvalidLengthError, errno.EINVAL, empty, {}),
        (shmkit.InvalidLengthError, errno.EINVAL, path, {"len": 0}),
        (shmkit.InvalidLengthError, errno.EINVAL, path, {"len": -1}),
        (shmkit.InvalidLengthError, errno.EINVAL, path, {"offset": full}),
        (shmkit.InvalidLengthError, errno.EINVAL, path, {"len": 2**64 - 1}),
        (shmkit.OutOfRangeError, errno.EINVAL, path, {"len": full + 1}),
        (shmkit.OutOfRangeError, errno.EINVAL, path, {"len": 2, "offset": full - 1}),
        (shmkit.OutOfRangeError, errno.EINVAL, path, {"offset": -1}),
        (shmkit.InvalidArgumentError, errno.EINVAL, path, {"create": True}),
        (shmkit.InvalidArgumentError, errno.EINVAL, path, {"grow": True}),
        (shmkit.InvalidArgumentError, errno.EINVAL, path, {"protection": "write"}),
        (shmkit.InvalidArgumentError, errno.EINVAL, path, {"sharing": "public"}),
    ]:
        with pytest.raises(shmkit.Error) as raised:
            Mapping.open(target, **options)
        assert type(raised.value) is class_, options
        assert (raised.value.errno, raised.value.filename) == (number, str(target)), options
    assert path.stat().st_size == full and not (tmp_path / "none").exists()
    with pytest.raises(shmkit.WrongKindError):
        Mapping.open(tmp_path)
    with pytest.raises(TypeError):
        Mapping.open(7)
    for len_ in (0, -5, 2**64):
        with pytest.raises(shmkit.InvalidLengthError):
            Mapping.anonymous(len_)


def test_descriptors_that_cannot_be_mapped(path: Path) -> None:
    with pytest.raises(shmkit.InvalidArgumentError):
        Mapping.from_fd(-1)
    with open(path, "rb") as file:
        number = file.fileno()
        with pytest.raises(shmkit.PermissionDeniedError):
            Mapping.from_fd(file, protection="read_write")
    with pytest.raises(shmkit.Error) as raised:
        Mapping.from_fd(number)
    assert raised.value.errno == errno.EBADF
    with pytest.raises(TypeError):
        Mapping.from_fd("file")


def test_protection_changes_and_spares_live_views(path: Path) -> None:
    with Mapping.open(path, protection="read_write") as mapping:
        writer = memoryview(mapping)
        with pytest.raises(BufferError) as raised:
            mapping.protect(Protection.READ)
        assert type(raised.value) is shmkit.BusyError
        writer[0] = 1
        writer.release()
        reader = mapping.readonly()
        mapping.protect("read")
        assert mapping.read_only
        with pytest.raises(TypeError):
            mapping[0] = 2
        with memoryview(mapping) as view:
            assert view.readonly
        with pytest.raises(BufferError):
            mapping.protect("none")
        reader.release()
        mapping.protect("read_write", 0, PAGE)
        mapping[0] = 3
        with mapping.view(0, PAGE, writable=True) as view:
            view[1] = 4
        with pytest.raises(shmkit.ReadOnlyError):
            mapping[PAGE] = 3
        mapping.protect(protection="none", offset=PAGE, len=PAGE)
        with pytest.raises(PermissionError):
            mapping[PAGE]
        with pytest.raises(shmkit.InvalidArgumentError):
            mapping.protect("read", 1, 5)
        with pytest.raises(shmkit.OutOfRangeError):
            mapping.protect("read", 0, 16385)
        with pytest.raises(shmkit.InvalidArgumentError):
            mapping.protect("execute")


def test_a_file_that_was_opened_for_reading_stays_so(path: Path) -> None:
    with Mapping.open(path) as mapping, pytest.raises(shmkit.ReadOnlyError):
        mapping.protect("read_write")


def test_advice(path: Path) -> None:
    with Mapping.open(path, protection="read_write", sharing="private") as mapping:
        for advice in Advice:
            try:
                mapping.advise(advice)
                mapping.advise(str(advice), 0, PAGE)
            except shmkit.UnsupportedError:
                # Not for a private map of a file, or not by every kernel.
                assert advice not in (
                    "normal",
                    "random",
                    "sequential",
                    "will_need",
                    "dont_need",
                    "dont_dump",
                    "do_dump",
                )
        mapping[0] = 255
        mapping.advise("dont_need")
        assert mapping[0] == 0
        with pytest.raises(shmkit.InvalidArgumentError):
            mapping.advise("hurry")
        with pytest.raises(shmkit.InvalidArgumentError):
            mapping.advise(Advice.DONT_NEED, 0, 10)
        with pytest.raises(shmkit.OutOfRangeError):
            mapping.advise("normal", 16385)


def test_a_closed_mapping_refuses_everything(path: Path) -> None:
    mapping = Mapping.open(path, protection="read_write")
    mapping.close()
    for call in (
        lambda: mapping[0],
        lambda: mapping.__setitem__(0, 1),
        lambda: mapping.read_at(0, 1),
        lambda: mapping.write_at(0, b"x"),
        lambda: memoryview(mapping),
        mapping.view,
        mapping.flush,
        lambda: mapping.protect("read"),
        lambda: mapping.advise("normal"),
    ):
        with pytest.raises(shmkit.ClosedError) as raised:
            call()
        assert (raised.value.errno, raised.value.filename) == (errno.EBADF, str(path))
