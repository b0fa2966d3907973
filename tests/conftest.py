"""Fixtures for all tests: fresh names, a time limit for each test, and a check that nothing stays behind."""

from collections.abc import Iterator

import pytest
from helpers.languages import LANGUAGES
from helpers.objects import Names

TIME_LIMIT_S = 120
#: Directories whose tests take a minute and more.
LONG = ("go-module", "c")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--languages",
        default=",".join(LANGUAGES),
        help="only these languages, separated by commas; all by default",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.hasplugin("timeout"):
        raise pytest.UsageError("pytest-timeout is missing: run tools/setup.sh and use .venv/bin/pytest")
    unknown = set(chosen_languages(config)) - set(LANGUAGES)
    if unknown:
        raise pytest.UsageError(f"--languages: no such language: {', '.join(sorted(unknown))}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What takes longest comes first, or all others would wait for it in the end.
    items.sort(key=lambda item: item.path.parent.name not in LONG)
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_LIMIT_S))
        if config.pluginmanager.hasplugin("xdist"):
            item.add_marker(pytest.mark.xdist_group(together(item)))


def together(item: pytest.Item) -> str:
    """Which tests one worker runs (`--dist loadgroup`).

    Those of a file, which share what is made once for it. Those of the conformance cases share no more than the answers
    of the reference to one case.
    """
    case = item.callspec.params.get("case") if hasattr(item, "callspec") else None
    return f"{item.path.name} {getattr(case, 'name', '')}"


def chosen_languages(config: pytest.Config) -> list[str]:
    return config.getoption("--languages").split(",")


@pytest.fixture
def names() -> Iterator[Names]:
    """Names of shared memory objects for one test. An object left under one of them fails the test."""
    given = Names()
    yield given
    left = given.remove_leftovers()
    assert not left, f"left behind in /dev/shm: {', '.join(left)}"


@pytest.fixture
def fresh_name(names: Names) -> str:
    """One name for a shared memory object that nobody else uses."""
    return names.fresh()
