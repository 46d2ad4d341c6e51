"""The preview shows what a space means: exact quantiles on each scale, exact shares, and examples."""

from __future__ import annotations

import pytest

from sturgeon.messages import ParameterPreview
from sturgeon.search.preview import preview
from sturgeon.space import Space

SPACE = Space.model_validate(
    {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"},
        "beta1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "one_minus_log"},
        "layers": {"type": "int", "low": 1, "high": 4},
        "units": {"type": "int", "low": 1, "high": 1000},
        "optimizer": {"type": "choice", "values": ["adam", "momentum", None, True, 1]},
        "l2": {"type": "fixed", "value": 0.5},
    }
)


def test_quantiles_are_those_of_the_scale() -> None:
    shown = preview(SPACE, 0, 0).parameters

    assert shown["learning_rate"].quantiles == pytest.approx(
        {"0": 1e-4, "0.05": 10**-3.8, "0.25": 1e-3, "0.5": 1e-2, "0.75": 0.1, "0.95": 10**-0.2, "1": 1.0}
    )
    assert shown["beta1"].quantiles == pytest.approx(
        {
            "0": 0.9,
            "0.05": 1 - 10**-1.1,
            "0.25": 1 - 10**-1.5,
            "0.5": 0.99,
            "0.75": 1 - 10**-2.5,
            "0.95": 1 - 10**-2.9,
            "1": 0.999,
        }
    )


def test_shares_are_told_of_choices_fixed_values_and_short_ints() -> None:
    shown = preview(SPACE, 0, 0).parameters

    assert shown["layers"].shares == pytest.approx({"1": 0.25, "2": 0.25, "3": 0.25, "4": 0.25})
    assert shown["units"].shares is None
    assert shown["optimizer"] == ParameterPreview(
        shares={"adam": 0.2, "momentum": 0.2, "null": 0.2, "true": 0.2, "1": 0.2}
    )
    assert shown["l2"] == ParameterPreview(shares={"0.5": 1.0})


def test_shares_of_values_that_are_written_alike_are_told_apart() -> None:
    space = Space.model_validate({"x": {"type": "choice", "values": ["1", 1, "null", None]}})
    shares = preview(space, 0, 0).parameters["x"].shares

    assert shares is not None
    assert sum(shares.values()) == 1.0
    assert len(shares) == 4


def test_examples_are_the_first_trials_of_a_study_of_that_seed() -> None:
    assert preview(SPACE, 7, 3).examples == preview(SPACE, 7, 5).examples[:3]
    assert preview(SPACE, 7, 3).examples != preview(SPACE, 8, 3).examples
    assert list(preview(SPACE, 7, 1).examples[0]) == list(SPACE)
