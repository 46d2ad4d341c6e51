"""What a search learns from very many results: a selection, the same in however many steps it is made."""

from __future__ import annotations

import numpy as np
import pytest

from sturgeon.search.coarse_to_fine import Options, suggest
from sturgeon.search.evidence import MOST_FINISHED, Evidence, evidence_from, extended, no_evidence
from sturgeon.search.keys import KeySet, keys_of
from sturgeon.search.memo import Memo
from sturgeon.search.results import Results
from sturgeon.search.samplers import Finished, History
from sturgeon.search.scores import round_starts
from sturgeon.space import Space

SPACE = Space.model_validate({name: {"type": "float", "low": 0, "high": 1} for name in "ab"})
MIXED = Space.model_validate(
    {"a": {"type": "float", "low": 0, "high": 1}, "b": {"type": "choice", "values": list("xyz")}}
)


def made(count: int, seed: int = 1) -> Results:
    """Uniform points, whose scores have many equals, and some of which diverged."""
    random = np.random.default_rng(seed)
    points = random.random((count, 2))
    scores = np.round((points[:, 0] - 0.3) ** 2 + points[:, 1], 2)
    scores[random.random(count) < 0.05] = np.nan
    return Results(np.arange(count), points, scores, np.ones(count), random.random(count) < 0.8)


@pytest.mark.parametrize("steps", [7, 1000])
def test_a_selection_is_the_same_in_however_many_steps_it_is_made(steps: int) -> None:
    results = made(9000)
    evidence = no_evidence(2)
    for at in range(0, 9000, steps):
        evidence = extended(evidence, results[at : at + steps])

    assert evidence == evidence_from(results, 2)
    assert [begun.start for begun in evidence.rounds] == round_starts(2, 9000)[-3:]


def test_a_selection_has_the_best_and_a_part_by_chance() -> None:
    results = made(100_000)

    evidence = evidence_from(results, 2)

    kept = evidence.finished
    worst_kept = np.sort(results.scores[np.isfinite(results.scores)])[199]
    assert np.isin(np.flatnonzero(results.scores < worst_kept), kept.numbers).all()
    assert 550 < len(kept) < 1250
    others = kept.numbers[~(kept.scores <= worst_kept)]
    assert abs(float(others.mean()) - 50_000) < 5_000
    assert np.array_equal(np.sort(kept.numbers), kept.numbers)


def test_what_is_evidence_of_few_results_is_all_of_them() -> None:
    results = made(MOST_FINISHED)

    assert evidence_from(results, 2).finished == results
    assert len(evidence_from(made(MOST_FINISHED + 1), 2).finished) < MOST_FINISHED


def test_a_draw_from_very_many_results_has_a_model_and_takes_what_is_learnt() -> None:
    results = made(5000)
    evidence = evidence_from(results, 2)

    whole = [suggest(SPACE, 1, number, History(results, ()), memo=Memo()) for number in (5000, 5001)]
    kept = [suggest(SPACE, 1, n, History(evidence.finished, (), evidence=evidence), memo=Memo()) for n in (5000, 5001)]

    assert whole == kept
    assert {sample.model for sample in whole} == {"gp"}
    assert whole[0].round == len(round_starts(2, 5000))


@pytest.mark.parametrize("options", [Options(), Options(model="boxes")])
def test_of_very_many_results_none_is_drawn_again_that_is_not_in_the_selection(options: Options) -> None:
    points = [(0.25 + (n % 50) / 1e4, (n % 3) / 3 + 0.1) for n in range(3000)]
    history = History(Results.of([Finished(n, p, p[1]) for n, p in enumerate(points)]), ())
    memo = Memo()

    drawn = [suggest(MIXED, 3, number, history, options, memo=memo).point for number in range(3000, 3040)]

    assert {point[0] for point in drawn}.isdisjoint({point[0] for point in points})


def test_a_set_of_keys_grows_without_losing_any() -> None:
    keys = keys_of(np.random.default_rng(1).random((20_000, 3)))
    grown = KeySet()
    for at in range(0, 10_000, 500):
        grown = grown.with_keys(keys[max(0, at - 100) : at + 500])

    assert len(grown) == 10_000
    assert grown.holds(keys).tolist() == [True] * 10_000 + [False] * 10_000
    assert grown == KeySet().with_keys(keys[:10_000])


def test_results_that_differ_in_one_bit_are_not_equal() -> None:
    results = made(100)
    other = results.points.copy()
    other[3, 1] = np.nextafter(other[3, 1], 2)

    assert results == made(100)
    assert results != Results(results.numbers, other, results.scores, results.seconds, results.complete)
    assert Evidence(results, 100) == Evidence(made(100), 100)
