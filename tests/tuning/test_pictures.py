"""`study.plot`: the pictures of a study as charts in a notebook."""

from __future__ import annotations

import sys

import pytest

import sturgeon
from sturgeon.errors import MissingExtra, NotFound


@pytest.fixture
def run(bowl: sturgeon.Study) -> sturgeon.Study:
    """`bowl` with its four trials told."""
    for trial in bowl:
        trial.report(1, loss=1.0)
        trial.finish(loss=float(trial.params.x) ** 2)
    return bowl


def test_a_picture_is_a_valid_chart_with_the_trials(run: sturgeon.Study) -> None:
    chart = run.plot.history()

    spec = chart.to_dict()  # Altair checks it against the schema of Vega-Lite
    assert [row["number"] for row in spec["datasets"]["rows"]] == [0, 1, 2, 3]
    assert run.plot.slice("x").to_dict()["title"]["text"] == "loss by x"
    assert len(run.plot.curves().to_dict()["datasets"]["curves"]) == 4
    with pytest.raises(NotFound, match="no parameter z; it has x"):
        run.plot.slice("z")


def test_parallel_coordinates_show_themselves_in_a_notebook(run: sturgeon.Study) -> None:
    picture = run.plot.parallel(["x"], top=50)

    shown = picture._repr_mimebundle_()
    assert shown["application/vnd.vega.v6+json"] == picture.to_dict()
    assert {"name": "top", "value": 50.0} in picture.spec["signals"]


def test_without_altair_a_sentence_names_the_extra(run: sturgeon.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)

    with pytest.raises(MissingExtra, match=r'pip install "sturgeon\[notebook\]"'):
        run.plot.history()
