"""Window caches: the right bytes, the right window evicted, views that keep theirs."""

import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest

import shmkit
from shmkit import WindowCache

WINDOW = 16384
CONTENT = bytes((at // 7 + at // WINDOW) & 255 for at in range(5 * WINDOW + 100))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    return path


def test_windows_show_the_file(path: Path) -> None:
    with WindowCache.open(path, window_len=WINDOW, windows=2, writable=True) as cache:
        assert len(cache) == cache.nbytes == len(CONTENT) and cache.name == str(path) and not cache.read_only
        assert (cache.window_len, cache.window_count) == (WINDOW, 2)
        assert cache.read_at(0, len(CONTENT)) == CONTENT
        cache.write_at(WINDOW - 3, b"across")
        cache.write_at(3 * WINDOW, np.arange(4, dtype=np.uint8))
        cache.flush()
        cache.flush(sync=False)
        assert cache.read_at(WINDOW - 3, 6) == b"across"
        stats = cache.stats()
        assert stats.misses == stats.maps and stats.mapped == 2 and stats.evictions == stats.misses - 2
        assert stats.kernel_ns > 0 and stats.views == 0
        assert repr(cache) == f"<shmkit.WindowCache {path}, {len(CONTENT)} bytes>"
    assert path.read_bytes()[WINDOW - 3 : WINDOW + 3] == b"across"
    assert path.read_bytes()[3 * WINDOW :][:4] == bytes(range(4))


def test_the_window_least_recently_used_gives_its_place(path: Path) -> None:
    with WindowCache.open(path, window_len=WINDOW, windows=2) as cache:

        def hit(window: int) -> bool:
            before = cache.stats().misses
            cache.read_at(window * WINDOW, 8)
            return cache.stats().misses == before

        assert [hit(window) for window in (0, 1, 0, 2, 0, 1)] == [False, False, True, False, True, False]


def test_views_keep_their_window(path: Path) -> None:
    with WindowCache.open(path, window_len=WINDOW, windows=1, writable=True) as cache:
        view = cache.view(100, 1000)
        view[:4] = b"view"
        array = np.frombuffer(view, np.uint8)
        with pytest.raises(BufferError) as raised:
            cache.close()
        assert type(raised.value) is shmkit.BusyError
        with pytest.raises(shmkit.BusyError):
            cache.view(WINDOW, 1)
        assert cache.read_at(WINDOW, 4) == CONTENT[WINDOW : WINDOW + 4]
        assert (cache.stats().bypasses, cache.stats().views) == (1, 1)
        assert bytes(array[:4]) == b"view"
        del array
        view.release()
        reader = cache.view(0, WINDOW, writable=False)
        assert reader.readonly and reader[100:104] == b"view"
        reader.release()
        assert cache.stats().views == 0
    for call in (lambda: cache.read_at(0, 1), lambda: cache.view(0, 1), lambda: cache.flush()):
        with pytest.raises(shmkit.ClosedError):
            call()
    assert cache.closed


def test_what_has_no_windows(path: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    for class_, target, options in [
        (shmkit.NotFoundError, tmp_path / "none", {}),
        (shmkit.WrongKindError, tmp_path, {}),
        (shmkit.InvalidLengthError, empty, {}),
        (shmkit.InvalidArgumentError, path, {"window_len": 5000}),
        (shmkit.InvalidArgumentError, path, {"window_len": 0}),
        (shmkit.InvalidArgumentError, path, {"window_len": -1}),
        (shmkit.InvalidArgumentError, path, {"windows": 0}),
        (shmkit.InvalidArgumentError, path, {"windows": 2**40}),
        (shmkit.InvalidArgumentError, path, {"pattern": "free"}),
        (shmkit.InvalidArgumentError, path, {"pattern": "sideways"}),
    ]:
        with pytest.raises(shmkit.Error) as raised:
            WindowCache.open(target, **options)
        assert type(raised.value) is class_ and raised.value.filename == str(target), options
    with pytest.raises(shmkit.InvalidArgumentError):
        WindowCache.from_fd(-1)


def test_ranges_and_read_only(path: Path) -> None:
    with open(path, "rb") as file:
        cache = WindowCache.from_fd(file, window_len=WINDOW, pattern="random")
    assert cache.read_only
    with pytest.raises(shmkit.ReadOnlyError):
        cache.write_at(0, b"x")
    with pytest.raises(shmkit.ReadOnlyError):
        cache.view(0, 1, writable=True)
    for offset, length in [(len(CONTENT), 1), (0, len(CONTENT) + 1), (2**63, 1), (0, 2**63), (-1, 1)]:
        with pytest.raises(shmkit.OutOfRangeError):
            cache.read_at(offset, length)
        with pytest.raises(shmkit.OutOfRangeError):
            cache.view(offset, length)
    assert cache.read_at(len(CONTENT), 0) == b""
    with pytest.raises(shmkit.InvalidArgumentError, match="border"):
        cache.view(WINDOW - 1, 2)
    os.truncate(path, 10)
    with pytest.raises(shmkit.TruncatedError):
        cache.read_at(0, 1)
    cache.close()
    assert repr(cache).endswith("read-only, closed>")


def test_threads_share_windows(path: Path) -> None:
    cache = WindowCache.open(path, window_len=WINDOW, windows=2)
    wrong = []

    def read(seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(1000):
            offset = choose.randrange(len(CONTENT) - 100)
            if cache.read_at(offset, 100) != CONTENT[offset : offset + 100]:
                wrong.append(offset)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and cache.stats().evictions > 0
    cache.close()
