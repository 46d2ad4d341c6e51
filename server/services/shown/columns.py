"""The parameters of a study as columns of its rows: p0, p1, .., in the order in which its spaces first had them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from server.store import space_revisions
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon.messages import TableParameter
from sturgeon.plots.specs import ZERO_WIDTH_SPACE
from sturgeon.space import AnyParameter, Choice, Fixed, Float, Int, LogNormal, Space
from sturgeon.values import Json, is_number, short_text, value_key

RARE = 5e-7
"""The share of draws beyond either end of a normal's range, where the space gives it no bound."""

PROTOTYPE = "__proto__"
"""As the key of an object this word is none, in Vega as in every page: it is told with a sign that nobody sees."""


class Columns:
    """The parameters of the spaces that a study has had, of which the last one is in force."""

    def __init__(self, spaces: Sequence[Space]) -> None:
        kinds: dict[str, list[AnyParameter]] = {}
        for space in spaces:
            for name in space:
                kinds.setdefault(name, []).append(space[name])
        self._labels = {name: _labels(of_name) for name, of_name in kinds.items()}
        self._fields = {name: f"p{place}" for place, name in enumerate(kinds)}
        current = set(spaces[-1])
        self.parameters = [self._parameter(name, of_name[-1], name in current) for name, of_name in kinds.items()]

    def cells(self, params: Json) -> Json:
        """The cells of a trial's parameters. Those that no space has had are live parameters, which are no columns."""
        fields = self._fields
        return {fields[name]: self._cell(name, value) for name, value in params.items() if name in fields}

    def _cell(self, name: str, value: Any) -> Any:
        if value == PROTOTYPE:
            return value + ZERO_WIDTH_SPACE
        if isinstance(value, float | int | str):  # a bool is an int
            return value
        return self._labels[name].get(value_key(value)) or short_text(value)

    def _parameter(self, name: str, kind: AnyParameter, current: bool) -> TableParameter:
        column = TableParameter(field=self._fields[name], name=name, kind=kind.type, current=current)
        if isinstance(kind, Fixed):
            return column.model_copy(update={"values": [self._cell(name, kind.value)]})
        if isinstance(kind, Choice):
            values = [self._cell(name, value) for value in kind.values]
            return column.model_copy(update={"values": values, "ordered": kind.ordered})
        return column.model_copy(update=_range(kind))


def _range(kind: AnyParameter) -> Json:
    if isinstance(kind, Float | Int):
        return {"scale": kind.scale, "low": kind.low, "high": kind.high}
    assert not isinstance(kind, Choice | Fixed)
    scale = "log" if isinstance(kind, LogNormal) else "linear"
    ends = (kind.low, kind.decode(RARE)), (kind.high, kind.decode(1 - RARE))
    low, high = (rare if given is None else given for given, rare in ends)
    return {"scale": scale, "low": low, "high": high}


def _labels(kinds: Sequence[AnyParameter]) -> dict[Any, str]:
    """Texts for the values that are lists, objects or null, each its own and that of no other value."""
    values = [one for kind in kinds for one in (kind.values if isinstance(kind, Choice) else ())]
    taken = {one for one in values if isinstance(one, str)}
    labels: dict[Any, str] = {}
    for value in values:
        key = value_key(value)
        if isinstance(value, str | bool) or is_number(value) or key in labels:
            continue
        text, count = short_text(value), 1
        while (label := text if count == 1 else f"{text} ({count})") in taken:
            count += 1
        taken.add(label)
        labels[key] = label
    return labels


def columns_of(tx: Transaction, study: StudyRow) -> Columns:
    """The columns of a study's rows."""
    revisions = space_revisions.until(tx, study.id, study.seq)
    return _columns(tuple(json.dumps(row.space) for row in revisions))


@lru_cache(256)
def _columns(spaces: tuple[str, ...]) -> Columns:
    return Columns([Space.model_validate_json(space) for space in spaces])
