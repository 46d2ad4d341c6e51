"""Pictures of a study show what they say: a mark for each trial, on the axes of the space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sturgeon.plots.curves import curves
from sturgeon.plots.durations import durations
from sturgeon.plots.history import history
from sturgeon.plots.importance import importance
from sturgeon.plots.pair_map import pair_map
from sturgeon.plots.parallel import parallel
from sturgeon.plots.registry import PLOTS
from sturgeon.plots.slices import slices
from sturgeon.plots.specs import Spec
from tests.plots import answers
from tests.plots.answers import rounds, row, scored, table
from tests.plots.drawn_scenes import scene_of


def test_history_has_each_trial_and_the_best_so_far_as_a_line() -> None:
    ends = [
        row(4, None, "failed"),
        row(5, None, "pruned", so_far=0.6),
        row(6, 0.01, invalid=True),
        row(7, None, "queued"),
    ]
    trials = [row(number, score) for number, score in enumerate((0.5, 0.3, 0.4, 0.2))] + ends

    scene = scene_of(history(table(trials)))

    points, _picked, without_value, ring = scene.marks("symbol")
    assert len(points) == 5
    assert [item["fillOpacity"] > 0 for item in points] == [True] * 4 + [False]
    assert len(without_value) == 1
    [line] = scene.marks("line")
    assert [(item["x"], item["y"]) for item in line] == [(points[at]["x"], points[at]["y"]) for at in (0, 1, 3)]
    [[to_the_end]] = scene.marks("rule")[:1]
    assert to_the_end["y"] == points[3]["y"]
    assert {to_the_end["x"], to_the_end["x2"]} == {points[3]["x"], points[4]["x"]}
    assert [(item["x"], item["y"]) for item in ring] == [(points[3]["x"], points[3]["y"])]
    assert scene.texts("legend-label") == ["queued", "complete", "pruned", "failed"]


def test_the_best_of_a_metric_that_is_maximized_is_the_highest() -> None:
    trials = [row(number, score) for number, score in enumerate((0.5, 0.9, 0.7))]

    points, *_, ring = scene_of(history(table(trials, direction="maximize"))).marks("symbol")

    assert ring[0]["y"] == points[1]["y"] == min(point["y"] for point in points)


@pytest.mark.parametrize("scores", [(0.0307, 0.03621), (0.0307, 0.1115, 0.0195), (1e5 + 1, 1e5 + 2)])
def test_no_label_of_an_axis_stands_there_twice(scores: tuple[float, ...]) -> None:
    labels = [text for text in scene_of(history(scored(*scores))).texts("axis-label") if text]

    of_scores = [text for text in labels if "." in text or len(text) > 2]
    assert len(of_scores) == len(set(of_scores)) >= 3
    assert [text for text in labels if text not in of_scores] == [str(number) for number in range(len(scores))]


@pytest.mark.parametrize("penalty", [1e300, 1e6, 9999.0])
@pytest.mark.parametrize("many", [1, 6, 9])
def test_penalties_do_not_flatten_a_picture_and_are_counted(penalty: float, many: int) -> None:
    good = [0.31, 0.28, 0.35, 0.3, 0.33, 0.29, 0.4, 0.32, 0.34, 0.36]
    scores = [penalty] * many + good[many:]

    scene = scene_of(history(scored(*scores)))

    heights = [item["y"] for item in scene.marks("symbol")[0]]
    assert len(heights) == 10
    if many < 9:
        assert max(heights[many:]) - min(heights[many:]) > 3
    noun = "trial" if many == 1 else "trials"
    assert f"{many} {noun} beyond this line" in scene.texts()
    assert all(float(label.replace(",", "").replace("−", "-")) < 100 for label in scene.texts("axis-label"))


def test_what_a_search_has_left_behind_is_not_cut_off() -> None:
    converged = [0.1 + 1e-9 * at for at in range(30)]

    scene = scene_of(history(scored(0.65, 0.4, 0.2, *converged)))

    assert not [text for text in scene.texts() if "beyond" in text]


def test_a_slice_has_the_axis_of_its_scale_and_labels_as_people_read_them() -> None:
    spec = slices(scored(0.1, 0.2, 0.3, 0.25), rounds(), "p1")

    scene = scene_of(spec)

    assert [text for text in scene.texts("axis-label") if text.startswith("0.9")] == ["0.999", "0.99", "0.9"]
    points = sorted(scene.marks("symbol")[0], key=lambda item: item["x"])
    betas = sorted(trial["p1"] for trial in spec["datasets"]["rows"])
    logs = [-(1 - beta) for beta in betas]
    assert logs == sorted(logs)  # beta grows to the right
    width = points[-1]["x"] - points[0]["x"]
    assert points[1]["x"] - points[0]["x"] == pytest.approx(width * 0.11 / 0.74)


def test_the_boxes_of_each_round_are_on_the_slice_and_get_narrower() -> None:
    scene = scene_of(slices(scored(0.1, 0.2, 0.3), rounds(), "p0"))

    now, bands = scene.marks("rect")
    assert len(now) == 2
    assert sorted({band["y"] for band in bands}) == [0, 7]
    first, last = (max(band["width"] for band in bands if band["y"] == y) for y in (0, 7))
    assert last < 0.8 * first


def test_slices_have_a_panel_for_each_parameter_that_varies() -> None:
    spec = slices(scored(0.1, 0.2, 0.3, 0.4, 0.5), rounds())

    scene = scene_of(spec)

    assert len(spec["concat"]) == 6
    assert {"rate", "beta", "layers", "optimizer", "keep", "momentum", "dev_error"} == set(scene.texts("axis-title"))
    trials = [len(items) for items in scene.marks("symbol")][::3]  # after each: those picked out, and the ring
    assert trials == [5, 5, 5, 5, 5, 1]  # a trial stands only where it has the parameter


def test_a_map_has_the_present_boxes_and_the_best_on_top() -> None:
    scene = scene_of(pair_map(scored(0.5, 0.1, 0.3, 0.2), rounds(), "p0", "p4"))

    assert len(scene.items("rect")) == 2
    stopped, complete, *_picked, ring = scene.marks("symbol")
    assert (stopped, len(complete)) == ([], 4)
    assert complete[-1]["x"] == ring[0]["x"]
    assert len({item["fill"] for item in complete}) == 4


def test_importance_has_a_bar_and_a_whisker_for_each_parameter() -> None:
    scene = scene_of(importance(answers.importance("rate", "beta", "layers")))

    bars = sorted(scene.items("rect"), key=lambda item: item["y"])
    assert [round(bar["width"] / bars[-1]["width"]) for bar in bars] == [4, 2, 1]
    assert len(scene.items("rule")) == 3
    assert "50% ± 2%" in scene.texts()


def test_curves_have_a_line_for_each_trial_and_stopped_ones_are_faint() -> None:
    found = answers.curves([1, 0.5, 0.2], [1, 0.6], [0.9, 0.7, 0.4], states=["complete", "pruned", "running"])

    scene = scene_of(curves(found))

    lines = scene.marks("line")
    assert [len(line) for line in lines] == [3, 2, 3]
    complete, pruned, _ = (line[0] for line in lines)
    assert pruned["opacity"] < 0.6 * complete["opacity"]
    assert pruned["strokeDash"] != complete["strokeDash"]
    assert len(scene.items("symbol")) == 3


def test_a_log_axis_of_curves_leaves_out_what_has_no_logarithm() -> None:
    scene = scene_of(curves(answers.curves([1, 0.1, 0, 0.01]), scale="log"))

    [line] = scene.marks("line")
    first, second, third = (item["y"] for item in line)
    assert second - first == pytest.approx(third - second)


def test_durations_are_on_a_log_axis_with_units() -> None:
    trials = [row(0, 0.1, seconds=10.0), row(1, 0.1, seconds=100.0), row(2, 0.1, seconds=1000.0)]

    scene = scene_of(durations(table([*trials, row(3, None, "queued", seconds=0.0)])))

    first, second, third = (item["y"] for item in scene.marks("symbol")[0])
    assert first - second == pytest.approx(second - third)
    assert {"10 s", "1 min", "10 min"} <= set(scene.texts("axis-label"))
    assert "median 100 s" in scene.texts()


def with_signal(spec: Spec, name: str, value: object) -> Spec:
    """The picture after a person has set a signal."""
    signals = [one | {"value": value} if one["name"] == name else one for one in spec["signals"]]
    assert any(one["name"] == name for one in signals)
    return spec | {"signals": signals}


def test_parallel_coordinates_have_a_line_for_each_trial_with_a_score() -> None:
    trials = [row(number, number / 10) for number in range(8)] + [row(8, None, "failed")]

    scene = scene_of(parallel(table(trials)))

    behind, lines = scene.marks("path")
    assert len(behind) == len(lines) == 8
    assert lines[-1]["path"] == behind[-1]["path"]  # the best is drawn last
    assert {"rate", "beta", "layers", "optimizer", "keep", "momentum", "dev_error"} <= set(scene.texts("mark"))
    assert {"1e-5", "0.1", "0.9", "0.999", "[64, 32]", "not used"} <= set(scene.texts("mark"))
    assert "epochs" not in scene.texts("mark")  # it is fixed


def test_a_brush_on_an_axis_picks_the_trials_within_it() -> None:
    spec = parallel(table([row(number, number / 10) for number in range(8)]))

    scene = scene_of(with_signal(spec, "brush_2", [0.0, 100.0]))

    behind, lines = scene.marks("path")
    assert (len(behind), len(lines)) == (8, 3)  # 6, 7 and 8 layers of 1 to 8
    assert len(scene_of(with_signal(spec, "brush_5", [355.0, 370.0])).marks("path")[1]) == 6  # without a momentum


def test_the_best_so_many_per_cent_remain() -> None:
    spec = parallel(table([row(number, number / 10) for number in range(20)]), top="25")

    assert len(scene_of(spec).marks("path")[0]) == 5
    assert len(scene_of(with_signal(spec, "top", 10)).marks("path")[0]) == 2


@pytest.mark.parametrize("kind", ["history", "slice", "map", "curves", "durations", "parallel"])
def test_trials_that_a_page_picks_out_are_emphasised(kind: str) -> None:
    found = {"table": scored(0.1, 0.2, 0.3), "rounds": None, "curves": answers.curves([1, 0.5], [1, 0.6], [1, 0.7])}
    plain = PLOTS[kind].draw(**{need: found[need] for need in PLOTS[kind].needs})
    picked: Spec
    if kind == "parallel":
        picked = with_signal(plain, "selected", [1])
    else:
        params = [one | {"value": [1]} if one["name"] == "selected" else one for one in plain["params"]]
        picked = plain | {"params": params}

    before, after = scene_of(plain), scene_of(picked)
    assert after != before
    if kind in ("history", "slice", "map", "curves"):  # the page's: those that were drawn stay as they are
        shape = "line" if kind == "curves" else "symbol"
        assert [items for items in before.marks(shape) if items and items not in after.marks(shape)] == []


@pytest.mark.parametrize("draw", [history, slices, pair_map, parallel, durations])
def test_a_picture_without_all_trials_says_how_many_are_not_drawn(draw: Callable[..., Spec]) -> None:
    known = scored(0.5, 0.3)
    cut = known.model_copy(update={"total": 100_000, "left_out": 99_998})

    told, whole = (" ".join(draw(one)["title"].get("subtitle", [])) for one in (cut, known))

    assert "100,000 trials, 99,998 of them not drawn" in told
    assert "not drawn" not in whole


@pytest.mark.parametrize("draw", [slices, pair_map])
def test_a_value_far_outside_of_the_space_flattens_no_axis_and_is_counted(draw: Callable[..., Spec]) -> None:
    space = [
        {"name": "rate", "kind": "float", "scale": "linear", "low": 0.0, "high": 1.0},
        {"name": "decay", "kind": "float", "scale": "log", "low": 1e-3, "high": 1.0},
    ]
    trials = [scored_at(number, p0=number / 10, p1=10.0**-number) for number in range(4)]
    near = draw(table(trials, parameters=space))
    far = [scored_at(4, p0=1e9, p1=0.1), scored_at(5, p0=-1e9, p1=0.1), scored_at(6, p0=0.5, p1=1e-30)]

    before, after = scene_of(near), scene_of(draw(table([*trials, *far], parameters=space)))

    assert [text for text in after.texts() if "far outside" in text] == (
        ["2 trials far outside of this axis", "1 trial far outside of this axis"]
        if draw is slices
        else ["3 trials far outside of these axes"]
    )
    assert after.texts("axis-label") == before.texts("axis-label")
    assert not any("far outside" in text for text in before.texts())


def scored_at(number: int, **params: float) -> dict[str, Any]:
    return {name: value for name, value in row(number, 0.5).items() if name[0] != "p" or name in params} | params
