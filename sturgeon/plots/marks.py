"""Marks of trials: colour and shape by state, the tooltip, and which of them are picked out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sturgeon.messages.rows import Table, TableParameter
from sturgeon.plots.specs import Spec, number_text, short
from sturgeon.plots.theme import DASHES, SHAPES
from sturgeon.states import TRIAL_STATES, TrialState

MOST_TOLD: Final = 12
"""Parameters in a tooltip."""

SELECTED: Final[Spec] = {"name": "selected", "value": []}
"""The signal that holds the numbers of the trials that are picked out; a page sets and reads it."""

IS_SELECTED: Final = "indexof(selected, datum.number) >= 0"
PICKED: Final[Spec] = {"filter": IS_SELECTED}
"""Those that are picked out have a layer of their own, above the others: so these stay as they are when it changes."""
COUNTED: Final[Spec] = {"filter": "!datum.invalid"}
FINISHED_WELL: Final[Spec] = {"filter": "datum.state === 'complete' && !datum.invalid"}


def states_in(rows: Iterable[Mapping[str, Any]]) -> list[TrialState]:
    """The states that occur, in their usual order; all of them where there are no rows yet."""
    there = {row.get("state") for row in rows}
    return [state for state in TRIAL_STATES if state in there] or list(TRIAL_STATES)


def trials_drawn(table: Table) -> str:
    """How many trials there are, and how many of them are not drawn."""
    drawn = f"{number_text(table.total)} trials" if table.total != 1 else "1 trial"
    return f"{drawn}, {number_text(table.left_out)} of them not drawn" if table.left_out else drawn


def thinned(table: Table) -> list[str]:
    """For a subtitle: that not all trials are drawn; nothing where all are."""
    return [f"{trials_drawn(table)}: the newest and the best are"] if table.left_out else []


def state_colour(shown: Sequence[str], *, legend: bool = True) -> Spec:
    """Colour by state. shown: the states in the legend."""
    found: Spec = {"field": "state", "type": "nominal", "title": None}
    found["scale"] = {"domain": list(TRIAL_STATES), "range": "category"}
    found["legend"] = {"values": list(shown), "orient": "bottom", "direction": "horizontal"} if legend else None
    return found


def state_shape(shown: Sequence[str], *, legend: bool = True) -> Spec:
    """The sign of each state beside its colour; both share one legend."""
    scale = {"domain": list(TRIAL_STATES), "range": [SHAPES[state] for state in TRIAL_STATES]}
    return state_colour(shown, legend=legend) | {"scale": scale}


def state_dash() -> Spec:
    """The dash of lines by state; the colour's legend explains it."""
    scale = {"domain": list(TRIAL_STATES), "range": [DASHES[state] for state in TRIAL_STATES]}
    return {"field": "state", "type": "nominal", "scale": scale, "legend": None}


def size_of(total: int) -> int:
    """The area of a point in square pixels: many points are small ones."""
    return 60 if total <= 300 else 34 if total <= 2000 else 16


def opacity_of(total: int) -> float:
    """How opaque a point is: many let one see through."""
    return 0.85 if total <= 300 else 0.7 if total <= 2000 else 0.45


def names_param(parameters: Sequence[TableParameter]) -> Spec:
    """The names of the parameters as a signal: a tooltip reads them from there, so none is part of an expression."""
    return {"name": "names", "value": [short(one.name, 40) for one in parameters[:MOST_TOLD]]}


def trial_tooltip(parameters: Sequence[TableParameter], more: str = "") -> Spec:
    """What a trial's mark says: number, state, score, and its parameters. more: further properties of the object."""
    told = parameters[:MOST_TOLD]
    values = [
        f"(isValid(datum.{one.field}) ? names[{at}] + ' = ' + {_value(one)} + '; ' : '')" for at, one in enumerate(told)
    ]
    score = "isValid(datum.score) ? format(datum.score, '.5~g') : '–'"
    facts = f"'trial': datum.number, 'state': datum.state, 'score': {score}"
    parameters_ = f", 'parameters': {' + '.join(values)}" if values else ""
    return {"value": {"expr": "{" + facts + more + parameters_ + "}"}}


def _value(parameter: TableParameter) -> str:
    raw = f"datum.{parameter.field}"
    return f"(isNumber({raw}) ? format({raw}, '.5~g') : truncate(toString({raw}), 40))"
