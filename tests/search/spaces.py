"""Spaces, points and histories that Hypothesis draws for the tests of the search."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from sturgeon.search.samplers import Finished, History, Running
from sturgeon.space import Choice, Int, Space

MOST_DIMENSIONS = 20


@st.composite
def distributions(draw: st.DrawFn) -> dict[str, Any]:
    """A normal or lognormal, whole or cut off, real or in steps."""
    kind = draw(st.sampled_from(["normal", "lognormal"]))
    mean, sd = draw(st.floats(-3, 3)), draw(st.floats(0.1, 2))
    parameter: dict[str, Any] = {"type": kind, "mean": mean, "sd": sd}
    place = math.exp if kind == "lognormal" else float
    if draw(st.booleans()):
        widest = place(mean + 6 * sd) - place(mean - 6 * sd)
        parameter["step"] = widest / draw(st.sampled_from([4, 30, 900]))
    elif draw(st.booleans()):
        parameter["low"] = place(mean - draw(st.floats(0, 4)) * sd)
        parameter["high"] = place(mean + draw(st.floats(0.5, 4)) * sd)
    return parameter


@st.composite
def stepped(draw: st.DrawFn) -> dict[str, Any]:
    """A float that goes in steps, on a linear or a log scale."""
    step, most = draw(st.sampled_from([0.05, 0.1, 0.3, 2.5, 1000.0])), draw(st.integers(1, 500))
    if draw(st.booleans()):
        low = draw(st.integers(1, 50))
        return {"type": "float", "low": low * step, "high": (low + most) * step, "step": step, "scale": "log"}
    low = draw(st.integers(-50, 50)) / 10
    return {"type": "float", "low": low, "high": low + most * step, "step": step}


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(["linear", "log", "one_minus_log", "logit", "int", "log int", "choice", "ordered", "new"])
    )
    if kind == "new":
        return draw(st.one_of(distributions(), stepped(), weighted()))
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
def weighted(draw: st.DrawFn) -> dict[str, Any]:
    """A choice whose values are not equally likely."""
    values = draw(st.lists(st.integers(0, 100), min_size=1, max_size=8, unique=True))
    weights = draw(st.lists(st.floats(0.01, 10), min_size=len(values), max_size=len(values)))
    return {"type": "choice", "values": values, "ordered": draw(st.booleans()), "weights": weights}


@st.composite
def spaces(draw: st.DrawFn, most: int = MOST_DIMENSIONS) -> Space:
    """Any valid space of up to `most` searched parameters, some of them under conditions on earlier ones."""
    chosen: dict[str, Any] = {}
    for i in range(draw(st.integers(1, most))):
        parameter = draw(parameters())
        if chosen and draw(st.booleans()):
            parent = draw(st.sampled_from(list(chosen)))
            parameter["when"] = {parent: draw(conditions(chosen[parent]))}
        chosen[f"p{i}"] = parameter
    space = Space.model_validate(chosen)
    assert space.problems() == []
    return space


def conditions(parameter: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Some of its values, or a range around the value in the middle."""
    middle = Space.model_validate({"p": parameter})["p"].decode(0.5)
    ranges = [{"at_least": middle}, {"at_most": middle}, {"at_least": middle, "at_most": middle + 1000}]
    return st.one_of(
        st.sampled_from(ranges), *([some_values(parameter)] if parameter["type"] in ("choice", "int") else [])
    )


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
