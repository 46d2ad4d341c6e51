"""Spaces, points and histories that Hypothesis draws for the tests of the search."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from sturgeon.search.samplers import Finished, History, Running
from sturgeon.space import Choice, Int, Space

MOST_DIMENSIONS = 20


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["linear", "log", "one_minus_log", "logit", "int", "log int", "choice", "ordered"]))
    if kind == "linear":
        low = draw(st.floats(-1e6, 1e6))
        return {"type": "float", "low": low, "high": low + draw(st.floats(1e-3, 1e6))}
    if kind == "log":
        low = draw(st.floats(1e-12, 1e6))
        return {"type": "float", "low": low, "high": low * draw(st.floats(1.1, 1e6)), "scale": "log"}
    if kind == "logit":
        return {"type": "float", "low": draw(st.floats(1e-4, 0.4)), "high": draw(st.floats(0.5, 0.9999)), "scale": kind}
    if kind == "one_minus_log":
        return {"type": "float", "low": draw(st.floats(0, 0.9)), "high": draw(st.floats(0.91, 0.9999)), "scale": kind}
    if kind == "int":
        low, step = draw(st.integers(-1000, 1000)), draw(st.integers(1, 10))
        return {"type": "int", "low": low, "high": low + step * draw(st.integers(1, 10**6)), "step": step}
    if kind == "log int":
        low = draw(st.integers(1, 100))
        return {"type": "int", "low": low, "high": low + draw(st.integers(1, 10**6)), "scale": "log"}
    values = draw(st.lists(st.integers(0, 100), min_size=1, max_size=8, unique=True))
    return {"type": "choice", "values": values, "ordered": kind == "ordered"}


@st.composite
def spaces(draw: st.DrawFn, most: int = MOST_DIMENSIONS) -> Space:
    """Any valid space of up to `most` searched parameters, some of them under conditions on earlier ones."""
    chosen: dict[str, Any] = {}
    for i in range(draw(st.integers(1, most))):
        parameter = draw(parameters())
        parents = [name for name, p in chosen.items() if p["type"] in ("choice", "int")]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            parameter["when"] = {parent: draw(some_values(chosen[parent]))}
        chosen[f"p{i}"] = parameter
    space = Space.model_validate(chosen)
    assert not space.problems()
    return space


@st.composite
def some_values(draw: st.DrawFn, parameter: dict[str, Any]) -> list[Any]:
    if parameter["type"] == "choice":
        values: list[Any] = Choice.model_validate(parameter).values
        return draw(st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True))
    whole = Int.model_validate(parameter)
    steps = (whole.high - whole.low) // whole.step
    return [whole.low + whole.step * i for i in draw(st.lists(st.integers(0, steps), min_size=1, max_size=3))]


scores = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1.0, math.inf, -math.inf, math.nan, 1e308, -1e308, 5e-324]),
    st.floats(-1e6, 1e6),
)


@st.composite
def histories(draw: st.DrawFn, space: Space, most: int = 30, least: int = 0) -> History:
    """Any finished trials, with scores from none to infinite and many ties, and up to 30 running ones."""
    d = len(space.searched)
    points = st.tuples(*[st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))] * d)
    finished = draw(st.lists(st.tuples(points, scores), min_size=least, max_size=most))
    running = draw(st.lists(points, max_size=most))
    return History(
        tuple(Finished(number, point, score) for number, (point, score) in enumerate(finished)),
        tuple(Running(len(finished) + i, point) for i, point in enumerate(running)),
    )
