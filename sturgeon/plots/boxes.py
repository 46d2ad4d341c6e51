"""The boxes of a coarse-to-fine search as rows: where each round drew, by parameter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sturgeon.messages.rows import TableParameter
from sturgeon.messages.searches import Round, Rounds
from sturgeon.plots.axes import is_choice, place_expression
from sturgeon.plots.specs import Spec

SHOWN_ROUNDS: Final = 8
BAND: Final = 7
"""Pixels of a round in the strip above a slice."""


def box_rows(rounds: Rounds | None, parameters: list[TableParameter]) -> list[dict[str, Any]]:
    """A row for each range of each box: round, elite, level, current, field, and low and high, or value."""
    fields = {one.name: one for one in parameters}
    return [row for round_ in (rounds.items if rounds else ()) for row in _of_round(round_, fields)]


def _of_round(round_: Round, fields: dict[str, TableParameter]) -> Iterator[dict[str, Any]]:
    for box in round_.boxes:
        place = {"round": round_.number, "current": round_.current, "elite": box.elite, "level": box.level}
        for name, range_ in box.ranges.items():
            if (parameter := fields.get(name)) is None:
                continue
            if is_choice(parameter):
                values = range_.get("values", [])
                yield from ({**place, "field": parameter.field, "value": _cell(value)} for value in values)
            elif "low" in range_:
                yield {**place, "field": parameter.field, "low": range_["low"], "high": range_["high"]}


def _cell(value: Any) -> Any:
    """A value of a choice as it stands in a row."""
    if value is None or isinstance(value, list | dict):
        import json

        return json.dumps(value)
    return value


def band_transforms(parameter: TableParameter) -> list[Spec]:
    """Rows of the boxes of one parameter in the newest rounds; `row` counts them from the top, the newest last."""
    return [
        {"filter": {"field": "field", "equal": parameter.field}},
        *edges(parameter, "low", "high"),
        {
            "joinaggregate": [
                {"op": op, "field": "round", "as": name} for op, name in (("max", "newest"), ("min", "oldest"))
            ]
        },
        {"calculate": f"datum.round - max(datum.oldest, datum.newest - {SHOWN_ROUNDS - 1})", "as": "row"},
        {"filter": "datum.row >= 0"},
    ]


def edges(parameter: TableParameter, low: str, high: str) -> list[Spec]:
    """Transforms: `from_FIELD` and `to_FIELD`, the places of a box's ends; of a choice nothing."""
    if is_choice(parameter):
        return []
    return [
        {"calculate": place_expression(parameter, f"datum.{end}"), "as": f"{name}_{parameter.field}"}
        for name, end in (("from", low), ("to", high))
    ]
