"""`slice`: each parameter against the score, with the boxes that each round drew from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sturgeon.errors import NotFound
from sturgeon.messages.rows import Table, TableParameter
from sturgeon.messages.searches import Rounds
from sturgeon.plots import axes, marks
from sturgeon.plots.boxes import BAND, SHOWN_ROUNDS, band_transforms, box_rows
from sturgeon.plots.scores import beyond_edge, range_params, range_scale, score_axis, within_range
from sturgeon.plots.specs import WIDTH, Spec, short, single, vega_lite
from sturgeon.plots.summaries import five, steps, summarized

PANEL: Final = 220
"""Height of a panel in pixels."""

MOST_PANELS: Final = 24
ACROSS: Final = 3


def slices(table: Table, rounds: Rounds | None = None, field: str | None = None, width: int | None = WIDTH) -> Spec:
    """A panel for each parameter, or the one of `field`. Bars above a panel are the boxes of each round, the newest
    lowest: where they get narrower, the search zooms in.

    Raises: NotFound (no parameter has this field, or none varies).
    """
    shown = chosen(table, field)[:MOST_PANELS]
    data = {"rows": table.rows, "boxes": box_rows(rounds, table.parameters)}
    has_boxes = rounds is not None and bool(data["boxes"] or not rounds.items)
    states = marks.states_in(table.rows)
    summaries = summarized(table.rows, {"five": five("score"), "steps": steps(table.direction), **axes.spans(shown)})
    params = [marks.SELECTED, marks.names_param(table.parameters), *axes.value_params(shown)]
    params += [*summaries["params"], *range_params(table.direction)]
    if field is not None:
        panel = summaries | {
            "params": params,
            **single(width, PANEL),
            "layer": _layers(table, shown[0], states, has_boxes),
        }
        return vega_lite(f"{short(table.objective)} by {short(shown[0].name)}", marks.thinned(table), data, panel)
    across = min(ACROSS, len(shown))
    size = round(((width or WIDTH) + 80 - 70 * across) / across)
    panels = [
        {"width": size, "height": PANEL, "layer": _layers(table, one, states, has_boxes, first=at % across == 0)}
        for at, one in enumerate(shown)
    ]
    content = summaries | {"params": params, "concat": panels, "columns": across, "spacing": 24}
    content["resolve"] = {"scale": {"y": "shared"}}
    return vega_lite(f"{short(table.objective)} by parameter", _subtitle(table, shown, has_boxes), data, content)


def chosen(table: Table, field: str | None) -> list[TableParameter]:
    """The parameter of a field, or those that vary.

    Raises: NotFound (there is none).
    """
    if field is not None:
        found = [one for one in table.parameters if one.field == field]
    else:
        found = axes.searched(table.parameters)
    if not found:
        raise NotFound(f"{table.study} has no parameter {field}." if field else f"{table.study} varies no parameter.")
    return found


def _subtitle(table: Table, shown: Sequence[Any], has_boxes: bool) -> list[str]:
    left = len(axes.searched(table.parameters)) - len(shown)
    lines = ["bars above a panel: where each round drew, the newest lowest"] if has_boxes else []
    lines += marks.thinned(table)
    return [*lines, f"{left} more parameters are not shown"] if left > 0 else lines


def _layers(
    table: Table, parameter: TableParameter, states: Sequence[str], has_boxes: bool, first: bool = True
) -> list[Spec]:
    bands = [_now(parameter), _bands(parameter)] if has_boxes else []
    title = short(table.objective) if first else None
    return [*bands, *_points(table, parameter, states, title, has_boxes)]


def _points(
    table: Table, parameter: TableParameter, states: Sequence[str], title: str | None, has_boxes: bool
) -> list[Spec]:
    every = [marks.COUNTED, *axes.to_position(parameter), *within_range("score")]
    placed = [*every, *axes.inside(parameter)]
    total = len(table.rows)
    opacity = marks.opacity_of(total)
    room = BAND * SHOWN_ROUNDS + 10 if has_boxes else 0
    scale = range_scale(padding=8, range=[PANEL, room])
    y = {"field": "shown", "type": "quantitative", "scale": scale, "axis": score_axis(title or "") | {"title": title}}
    points = {
        "transform": [*placed, *axes.aside(parameter)],
        "mark": {"type": "point", "filled": True, "size": marks.size_of(total), "aria": False},
        "encoding": {
            "x": axes.settled(parameter),
            **axes.offset(parameter, "x"),
            "y": y,
            "color": marks.state_colour(states, legend=_several(states)),
            "shape": marks.state_shape(states, legend=_several(states)),
            "opacity": {"value": opacity},
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }
    picked = {
        "transform": [marks.PICKED, *placed, *axes.aside(parameter)],
        "mark": {"type": "point", "filled": True, "size": 120, "opacity": 1, "aria": False},
        "encoding": {
            "x": axes.settled(parameter),
            **axes.offset(parameter, "x"),
            "y": {"field": "shown", "type": "quantitative"},
            "color": marks.state_colour([], legend=False),
            "shape": marks.state_shape([], legend=False),
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }
    edges = [*beyond_edge(placed, table.direction, brief=True), *axes.outside(every, parameter)]
    return [points, picked, _best(table, parameter), *edges]


def _several(states: Sequence[str]) -> bool:
    """Whether points may differ: as a rule complete trials alone have a score, and a legend would say nothing."""
    return "complete" not in states


def _best(table: Table, parameter: TableParameter) -> Spec:
    best = {"filter": "datum.number === peek(steps)"}
    placed = [best, marks.FINISHED_WELL, *axes.to_position(parameter), *within_range("score")]
    placed += axes.inside(parameter)
    return {
        "transform": [*placed, *axes.aside(parameter)],
        "mark": {"type": "point", "size": 160, "style": ["best-point"], "filled": False, "aria": False},
        "encoding": {
            "x": axes.settled(parameter),
            **axes.offset(parameter, "x"),
            "y": {"field": "shown", "type": "quantitative"},
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }


def _across(parameter: TableParameter) -> Spec:
    """Where a box stands on the axis of the parameter."""
    if axes.is_choice(parameter):
        start = {**axes.settled(parameter), "field": "value", "bandPosition": 0}
        return {"x": start, "x2": {"field": "value", "bandPosition": 1}}
    found = axes.settled(parameter)
    return {"x": {**found, "field": f"from_{parameter.field}"}, "x2": {"field": f"to_{parameter.field}"}}


def _bands(parameter: TableParameter) -> Spec:
    return {
        "data": {"name": "boxes"},
        "transform": band_transforms(parameter),
        "mark": {"type": "rect", "style": ["box"], "clip": True, "aria": False},
        "encoding": {
            **_across(parameter),
            "y": {"value": {"expr": f"datum.row * {BAND}"}},
            "y2": {"value": {"expr": f"datum.row * {BAND} + {BAND - 2}"}},
            "tooltip": {"value": {"expr": "{'round': datum.round, 'around trial': datum.elite}"}},
        },
    }


def _now(parameter: TableParameter) -> Spec:
    """The boxes of the round that draws now, over the whole height."""
    return {
        "data": {"name": "boxes"},
        "transform": [{"filter": "datum.current"}, *band_transforms(parameter)],
        "mark": {"type": "rect", "style": ["box-now"], "clip": True, "aria": False},
        "encoding": {**_across(parameter), "y": {"value": 0}, "y2": {"value": "height"}},
    }
