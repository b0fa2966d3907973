"""One exception class for each kind of error, and each bad input raises its own, with errno and filename."""

import builtins
import errno
import pickle
import struct
from pathlib import Path

import pytest
from helpers.objects import Names, object_path

import shmkit
from shmkit import Mapping, Region, _native

BUILTIN = {
    "NotFound": FileNotFoundError,
    "AlreadyExists": FileExistsError,
    "PermissionDenied": PermissionError,
    "InvalidName": ValueError,
    "InvalidLength": ValueError,
    "InvalidArgument": ValueError,
    "OutOfRange": IndexError,
    "OutOfMemory": MemoryError,
    "ReadOnly": TypeError,
    "Closed": ValueError,
    "Busy": BufferError,
    "Timeout": TimeoutError,
    "WouldBlock": BlockingIOError,
    "NotOwner": RuntimeError,
    "Interrupted": InterruptedError,
}


def test_every_kind_of_the_core_has_its_class_and_no_class_is_without_a_kind() -> None:
    kinds = [name for _, name in _native._error_kinds()]
    classes = {
        value.kind: value
        for value in vars(shmkit).values()
        if isinstance(value, type) and issubclass(value, shmkit.Error) and value is not shmkit.Error
    }
    assert sorted(classes) == sorted(kinds)
    for kind, class_ in classes.items():
        assert class_.__name__ == f"{kind}Error"
        assert class_.__module__ == "shmkit"
        assert class_.__doc__
        assert issubclass(class_, BUILTIN.get(kind, OSError))
    assert set(BUILTIN) <= set(kinds)


def test_the_numbers_are_those_of_the_core() -> None:
    numbers = [number for number, _ in _native._error_kinds()]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


def test_a_star_import_hides_no_builtin() -> None:
    assert not set(shmkit.__all__) & set(vars(builtins))


def test_an_error_says_what_was_tried_on_what_and_what_to_do(fresh_name: str) -> None:
    with pytest.raises(shmkit.NotFoundError) as raised:
        Region.open(fresh_name)
    error = raised.value
    assert (error.errno, error.filename, error.operation) == (errno.ENOENT, fresh_name, "open region")
    assert str(error) == f"cannot open region '{fresh_name}': {error.strerror}"
    assert error.strerror == "does not exist (ENOENT); create it first, or use open_or_create"


def test_an_error_without_an_object_has_no_filename() -> None:
    with pytest.raises(shmkit.InvalidLengthError) as raised:
        Mapping.anonymous(0)
    assert raised.value.filename is None
    assert str(raised.value).startswith("cannot map memory: ")


def test_errors_survive_pickling(fresh_name: str) -> None:
    with pytest.raises(shmkit.NotFoundError) as raised:
        Region.open(fresh_name)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert type(copy) is shmkit.NotFoundError
    assert (str(copy), copy.errno, copy.filename) == (
        str(raised.value),
        raised.value.errno,
        raised.value.filename,
    )


def test_an_error_that_the_user_makes_reads_like_an_oserror() -> None:
    assert str(shmkit.Error(2, "gone")) == "[Errno 2] gone"


def expect(class_: type[shmkit.Error], number: int, filename: str | None, call, *args, **kwargs) -> None:
    with pytest.raises(class_) as raised:
        call(*args, **kwargs)
    assert type(raised.value) is class_
    assert (raised.value.errno, raised.value.filename) == (number, filename)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ü", "\udcff", "a\0b", "x" * 201, "../up"])
def test_bad_names(name: str) -> None:
    for call in (Region.open, Region.unlink, lambda name: Region.create(name, 10)):
        with pytest.raises(shmkit.InvalidNameError) as raised:
            call(name)
        assert raised.value.errno == errno.EINVAL


@pytest.mark.parametrize("name", [7, None, b"bytes", ["list"]])
def test_names_of_another_type(name: object) -> None:
    with pytest.raises(TypeError, match=r"a name is a str and a path is an os\.PathLike"):
        Region.open(name)


