"""`map`: two parameters as a map, coloured by the score."""

from __future__ import annotations

from typing import Final

from sturgeon.direction import less_is_better
from sturgeon.errors import NotFound
from sturgeon.messages.rows import Table, TableParameter
from sturgeon.messages.searches import Rounds
from sturgeon.plots import axes, marks
from sturgeon.plots.boxes import box_rows, edges
from sturgeon.plots.scores import range_params, range_scale, within_range
from sturgeon.plots.slices import chosen
from sturgeon.plots.specs import WIDTH, Spec, short, single, vega_lite
from sturgeon.plots.summaries import five, steps, summarized

HEIGHT: Final = 420


def pair_map(
    table: Table, rounds: Rounds | None = None, x: str | None = None, y: str | None = None, width: int | None = WIDTH
) -> Spec:
    """Trials at their values of two parameters; x and y are fields, by default of the first two that vary.

    A stopped trial is hollow, and has the colour of the score that is expected of it, or of its best report. Frames are
    the boxes that the round draws from now.
    Raises: NotFound (no parameter has this field, or only one varies).
    """
    across, up = pair(table, x, y)
    data = {"rows": table.rows, "boxes": box_rows(rounds, table.parameters)}
    wanted = {"five": five("score", "guess", "so_far"), "steps": steps(table.direction), **axes.spans((across, up))}
    summaries = summarized(table.rows, wanted)
    params = [marks.SELECTED, marks.names_param(table.parameters), *axes.value_params((across, up))]
    content = summaries | {
        "params": [*params, *summaries["params"], *range_params(table.direction)],
        **single(width, HEIGHT),
        "layer": [*_boxes(across, up), *_points(table, across, up), _best(across, up), *_outside(across, up)],
    }
    title = f"{short(table.objective)} by {short(across.name, 40)} and {short(up.name, 40)}"
    subtitle = ["the ring is the best; hollow: stopped early, with the score expected of it", *marks.thinned(table)]
    return vega_lite(title, subtitle, data, content)


def pair(table: Table, x: str | None, y: str | None) -> tuple[TableParameter, TableParameter]:
    """Two different parameters: those of the fields, or the first that vary. Raises: NotFound."""
    across = chosen(table, x)[0]
    others = [one for one in (chosen(table, y) if y else axes.searched(table.parameters)) if one.field != across.field]
    if not others:
        raise NotFound(f"A map takes two parameters; {table.study} varies only one.")
    return across, others[0]


def _placed(*parameters: TableParameter) -> list[Spec]:
    value = "isValid(datum.score) ? datum.score : isValid(datum.guess) ? datum.guess : datum.so_far"
    beside = [*axes.aside(parameters[0]), *axes.aside(parameters[1], other=True)]
    positions = [step for one in parameters for step in axes.to_position(one)]
    place = [*positions, *axes.inside(*parameters), *beside]
    return [marks.COUNTED, {"calculate": value, "as": "value"}, *place, *within_range("value")]


def _outside(*parameters: TableParameter) -> list[Spec]:
    return axes.outside([marks.COUNTED, *(step for one in parameters for step in axes.to_position(one))], *parameters)


def _points(table: Table, across: TableParameter, up: TableParameter) -> list[Spec]:
    """The stopped trials, hollow, and above them the complete ones, the best on top; then those that are picked out."""
    layers = [_some(table, across, up, complete=False), _some(table, across, up, complete=True)]
    return [*layers, *(_large(table, layer) for layer in layers)]


def _large(table: Table, layer: Spec) -> Spec:
    """Those of a layer that are picked out."""
    size = {"size": {"value": marks.size_of(len(table.rows)) * 1.8 * 3}}
    return layer | {"transform": [marks.PICKED, *layer["transform"]], "encoding": layer["encoding"] | size}


def _some(table: Table, across: TableParameter, up: TableParameter, *, complete: bool) -> Spec:
    scale = range_scale(range="ramp", reverse=not less_is_better(table.direction), nice=False)
    legend = {"orient": "bottom", "direction": "horizontal", "gradientLength": 240, "format": "~g", "tickCount": 5}
    those = {"filter": f"datum.state {'===' if complete else '!=='} 'complete'"}
    size = marks.size_of(len(table.rows)) * 1.8
    worst_first = "descending" if less_is_better(table.direction) else "ascending"
    return {
        "transform": [*_placed(across, up), those],
        "mark": {"type": "point", "filled": complete, "strokeWidth": 1.6, "opacity": 0.9, "aria": False},
        "encoding": {
            **_place(across, up),
            "color": {"field": "shown", "type": "quantitative", "scale": scale, "title": short(table.objective)}
            | {"legend": legend},
            "size": {"value": size},
            "shape": marks.state_shape([], legend=False),
            "order": {"field": "shown", "type": "quantitative", "sort": worst_first},
            "tooltip": marks.trial_tooltip(table.parameters),
        },
    }


def _place(across: TableParameter, up: TableParameter) -> Spec:
    return {
        "x": axes.settled(across),
        "y": axes.settled(up),
        **axes.offset(across, "x"),
        **axes.offset(up, "y", other=True),
    }


def _best(across: TableParameter, up: TableParameter) -> Spec:
    return {
        "transform": [{"filter": "datum.number === peek(steps)"}, marks.FINISHED_WELL, *_placed(across, up)],
        "mark": {"type": "point", "size": 320, "style": ["best-point"], "filled": False, "aria": False},
        "encoding": _place(across, up),
    }


def _boxes(across: TableParameter, up: TableParameter) -> list[Spec]:
    """Frames, where both parameters are numbers: the two ranges of a box are joined by its round and its elite."""
    if axes.is_choice(across) or axes.is_choice(up):
        return []
    ends = [
        {"calculate": f"datum.field === '{one.field}' ? datum.{end} : null", "as": f"{end}_{one.field}"}
        for one in (across, up)
        for end in ("low", "high")
    ]
    joined = [{"op": "max", "field": one["as"], "as": one["as"]} for one in ends]
    place = [step for one in (across, up) for step in edges(one, f"low_{one.field}", f"high_{one.field}")]
    return [
        {
            "data": {"name": "boxes"},
            "transform": [
                {"filter": "datum.current"},
                *ends,
                {"aggregate": joined, "groupby": ["round", "elite", "level"]},
                *place,
            ],
            "mark": {"type": "rect", "style": ["box"], "clip": True, "aria": False},
            "encoding": {
                "x": {**axes.settled(across), "field": f"from_{across.field}"},
                "x2": {"field": f"to_{across.field}"},
                "y": {**axes.settled(up), "field": f"from_{up.field}"},
                "y2": {"field": f"to_{up.field}"},
                "tooltip": {"value": {"expr": "{'round': datum.round, 'around trial': datum.elite}"}},
            },
        }
    ]
