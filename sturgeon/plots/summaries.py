"""What a picture knows of all its rows at once: a few numbers, as params, computed before it is drawn.

Scales and filters read these, never the rows. So a row that arrives is encoded alone, and those that are there stay as
they are, unless one of the numbers changes. A file has them from here. The specification says in `usermeta` how they
are computed, and a page, whose rows change, does so itself (static/js/summaries.js).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeGuard

from sturgeon.direction import Direction, less_is_better
from sturgeon.plots.specs import Spec

Rows = Sequence[Mapping[str, Any]]

ENORMOUS: Final = 1e6
"""So many times the smallest value (or 1), a value is a penalty: it does not count for the range."""

NOTHING: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The five numbers of no values."""


def summarized(rows: Rows, wanted: Mapping[str, Spec]) -> Spec:
    """The part of a specification that all its summaries need: `params`, and `usermeta` for a page. wanted: by name."""
    params = [{"name": name, "value": _value(rows, one)} for name, one in wanted.items()]
    return {"params": params, "usermeta": {"summaries": dict(wanted)}}


def five(*fields: str, over: float | None = None) -> Spec:
    """Least, quartiles and greatest of the first of these fields that is a number; penalties do not count.

    over: values up to here do not count either, as on a log axis.
    """
    return {"kind": "five", "fields": list(fields), "over": over}


def steps(direction: Direction) -> Spec:
    """The numbers of the complete trials that were better than all before them."""
    return {"kind": "steps", "less": less_is_better(direction)}


def span(field: str, start: Sequence[float], over: float | None = None, under: float | None = None) -> Spec:
    """The least and the greatest value of a field, and of `start`; of those over and under these bounds."""
    return {"kind": "span", "field": field, "start": list(start), "over": over, "under": under}


def _value(rows: Rows, wanted: Spec) -> list[float]:
    counted = [row for row in rows if not row.get("invalid")]
    match wanted["kind"]:
        case "five":
            return five_numbers(_first_number(row, wanted["fields"], wanted["over"]) for row in counted)
        case "steps":
            return _steps(counted, 1 if wanted["less"] else -1)
        case _:
            return _span(counted, wanted)


def five_numbers(values: Iterable[float | None]) -> list[float]:
    """Least, quartiles and greatest of the values that are no penalties."""
    found = [value for value in values if value is not None]
    bound = ENORMOUS * max(1.0, min(map(abs, found), default=0.0))
    kept = sorted(value for value in found if abs(value) < bound)
    if len(kept) < 2:
        return kept * 5 or list(NOTHING)
    return [kept[0], *statistics.quantiles(kept, n=4, method="inclusive"), kept[-1]]


def _first_number(row: Mapping[str, Any], fields: Sequence[str], over: float | None) -> float | None:
    value = next((row[field] for field in fields if row.get(field) is not None), None)
    return value if is_number(value) and (over is None or value > over) else None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it has a place on an axis; a truth value has none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _steps(rows: Rows, sign: int) -> list[float]:
    found, best = [], math.inf
    for row in rows:
        if row.get("state") == "complete" and is_number(score := row.get("score")) and sign * score < best:
            best = sign * score
            found.append(row["number"])
    return found


def _span(rows: Rows, wanted: Spec) -> list[float]:
    field, over, under = wanted["field"], wanted["over"], wanted["under"]
    values = [row[field] for row in rows if row.get("state") != "queued" and is_number(row.get(field))]
    inside = [value for value in values if (over is None or value > over) and (under is None or value < under)]
    return [min([*inside, *wanted["start"]], default=0), max([*inside, *wanted["start"]], default=1)]


NUMBERS: Final = {"numbers": span("number", [])}
"""The first and the last trial."""


_ROOM: Final = "pow(10, floor(log(max(numbers[1], 1)) / LN10)) / 50"
NUMBERS_END: Final = f"numbers[1] < 200 ? max(numbers[1], numbers[0] + 1) : ceil(numbers[1] / ({_ROOM})) * ({_ROOM})"
"""Where the axis of trials ends: a large study has a little room there, so that it does not move with each trial."""


def number_scale() -> Spec:
    """The scale of trials by their numbers."""
    return {"zero": False, "nice": False, "padding": 8, "domain": [{"expr": "numbers[0]"}, {"expr": NUMBERS_END}]}
