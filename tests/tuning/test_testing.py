"""`sturgeon.testing` finds what is wrong with an objective before a search does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sturgeon
from sturgeon import errors, testing

SPACE = {
    "lr": sturgeon.log(1e-3, 1),
    "n": sturgeon.integer(1, 4),
    "kind": sturgeon.choice("plain", "deep"),
    "depth": sturgeon.integer(2, 3, when={"kind": "deep"}),
}


def sound(trial: Any) -> None:
    noise = random.Random(trial.seed).random()
    for epoch in range(5):
        trial.report(epoch, loss=trial.params.lr + trial.params.get("depth", 0) + noise)
        if trial.should_stop:
            break


def yielding(lr: float, n: int, kind: str, depth: int = 0) -> Iterator[float]:
    for _ in range(5):
        yield lr * n * (depth or 1)


def deaf(trial: Any) -> None:
    for epoch in range(5):
        trial.report(epoch, loss=1.0)


def repeated(trial: Any) -> None:
    for value in (1.0, 2.0):
        trial.report(0, loss=value)


counter = itertools.count()


@pytest.mark.parametrize(
    "objective", [sound, yielding, lambda trial: 1.0, lambda trial: float("nan"), lambda **params: {"loss": 0.0}]
)
def test_a_sound_objective_passes(objective: Callable[..., object]) -> None:
    testing.check_objective(objective, SPACE, metric="loss")


@pytest.mark.parametrize(
    ("objective", "fault"),
    [
        (deaf, "it does not stop: told so at its first report, it made 4 more. Look at trial.should_stop"),
        (repeated, "ValueError: Step 0 was reported before with other values; count the steps over all epochs."),
        (lambda trial: {"accuracy": 1.0}, "it neither returned nor reported loss; it gave accuracy"),
        (lambda trial: None, "it neither returned nor reported loss; it gave nothing"),
        (lambda trial: float(next(counter)), "it is not deterministic: the same parameters and seed gave loss"),
        (lambda lr, n, kind, depth: lr, "needs depth, which this trial does not have"),
        (lambda trial: 1 / (trial.params.n - 4), "n=4, kind='deep', depth=3: ZeroDivisionError: division by zero"),
    ],
)
def test_a_fault_is_named_with_the_parameters_that_show_it(objective: Callable[..., object], fault: str) -> None:
    with pytest.raises(AssertionError) as found:
        testing.check_objective(objective, SPACE, metric="loss")

    assert fault in str(found.value)


def test_an_objective_may_say_that_it_is_not_deterministic() -> None:
    testing.check_objective(lambda trial: float(next(counter)), SPACE, metric="loss", deterministic=False)


def test_the_edges_have_both_ends_each_choice_and_no_point_twice() -> None:
    points = testing.edge_points(SPACE)

    assert sorted({point["lr"] for point in points}) == pytest.approx([1e-3, 1e-3**0.5, 1])
    assert {(point["kind"], point.get("depth")) for point in points} == {("plain", None), ("deep", 2), ("deep", 3)}
    assert len(points) == len({tuple(point.items()) for point in points})


def test_a_space_that_is_none_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="lr: a log scale starts above 0"):
        testing.edge_points({"lr": sturgeon.log(0, 1)})


def test_a_trial_for_unit_tests_keeps_what_is_reported() -> None:
    trial = testing.run(sound, {"lr": 0.5}, stop_after=2)

    assert [report.step for report in trial.reports] == [0, 1]
    assert trial.result == trial.reports[-1].metrics


def test_only_points_that_satisfy_the_constraints_are_tried() -> None:
    tried = []

    def of_both(trial: Any) -> float:
        tried.append(dict(trial.params))
        return 1.0

    square = {"a": sturgeon.linear(0, 1), "b": sturgeon.linear(0, 1)}
    testing.check_objective(of_both, square, metric="loss", constraints=["a <= b"])
    assert tried
    assert all(point["a"] <= point["b"] for point in tried)
    between = testing.edge_points(square, ["a > 0.6", "a < 0.7"])  # which no corner does
    assert between
    assert all(0.6 < point["a"] < 0.7 for point in between)


def test_constraints_that_nothing_satisfies_are_refused() -> None:
    with pytest.raises(errors.Invalid, match="satisfies the constraints"):
        testing.edge_points({"a": sturgeon.linear(0, 1)}, ["a < 0.00001", "a > 0.000001"])
    with pytest.raises(errors.Invalid, match="b is no parameter of the space"):
        testing.edge_points({"a": sturgeon.linear(0, 1)}, ["b < 1"])


def test_a_step_and_an_epoch_that_are_returned_are_no_metrics() -> None:
    ran = testing.run(lambda a: {"step": 3, "epoch": 1, "loss": a}, {"a": 2.0})
    assert ran.result == {"loss": 2.0}
    assert testing.run(lambda a: {"epoch": a}, {"a": 2.0}, metric="epoch").result == {"epoch": 2.0}
