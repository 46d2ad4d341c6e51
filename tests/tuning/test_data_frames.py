"""A study's trials and curves as data frames."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

import sturgeon
from sturgeon import errors


def test_trials_and_curves_are_rows_of_data_frames(bowl: sturgeon.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pandas is given; the tests of the wheel have a real one."""
    pandas = ModuleType("pandas")
    pandas.__spec__ = ModuleSpec("pandas", None)
    pandas.DataFrame = lambda rows, columns: (rows, columns)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    for trial in bowl:
        for epoch in range(2):
            trial.report(epoch, loss=trial.number + epoch, other=0.5)

    (trials, columns), (reports, curve_columns) = bowl.dataframe(), bowl.curves()

    assert [(row["state"], row["value"]) for row in trials] == [("complete", n) for n in (1, 2, 3, 4)]
    assert [row["params.x"] for row in trials] == [trial.params["x"] for trial in bowl.trials]
    assert columns[:3] == ["number", "state", "value"]
    assert columns[-3:] == ["params.x", "metrics.loss", "metrics.other"]
    assert [(row["trial"], row["step"], row["loss"]) for row in reports][:3] == [(0, 0, 0), (0, 1, 1), (1, 0, 1)]
    assert curve_columns == ["trial", "step", "epoch", "at", "loss", "other"]


def test_without_pandas_a_data_frame_says_what_to_install(
    bowl: sturgeon.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(errors.MissingExtra, match=r'pip install "sturgeon\[notebook\]"'):
        bowl.dataframe()
