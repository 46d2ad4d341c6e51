"""No name, number or lack of them breaks a picture, and no text of a user becomes part of a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import pytest

from sturgeon.plots.drawing import drawn
from sturgeon.plots.kinds import KINDS
from sturgeon.plots.registry import PLOTS
from sturgeon.plots.specs import Spec
from tests.plots import answers
from tests.plots.answers import PARAMETERS, intervention, rounds, row, table
from tests.plots.drawn_scenes import compiled, scene_of

HOSTILE: Final = (
    "HOSTILE\"'\\",
    "val/HOSTILE",
    "HOSTILE-95(B)",
    "--HOSTILE",
    "</script>HOSTILE",
    "a.b[HOSTILE]",
    "HOSTILE${x}",
)
EXPRESSIONS: Final = {
    "signal",
    "expr",
    "test",
    "update",
    "init",
    "events",
    "field",
    "as",
    "fields",
    "groupby",
    "filter",
    "calculate",
}
DRAWN: Final = "HOSTILE"


def every(found: dict[str, Any]) -> dict[str, Spec]:
    """Each kind of picture, of these answers."""
    return {kind: plot.draw(**{need: found[need] for need in plot.needs}) for kind, plot in PLOTS.items()}


def hostile() -> dict[str, Any]:
    """Answers whose texts of users are all hostile."""
    a, b, *_ = HOSTILE
    named = [one | {"name": name} for one, name in zip(PARAMETERS, HOSTILE, strict=True)]
    named[3] = named[3] | {"values": [a, b, "</script>HOSTILE", True]}
    trials = [
        row(at, 0.1 * (at + 1), p3=(a, b, "</script>HOSTILE", True)[at % 4], error=a, worker=a) for at in range(6)
    ]
    changes = [intervention(1.0, 1, {a: a, b: 0.1}, by=a, reason=b), intervention(2.0, 2, {b: 0.2}, kind=a)]
    curve = answers.trial_curves(
        {"dev_error": [1, 2], a: [1, 2], "train_HOSTILE": [1, 2], "dev_HOSTILE": [1, 2]}, changes
    )
    return {
        "table": table(trials, parameters=named, objective=a, study="digits"),
        "rounds": rounds(HOSTILE[:6]),
        "importance": answers.importance(*HOSTILE),
        "curves": answers.curves([1, 0.5], [1, 0.6], metric=a),
        "trial_curves": curve,
        "timeline": answers.timeline(**{a: a, b: 0.5}),
        "diagnosis": answers.diagnosis(a) | {"advice": [a]},
        "errors": answers.errors(*HOSTILE) | {"part": a},
    }


def programs(spec: Any, key: str = "") -> Iterator[str]:
    """All texts that Vega parses, or takes for the name of a field."""
    if isinstance(spec, dict):
        for name, value in spec.items():
            if name not in ("values", "value", "datasets"):
                yield from programs(value, name)
    elif isinstance(spec, list):
        for value in spec:
            yield from programs(value, key)
    elif isinstance(spec, str) and key in EXPRESSIONS:
        yield spec


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_of_a_user_is_part_of_an_expression_or_a_field(kind: str) -> None:
    vega = compiled(every(hostile())[kind])

    parsed = list(programs(vega))
    assert len(parsed) > 3
    assert [text for text in parsed if DRAWN in text] == []
    assert DRAWN in json.dumps(vega) or kind == "gradients"  # which has no text of a user


def test_hostile_names_are_drawn_as_they_are() -> None:
    pictures = every(hostile())

    for kind in ("slice", "parallel", "importance", "confusion"):
        assert HOSTILE[0] in scene_of(pictures[kind]).texts(), kind


def test_no_text_ends_the_script_of_a_page() -> None:
    page = drawn(every(hostile())["slice"], "html").decode()

    assert page.count("</script>") == page.count("<script") == 3
    assert "</script>HOSTILE" not in page
    specification = page.partition('type="application/json">')[2].partition("</script>")[0]
    assert HOSTILE[0] in [one["name"] for one in [{"name": n} for n in json.loads(specification)["params"][1]["value"]]]


def extremes() -> dict[str, list[dict[str, Any]]]:
    strange = [row(0, math.nan), row(1, None), row(2, 1e308), row(3, -1e308), row(4, 0.0), row(5, 5e-324)]
    bare = [{name: value for name, value in row(at, 0.1).items() if not name.startswith("p")} for at in range(3)]
    wrong = [row(0, 0.5, p0=0.0, p1=1.0, p4=1.0), row(1, 0.4, p0="text", p2=None, p3="gone")]
    return {
        "no trial": [],
        "one trial": [row(0, 0.5)],
        "no score": [row(0, None, "running"), row(1, None, "failed"), row(2, None, "queued")],
        "all equal": [row(at, 0.25, seconds=3.0) for at in range(6)],
        "strange numbers": strange,
        "no parameter": bare,
        "outside of the scale": wrong,
    }


@pytest.mark.parametrize("what", list(extremes()))
def test_a_picture_of_anything_can_be_drawn(what: str) -> None:
    trials = extremes()[what]
    found = table([{name: None if value != value else value for name, value in one.items()} for one in trials])

    for kind in ("history", "slice", "map", "durations", "parallel"):
        given = {"table": found} | ({"rounds": rounds()} if "rounds" in PLOTS[kind].needs else {})
        scene = scene_of(PLOTS[kind].draw(**given))
        places = [item[at] for item in scene.items("symbol") for at in ("x", "y")]
        assert all(math.isfinite(place) and -60 <= place <= 900 for place in places), kind


def test_answers_without_anything_are_pictures_too() -> None:
    empty = answers.trial_curves({})
    found = {"table": table(), "rounds": None, "importance": answers.importance(), "curves": answers.curves()}
    found |= {"trial_curves": empty, "timeline": None, "diagnosis": answers.diagnosis() | {"gaps": []}}

    for kind, spec in every(found | {"errors": answers.errors("one")}).items():
        assert scene_of(spec).root["items"], kind


def test_ten_thousand_trials_are_all_drawn() -> None:
    trials = [row(at, 0.1 + (at * 0.618) % 1) for at in range(10_000)]

    assert len(scene_of(PLOTS["history"].draw(table=table(trials))).marks("symbol")[0]) == 10_000
