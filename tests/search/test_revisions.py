"""Where older trials lie in a space that was edited, whatever the spaces."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sturgeon.search.coarse_to_fine import suggest
from sturgeon.search.revisions import Revision, edit_problems, point_under
from sturgeon.search.samplers import Finished, History
from sturgeon.space import AnyParameter, Choice, Fixed, Space
from tests.search.spaces import spaces


@st.composite
def edits(draw: st.DrawFn) -> tuple[Space, Space, dict[str, Any]]:
    """A space, what it may become, and what is added: any mix of narrowed, fixed, left out and new parameters."""
    old = draw(spaces(most=6))
    new: dict[str, Any] = {}
    for name in old:
        plain = old[name].model_dump(exclude_none=True)
        conditions = {parent: wanted for parent, wanted in plain.pop("when", {}).items() if parent in new}
        kind = draw(st.sampled_from(["same", "same", "narrowed", "fixed", "left out"]))
        if kind == "left out":
            continue
        if kind == "fixed":
            plain = {"type": "fixed", "value": old[name].decode(draw(st.floats(0, 1)))}
        elif kind == "narrowed":
            plain |= narrowed(draw, old[name])
        new[name] = plain | ({"when": conditions} if conditions else {})
    new["new"] = {"type": "float", "low": 0, "high": 1}
    space = Space.model_validate(new)
    if space.problems():  # a condition on a value that was taken out
        space = Space.model_validate({name: {**p, "when": None} for name, p in new.items()})
    assert space.problems() == []
    return old, space, {"new": draw(st.floats(0, 1))}


def narrowed(draw: st.DrawFn, parameter: AnyParameter) -> dict[str, Any]:
    if isinstance(parameter, Choice):
        places = draw(st.lists(st.sampled_from(range(len(parameter.values))), min_size=1, unique=True))
        weights = {"weights": [parameter.weights[i] for i in places]} if parameter.weights else {}
        return {"values": [parameter.values[i] for i in places], **weights}
    if isinstance(parameter, Fixed):
        return {}
    low, high = parameter.decode(draw(st.floats(0, 0.4))), parameter.decode(draw(st.floats(0.6, 1)))
    if not low < high or (high - low) < abs(high) * 1e-9:
        return {}
    return {"low": low, "high": high}


def takes(parameter: AnyParameter, value: object) -> bool:
    try:
        parameter.encode(value)
    except ValueError:
        return False
    return True


def points(space: Space) -> st.SearchStrategy[list[tuple[float, ...]]]:
    return st.lists(st.tuples(*[st.floats(0, 1)] * len(space.searched)), min_size=1, max_size=12)


@given(st.data())
@settings(max_examples=60)
def test_an_older_trial_lies_inside_where_its_values_are_or_nowhere(data: st.DataObject) -> None:
    old, new, added = data.draw(edits())
    assert edit_problems(old, new, added) == []
    revisions = [Revision(0, old, {}), Revision(1, new, added)]

    for point in data.draw(points(old)):
        params = old.decode(point)
        place = point_under(revisions, 0, params)
        if place is None:
            assert any(not takes(new[name], {**added, **params}.get(name)) for name in new)
            continue
        assert len(place) == len(new.searched)
        assert all(0.0 <= u <= 1.0 for u in place)
        for name, value in new.decode(place).items():
            wanted = {**added, **params}.get(name, value)  # a fixed parameter may be new to the trial
            assert value == wanted or math.isclose(value, wanted, rel_tol=1e-14, abs_tol=1e-9)


@given(st.data())
@settings(max_examples=40)
def test_a_trial_of_an_unchanged_space_stays_where_it_is(data: st.DataObject) -> None:
    space = data.draw(spaces(most=6))
    revisions = [Revision(0, space, {}), Revision(1, space, {})]

    for point in data.draw(points(space)):
        place = point_under(revisions, 0, space.decode(point))
        assert place is not None
        assert space.decode(place).keys() == space.decode(point).keys()


@given(st.data())
@settings(max_examples=25)
def test_no_edit_breaks_the_search(data: st.DataObject) -> None:
    old, new, added = data.draw(edits())
    revisions = [Revision(0, old, {}), Revision(1, new, added)]
    places = [point_under(revisions, 0, old.decode(point)) for point in data.draw(points(old))]
    finished = tuple(Finished(i, point, float(i)) for i, point in enumerate(places) if point is not None)

    sample = suggest(new, 1, 20, History(finished, ()))

    assert all(0.0 <= u <= 1.0 for u in sample.point)
    params = new.decode(sample.point)
    assert new.decode(new.encode(params)).keys() == params.keys()


def test_what_a_trial_lacks_is_what_the_first_later_revision_says() -> None:
    x = {"type": "float", "low": 0, "high": 1}
    alone, both = Space.model_validate({"x": x}), Space.model_validate({"x": x, "y": x})
    revisions = [
        Revision(0, alone, {}),
        Revision(1, both, {"y": 0.25}),
        Revision(2, alone, {}),
        Revision(3, both, {"y": 0.75}),
    ]

    assert point_under(revisions, 0, {"x": 0.5}) == (0.5, 0.25)
    assert point_under(revisions, 1, {"x": 0.5, "y": 0.125}) == (0.5, 0.125)
    assert point_under(revisions, 2, {"x": 0.5}) == (0.5, 0.75)
    assert point_under(revisions[:3], 1, {"x": 0.5, "y": 0.125}) == (0.5,)


def test_a_condition_that_changed_decides_what_counts() -> None:
    def space(values: list[str]) -> Space:
        momentum = {"type": "float", "low": 0, "high": 1, "when": {"optimizer": values}}
        return Space.model_validate(
            {"optimizer": {"type": "choice", "values": ["adam", "momentum", "rmsprop"]}, "momentum": momentum}
        )

    narrow, wide = space(["momentum"]), space(["momentum", "rmsprop"])
    revisions = [Revision(0, wide, {}), Revision(1, narrow, {}), Revision(2, wide, {})]

    assert point_under(revisions[:2], 0, {"optimizer": "rmsprop", "momentum": 0.25}) == (5 / 6, 0.5)
    assert point_under(revisions, 1, {"optimizer": "adam"}) == (1 / 6, 0.5)
    assert point_under(revisions, 1, {"optimizer": "rmsprop"}) is None  # its momentum is not known
    assert (
        point_under([Revision(1, narrow, {"momentum": 0.5}), Revision(2, wide, {})], 1, {"optimizer": "rmsprop"})
        is None
    )
