"""The curve of a program: whole reports, each step once."""

from __future__ import annotations

import math

import pytest

from sturgeon.messages.forms import LARGEST_STEP
from worker.own.curve import Curve
from worker.own.said import MOST_METRICS, Misread, Reported, Saved, said_in


def curve(*, is_best_told: bool = False) -> Curve:
    return Curve("loss", "minimize", is_best_told)


def added(one: Curve, *reports: Reported) -> list[tuple[int | None, dict[str, float]]]:
    whole = [report for given in reports for report in one.add(given)]
    return [(report.step, dict(report.metrics)) for report in [*whole, *one.flush()]]


def at(step: int | None, is_part: bool = False, **metrics: float) -> Reported:
    return Reported(step, None, metrics, is_part)


def test_what_is_said_of_a_step_in_parts_is_one_report() -> None:
    parts = at(1, loss=3), at(1, acc=0.5), at(2, loss=2), at(2, loss=1)

    assert added(curve(), *parts) == [(1, {"loss": 3, "acc": 0.5}), (2, {"loss": 1})]


def test_lines_without_a_step_are_of_the_next_one_when_a_metric_comes_again() -> None:
    parts = [at(None, True, loss=3), at(None, True, acc=1), at(None, True, loss=2), at(None, True, acc=2)]

    assert added(curve(), *parts) == [(1, {"loss": 3, "acc": 1}), (2, {"loss": 2, "acc": 2})]
    assert added(curve(), at(None, loss=3), at(None, acc=1)) == [(1, {"loss": 3}), (2, {"acc": 1})]


def test_a_step_that_was_reported_does_not_change_any_more() -> None:
    one = curve()
    assert added(one, at(0, loss=9), at(5, loss=3)) == [(0, {"loss": 9}), (5, {"loss": 3})]

    assert added(one, at(5, loss=1), at(4, loss=1), at(6, loss=2)) == [(6, {"loss": 2})]
    assert one.left_out == 2
    assert one.told == (6, {"loss": 2})


def test_a_program_that_starts_again_says_no_step_twice_and_one_that_goes_back_does() -> None:
    one = curve()
    added(one, *(at(step, loss=step) for step in (1, 2, 3, 4)))

    one.repeat_from(2)
    assert added(one, at(None, loss=33), at(None, loss=44), at(None, loss=55)) == [(5, {"loss": 55})]

    one.go_on_from(2)
    assert added(one, at(2, loss=0), at(3, loss=7)) == [(3, {"loss": 7})]


def test_what_a_run_had_come_to_is_remembered_with_its_checkpoint() -> None:
    one = curve(is_best_told=True)
    added(one, at(1, loss=3), at(2, loss=1, acc=5), at(3, loss=2))

    other = curve(is_best_told=True)
    other.go_on_from(3)
    other.remember(one.memory(3))
    assert other.told == (2, {"loss": 1, "acc": 5})
    assert added(other, at(None, loss=2)) == [(4, {"loss": 2})]
    assert other.told == (2, {"loss": 1, "acc": 5})

    earlier = curve(is_best_told=True)
    earlier.go_on_from(1)
    earlier.remember(one.memory(1))
    assert earlier.told[1] == {}


@pytest.mark.parametrize("memory", [{}, {"told": 3}, {"told": [1, None, {"acc": 1}]}, {"told": ["x", 1, {}]}])
def test_a_memory_that_makes_no_sense_is_left(memory: dict[str, object]) -> None:
    one = curve()
    one.remember(memory)
    assert one.told == (None, {})


def test_a_report_has_no_more_metrics_than_the_server_takes() -> None:
    one = curve()
    parts = [Reported(1, None, {f"m{number}_{part}": 1.0 for number in range(200)}) for part in range(3)]

    [(_, metrics)] = added(one, *parts)

    assert len(metrics) == MOST_METRICS


def test_after_the_largest_step_no_other_is_made_up() -> None:
    steps = [step for step, _ in added(curve(), at(LARGEST_STEP, loss=1), at(None, loss=2), at(None, loss=3))]

    assert steps == [LARGEST_STEP]


def test_a_metric_that_is_not_finite_is_divergence_only_of_the_studys() -> None:
    one = curve()
    assert added(one, at(1, loss=1, other=math.nan)) == [(1, {"loss": 1})]
    assert not one.diverged
    assert added(one, at(2, loss=math.inf)) == []
    assert one.diverged


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "nothing",
        '{"step": -1, "loss": 1}',
        '{"step": 1.5, "loss": 1}',
        '{"step": true, "loss": 1}',
        '{"step": NaN, "loss": 1}',
        '{"step": Infinity, "loss": 1}',
        '{"step": 1e400, "loss": 1}',
        '{"epoch": "two", "loss": 1}',
        '{"epoch": NaN, "loss": 1}',
        '{"loss": [1]}',
        '{"loss": {"a": 1}}',
        '{"loss": "low"}',
        '{"": 1}',
        '{"sturgeon": "paint"}',
        '{"sturgeon": ["saved"]}',
        '{"sturgeon": "saved"}',
        '{"sturgeon": "saved", "step": "x"}',
        '{"a": ' * 5000,
        "[" * 100_000,
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(Misread, match=r"^[a-z\"].{5,250}$"):
        said_in(text)


def test_what_makes_sense_is_read() -> None:
    assert said_in('{"step": 3.0, "loss": "nan", "acc": true, "no": null}') == Reported(
        3, None, pytest.approx({"loss": math.nan, "acc": 1.0}, nan_ok=True)
    )
    assert said_in('{"loss": 1e999}') == Reported(None, None, {"loss": math.inf})
    assert said_in(f'{{"loss": {10**400}}}') == Reported(None, None, {"loss": math.inf})
    assert said_in('{"sturgeon": "saved", "step": 3}') == Saved(3)
