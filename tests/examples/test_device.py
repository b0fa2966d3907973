"""What a failing disk does to a flush, in each language: the error is told, and nothing dies.

The disk is a file in a memory file system that is smaller than the disk says it is: what does not fit fails when it is
written back, long after the store into memory succeeded.
"""

import os
import shutil
import subprocess

import pytest
from helpers import languages

# Where the file is: $1/mnt/data.bin. The rest of the words are the command. The mounts are this namespace's own.
SETUP = """
set -e
mkdir "$1/back" "$1/mnt"
mount -t tmpfs -o size=6m tmpfs "$1/back"
truncate -s 64m "$1/back/disk"
mkfs.ext4 -q -F -O ^has_journal -E nodiscard "$1/back/disk"
mount -o loop,nodiscard "$1/back/disk" "$1/mnt"
directory=$1
shift
set +e
"$@" "$directory/mnt/data.bin"
status=$?
umount "$directory/mnt"
umount "$directory/back"
exit $status
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "language" in metafunc.fixturenames:
        metafunc.parametrize("language", metafunc.config.getoption("--languages").split(","))


def test_a_flush_tells_what_the_device_reports(language: str, tmp_path: "os.PathLike[str]") -> None:
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4") or not os.path.exists("/dev/loop-control"):
        pytest.skip("needs to be root, with mkfs.ext4 and loop devices")
    program = [str(word) for word in languages.example("flush", language)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SETUP, "sh", tmp_path, *program],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done
    # The file was made and changed; the disk had no room for it, or failed.
    assert done.stdout.startswith("a flush reaches a device: yes\nasync "), done
    said = done.stderr.strip()
    assert "cannot flush mapping" in said and "data.bin" in said, done
    assert "ENOSPC" in said or "EIO" in said, done
