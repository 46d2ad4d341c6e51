"""Pictures of a trial: its curves with what was changed, its knobs, gradients, diagnosis, confusion and drift."""

from __future__ import annotations

import pytest

from sturgeon.errors import NotFound
from sturgeon.plots.confusion import confusion
from sturgeon.plots.diagnosis import diagnosis
from sturgeon.plots.drift import drift
from sturgeon.plots.gradients import gradients
from sturgeon.plots.knobs import knobs
from sturgeon.plots.trial_curves import metric_groups, trial_curves
from tests.plots import answers
from tests.plots.answers import intervention
from tests.plots.drawn_scenes import scene_of

FOUND = answers.trial_curves(
    {
        "dev_error": [0.5, 0.3],
        "train_error": [0.4, 0.2],
        "val/loss": [1, 2],
        "gradient_norm_1": [1, 1],
        "drift": [0, 1],
    },
    [
        intervention(1.0, 1, {"rate": 0.1}),
        intervention(2.0, 2, {"rate": 0.5}, state="reverted"),
        intervention(2.0, 3, {"rate": 0.01, "schedule": "cosine"}),
    ],
)


def test_metrics_that_differ_in_the_part_of_the_data_share_a_panel() -> None:
    assert metric_groups(FOUND) == {"error": ["dev_error", "train_error"], "loss": ["val/loss"]}

    scene = scene_of(trial_curves(FOUND))

    assert [len(line) for line in scene.marks("line")] == [2, 2, 2]
    assert scene.texts("legend-label") == ["dev_error", "train_error"]
    assert len(scene.items("rule")) == 6  # each of three changes in both panels


def test_a_change_that_was_undone_is_dashed() -> None:
    rules = scene_of(trial_curves(FOUND, "dev_error")).items("rule")

    assert [rule["strokeDash"] for rule in rules] == [[1, 0], [2, 3], [1, 0]]
    with pytest.raises(NotFound, match="reported no metric dev_errors"):
        trial_curves(FOUND, "dev_errors")


def test_no_label_of_a_change_covers_that_of_another() -> None:
    epochs = (1.0, 20.0, 20.4, 20.8, 21.0, 40.0)
    found = answers.trial_curves(
        {"dev_error": [1 / epoch for epoch in range(1, 61)]},
        [intervention(epoch, version, {"rate": 0.1}) for version, epoch in enumerate(epochs, start=1)],
    )

    labels = [one for one in scene_of(trial_curves(found, "dev_error")).items("text") if one.get("opacity", 1)]

    assert [one["text"] for one in labels] == ["v1", "v2", "v3", "v6"]
    assert labels[1]["y"] != labels[2]["y"]


def test_a_knob_begins_where_the_training_began_and_skips_what_was_undone() -> None:
    spec = knobs(FOUND, answers.timeline(rate=1.0, schedule="constant"), "rate")

    scene = scene_of(spec)

    counted = [(one["epoch"], one["value"]) for one in spec["datasets"]["knobs"] if one["counts"]]
    assert counted == [(0.0, 1.0), (1.0, 0.1), (2.0, 0.01)]
    assert [len(line) for line in scene.marks("line")] == [3]
    assert [point["fillOpacity"] for point in scene.items("symbol")] == [1, 0, 1]
    with pytest.raises(NotFound, match="beta of trial 7 was not changed"):
        knobs(FOUND, None, "beta")


def test_the_panels_of_all_knobs_begin_where_the_training_began() -> None:
    for scene in (scene_of(knobs(FOUND, None, name)) for name in ("rate", "schedule")):
        assert scene.texts("axis-label")[0] == "1", "its first epoch, not that of the first change"


def test_each_layer_has_a_line_on_a_log_axis() -> None:
    found = answers.trial_curves({"gradient_norm_1": [1e-4, 1e-6], "gradient_norm_2": [1, 0], "dev_error": [1, 1]})

    scene = scene_of(gradients(found))

    assert [len(line) for line in scene.marks("line")] == [2, 1]  # a norm of 0 has no logarithm
    assert {"layer 1", "layer 2"} <= set(scene.texts())


def test_the_widest_clear_gap_is_strong() -> None:
    scene = scene_of(diagnosis(answers.diagnosis()))

    bias, variance = sorted(scene.items("rect"), key=lambda item: item["y"])
    assert (bias["opacity"], variance["opacity"]) == (0.22, 1)
    assert variance["width"] == pytest.approx(8 * bias["width"])
    assert variance["x"] == pytest.approx(bias["x"] + bias["width"])
    below = [item for item in scene.items("text") if "→" in item["text"]]
    assert [item["text"] for item in below] == [
        "known → train: +1% ± 4%, unclear",
        "train → dev: +8% ± 2%",
    ]
    assert {item["x"] for item in below} == {0}, "no bar pushes a text out of the picture"
    with pytest.raises(NotFound, match="another form"):
        diagnosis({"own": 1})


def test_only_mistakes_are_coloured_and_a_cell_without_any_is_empty() -> None:
    scene = scene_of(confusion(answers.errors("cat", "dog", "eel")))

    right, wrong = scene.marks("rect")
    assert (len(right), len(wrong)) == (3, 4), "nothing was taken for a cat"
    assert len({item["fill"] for item in right}) == 1
    assert len({item["fill"] for item in wrong}) == 2
    with pytest.raises(NotFound, match="no confusion matrix"):
        confusion(answers.errors("cat") | {"confusion": None})


def test_a_cell_knows_its_place_so_that_a_click_finds_its_examples() -> None:
    names = ("a class of a name that is too long 1", "a class of a name that is too long 2")
    rows = confusion(answers.errors(*names), None)["datasets"]["confusion"]
    assert [(row["row"], row["column"], row["count"]) for row in rows] == [(0, 0, 9), (0, 1, 1), (1, 0, 0), (1, 1, 9)]


def test_alarms_stand_below_the_errors_by_their_test() -> None:
    metrics = {"fresh_error": [0.5, 0.1, 0.4], "recent_error": [0.5, 0.3, 0.3]}
    alarms = {"drift": [0, 0, 1], "drift_inputs": [0, 1, 1], "drift_error": [0, 0, 1]}

    scene = scene_of(drift(answers.trial_curves(metrics | alarms)))

    portions, found = scene.marks("symbol")
    assert (len(portions), len(found)) == (3, 3)
    assert min(alarm["y"] for alarm in found) > max(portion["y"] for portion in portions)
    assert {"alarm: inputs", "alarm: error"} <= set(scene.texts())
