"""The cases in `cases/`, for each language and for each ordered pair of languages."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance.actor import Answer
from conformance.case import Case, Play, load
from helpers.objects import Names

REFERENCE = "rust"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = metafunc.config.getoption("--languages").split(",")
    performances = [
        pytest.param(case, languages, id=f"{case.name}-{'-'.join(languages)}")
        for case in load()
        for languages in casts(case, chosen)
    ]
    metafunc.parametrize(("case", "languages"), performances)


def casts(case: Case, chosen: list[str]) -> list[tuple[str, ...]]:
    """The languages in which a case is played: one after the other, or every ordered pair."""
    if isinstance(case.actors, dict):
        needed = tuple(case.actors.values())
        return [needed] if set(needed) <= set(chosen) else []
    speaking = [language for language in chosen if language in (case.languages or chosen)]
    if case.pairs == "same":
        return [(language,) * len(case.actors) for language in speaking]
    return list(itertools.product(speaking, repeat=len(case.actors)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], list[tuple[str, Answer]]]:
    """What the reference answers in a case. The other languages must say the same, to the letter."""
    records: dict[str, list[tuple[str, Answer]]] = {}

    def record(case: Case) -> list[tuple[str, Answer]]:
        if case.name not in records:
            names = Names()
            play = Play(case, case.languages_of((REFERENCE,)), names, tmp_path_factory.mktemp("reference"))
            try:
                play.run()
            finally:
                names.remove_leftovers()
            records[case.name] = play.record
        return records[case.name]

    return record


def test_case(
    case: Case,
    languages: tuple[str, ...],
    names: Names,
    tmp_path: Path,
    reference: Callable[[Case], list[tuple[str, Answer]]],
) -> None:
    play = Play(case, case.languages_of(languages), names, tmp_path)
    play.run()
    if len(languages) == 1 and languages != (REFERENCE,):
        assert play.record == reference(case)
