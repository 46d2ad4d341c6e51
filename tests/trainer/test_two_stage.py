"""Row 29: what the pipelines and the single network of the comparison see, and how they fare."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from trainer.two_stage import SCENE, SIDE, error, make_scenes, share_wrong, window_with_most_ink


def test_the_first_stage_finds_a_digit_that_nothing_hides() -> None:
    pictures = np.random.default_rng(0).uniform(0.5, 1, (2, SIDE, SIDE))
    scenes = np.zeros((2, SCENE, SCENE))
    scenes[0, 3:11, 0:8], scenes[1, 2:10, 3:11] = pictures

    assert np.array_equal(window_with_most_ink(scenes), pictures)


def test_a_scene_has_its_digit_where_it_says_over_all_else() -> None:
    pictures = np.full((3, SIDE, SIDE), 1.0)
    scenes = make_scenes(pictures, np.arange(3), 50, np.random.default_rng(0))

    for picture, (row, column) in zip(scenes.pictures, scenes.places, strict=True):
        window = picture[row : row + SIDE, column : column + SIDE]
        assert abs(window.mean() - 1) < 0.1
        assert picture.sum() < SIDE * SIDE + 5 * 16
    assert set(scenes.digits) == {0, 1, 2}


def test_a_pipeline_needs_fewer_scenes_than_one_network() -> None:
    few = {approach: share_wrong(approach, 300, 1) for approach in ("pipeline", "coarse_pipeline", "end_to_end")}

    assert few["pipeline"] < few["coarse_pipeline"] < few["end_to_end"]
    assert share_wrong("end_to_end", 3000, 1) < few["end_to_end"] - 0.2


def test_a_trial_reports_the_error_at_each_number_of_scenes() -> None:
    trial = SimpleNamespace(params={"approach": "pipeline", "scenes": 300}, seed=2**62)

    reports = list(error(trial))

    assert [(one["step"], one["epoch"]) for one in reports] == [(1, 100), (2, 300)]
    assert 0.9 > reports[0]["error"] > reports[1]["error"] > 0.1
