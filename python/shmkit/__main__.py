"""The command: ``python -m shmkit ls``, and ``shmkit`` where the package is installed."""

import signal
import sys

from ._native import _main


def main() -> int:
    """Runs the command with the words of the command line; its exit status."""
    # Python only notes that Ctrl-C was pressed, for code of its own that does not come while the command runs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = "python -m shmkit" if sys.argv[0].endswith("__main__.py") else "shmkit"
    return _main([name, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
