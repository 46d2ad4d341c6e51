"""The pictures of the course: what is drawn of a small study, as the marks that Vega makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import vl_convert

from sturgeon.errors import NotFound
from sturgeon.messages import Round, RoundBox, Rounds
from sturgeon.messages.rows import Curves, Table
from sturgeon.plots.registry import PLOTS
from sturgeon.plots.specs import themed

Json = dict[str, Any]
RATE = {"field": "p0", "name": "learning_rate", "kind": "float", "scale": "log", "low": 0.001, "high": 1.0}
BETA = {"field": "p1", "name": "beta", "kind": "float", "scale": "one_minus_log", "low": 0.9, "high": 0.999}
APPROACH = {"field": "p2", "name": "approach", "kind": "choice", "values": ["pipeline", "end_to_end"]}


def row(number: int, score: float, **more: Any) -> Json:
    started = {"created_at": "2026-01-01T12:00:00Z", "invalid": False, "mode": "caviar", "state": "complete"}
    return {"number": number, "score": score, **started, **more}


def table(parameters: list[Json], rows: list[Json]) -> Table:
    about = {"study": "course", "objective": "dev_error", "direction": "minimize", "cursor": "0", "total": len(rows)}
    return Table.model_validate(about | {"parameters": parameters, "rows": rows})


def curves(values: dict[int, list[float]]) -> Curves:
    listed = [
        {"number": number, "state": "complete", "epochs": [100.0, 1000.0][: len(one)], "values": one}
        for number, one in values.items()
    ]
    about = {"study": "course", "metric": "dev_error", "direction": "minimize", "cursor": "0"}
    return Curves.model_validate(about | {"curves": listed})


def marks(kind: str, **answers: Any) -> list[tuple[str, list[Json]]]:
    """The groups of marks with their items, in the order in which they are drawn."""
    graph = vl_convert.vegalite_to_scenegraph(json.dumps(themed(PLOTS[kind].draw(**answers))))
    return list(_groups(graph["scenegraph"]))


def _groups(node: Json) -> Iterator[tuple[str, list[Json]]]:
    if node.get("marktype") and node.get("role") == "mark" and node["marktype"] != "group":
        yield node["marktype"], node.get("items", [])
    for child in node.get("items", []) or []:
        yield from _groups(child)


def test_a_grid_has_few_values_of_what_matters_and_random_has_all() -> None:
    on_grid = [row(n, 0.2 + n / 100, p0=[0.01, 0.1][n % 2], sampler=None) for n in range(4)]
    random = [row(4 + n, 0.1 + n / 100, p0=0.002 * 3**n, sampler="random") for n in range(4)]

    drawn = marks("grid_against_random", table=table([RATE], on_grid + random))

    ticks = [{round(item["x"]) for item in items} for kind, items in drawn if kind == "rect"]
    assert [len(places) for places in ticks[:2]] == [2, 4]
    [points] = [items for kind, items in drawn if kind == "symbol" and len(items) == 8]
    assert len({item["fill"] for item in points}) == len({item["shape"] for item in points}) == 2
    assert sorted(len(items) for kind, items in drawn if kind == "symbol") == [2, 8]


def test_even_steps_of_beta_leave_the_end_of_its_scale_empty() -> None:
    rows = [row(n, 0.1 + n / 100, p1=1 - 0.1 * 0.01 ** ((n + 0.5) / 10)) for n in range(10)]

    drawn = marks("beta_scale", table=table([RATE, BETA], rows))

    tried, evenly = ([item["x"] for item in items] for kind, items in drawn if kind == "rect" and len(items) == 10)
    middle = (min(tried) + max(tried)) / 2
    assert (sum(x > middle for x in tried), sum(x > middle for x in evenly)) == (5, 1)
    with pytest.raises(NotFound, match="one near 1 has the scale one_minus_log"):
        PLOTS["beta_scale"].draw(table=table([APPROACH], []))


def a_round(number: int) -> Round:
    """The first has no boxes; the others have two, one in the other."""
    ends = {"low": 0.91, "high": 0.99}
    ranges = [{"learning_rate": {"low": 0.002, "high": high}, "beta": ends} for high in (0.4, 0.2)]
    boxes = [RoundBox(elite=0, level=level, ranges=one) for level, one in enumerate(ranges, start=1)]
    return Round.model_construct(number=number, current=number == 2, boxes=boxes if number else [])


def test_the_frames_are_the_innermost_boxes_of_each_round() -> None:
    rows = [row(n, 0.1 + n / 100, p0=0.002 * 2**n, p1=0.91 + n / 100, round=n % 3) for n in range(6)]
    rounds = Rounds.model_construct(study="course", sampler="coarse_to_fine", items=[a_round(n) for n in range(3)])

    drawn = marks("zoom", table=table([RATE, BETA], rows), rounds=rounds)

    frames = [items for kind, items in drawn if kind == "rect"]
    assert [len(items) for items in frames] == [2]
    assert len({item["stroke"] for item in frames[0]}) == 2
    assert sorted(len(items) for kind, items in drawn if kind == "symbol") == [1, 6]


def test_the_panda_is_a_thick_line_that_begins_with_a_dot() -> None:
    rows = [row(0, 0.2), row(1, 0.3), row(2, 0.1, mode="panda", parent=0)]

    values = {0: [0.4, 0.2], 1: [0.5, 0.3], 2: [0.2, 0.1]}
    drawn = marks("panda_caviar", table=table([RATE], rows), curves=curves(values))

    lines = [items[0]["strokeWidth"] for kind, items in drawn if kind == "line"]
    assert sorted(lines) == [1.2, 1.2, 3.5]
    assert [len(items) for kind, items in drawn if kind == "symbol"] == [1]


def test_each_approach_has_the_mean_of_its_trials() -> None:
    rows = [row(n, 0.1, p2=["pipeline", "end_to_end"][n // 2]) for n in range(4)]
    values = {0: [0.4, 0.2], 1: [0.6, 0.2], 2: [0.9, 0.1], 3: [0.7, 0.1]}

    drawn = marks("two_stage", table=table([RATE, APPROACH], rows), curves=curves(values))

    lines = [items for kind, items in drawn if kind == "line"]
    assert len(lines) == 2
    [dots] = [items for kind, items in drawn if kind == "symbol"]
    first = [item["y"] for item in dots if item["shape"] == dots[0]["shape"] and item["x"] == dots[0]["x"]]
    assert lines[0][0]["y"] == pytest.approx(sum(first) / 2)
    with pytest.raises(NotFound, match="has no such choice"):
        PLOTS["two_stage"].draw(table=table([RATE], []), curves=curves({}))