def test_creation(region: Region, names: Names) -> None:
    name = names.fresh()
    expect(shmkit.AlreadyExistsError, errno.EEXIST, region.name, Region.create, region.name, 10)
    for len_ in (0, -1, 1 << 63, 1 << 64, 1 << 200):
        expect(shmkit.InvalidLengthError, errno.EINVAL, name, Region.create, name, len_)
    expect(shmkit.NoSpaceError, errno.ENOSPC, name, Region.create, name, 1 << 46)
    expect(shmkit.InvalidArgumentError, errno.EINVAL, name, Region.create, name, 10, attachments=0)
    expect(shmkit.InvalidArgumentError, errno.EINVAL, name, Region.create, name, 10, attachments=1024)
    expect(shmkit.InvalidArgumentError, errno.EINVAL, name, Region.create, name, 10, mode=0o1777)
    expect(shmkit.SizeMismatchError, errno.EINVAL, region.name, Region.open_or_create, region.name, 10)
    with pytest.raises(TypeError):
        Region.create(name, "10")
    assert not object_path(name).exists()


def test_unlinking_what_is_not_there(fresh_name: str) -> None:
    expect(shmkit.NotFoundError, errno.ENOENT, fresh_name, Region.unlink, fresh_name)


def test_opening_what_is_no_region(region: Region, tmp_path: Path) -> None:
    good = object_path(region.name).read_bytes()
    path = tmp_path / "region"

    def with_word(offset: int, value: int) -> bytes:
        return good[:offset] + struct.pack("=I", value) + good[offset + 4 :]

    for content, class_ in [
        (b"no region at all" * 100, shmkit.BadMagicError),
        (with_word(8, 999), shmkit.VersionMismatchError),
        (with_word(12, 99), shmkit.WrongKindError),
        (with_word(40, 1), shmkit.CorruptedError),
        (good[:-1], shmkit.TruncatedError),
        (good[:20], shmkit.TruncatedError),
    ]:
        path.write_bytes(content)
        number = errno.EINVAL if class_ is shmkit.WrongKindError else errno.EPROTO
        expect(class_, number, str(path), Region.open, path)
        assert path.read_bytes() == content
    expect(shmkit.WrongKindError, errno.EISDIR, str(tmp_path), Region.open, tmp_path)


def test_no_permission(region: Region, start) -> None:
    object_path(region.name).chmod(0)
    program = """
        import os, sys, shmkit
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            shmkit.Region.open(sys.argv[1])
        except PermissionError as error:
            print(type(error).__name__, error.errno, error.filename)
    """
    process = start(program, region.name)
    assert process.hear() == f"PermissionDeniedError {errno.EACCES} {region.name}"


def test_writing_through_a_read_only_region(region: Region) -> None:
    reader = Region.open(region.name, read_only=True)
    for call in (
        lambda: reader.write_at(0, b"x"),
        lambda: reader.__setitem__(0, 1),
        lambda: reader.__setitem__(slice(0, 1), b"x"),
        lambda: reader.view(writable=True),
        reader.guard.acquire,
        reader.lock().__enter__,
    ):
        expect(shmkit.ReadOnlyError, errno.EACCES, region.name, call)
    with pytest.raises(TypeError):
        memoryview(reader)[0] = 1
    assert region[0] == 0


def test_a_closed_handle_refuses_everything(region: Region) -> None:
    region.close()
    for call in (
        lambda: region[0],
        lambda: region[0:1],
        lambda: region.__setitem__(0, 1),
        lambda: region.read_at(0, 1),
        lambda: region.write_at(0, b"x"),
        lambda: memoryview(region),
        region.view,
        region.flush,
        region.guard.acquire,
        lambda: region.guard.acquire(False),
        region.lock().__enter__,
        region.guard.release,
        region.guard.make_consistent,
        lambda: pickle.dumps(region),
    ):
        expect(shmkit.ClosedError, errno.EBADF, region.name, call)


def test_unlocking_what_is_not_locked(region: Region, holder) -> None:
    expect(shmkit.NotOwnerError, errno.EPERM, region.name, region.guard.release)
    expect(shmkit.NotOwnerError, errno.EPERM, region.name, region.guard.make_consistent)
    assert region.guard.locked()


def test_too_many_attachments(fresh_name: str, start) -> None:
    region = Region.create(fresh_name, 10, attachments=1)
    program = """
        import sys, shmkit
        try:
            shmkit.Region.open(sys.argv[1])
        except shmkit.TooManyAttachmentsError as error:
            print(error.errno, error.filename)
    """
    process = start(program, fresh_name)
    assert process.hear() == f"{errno.EUSERS} {fresh_name}"
    Region.unlink(fresh_name)
    region.close()
