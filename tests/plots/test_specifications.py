"""What specifications have in common: their data, their colours, and how they become files."""

from __future__ import annotations

import inspect
import json
import re
import struct
import zlib

import pytest

from sturgeon.plots.drawing import drawn
from sturgeon.plots.history import history
from sturgeon.plots.kinds import KINDS, TRIAL_KINDS
from sturgeon.plots.registry import OPTIONAL, PLOTS
from sturgeon.plots.slices import slices
from sturgeon.plots.specs import VEGA_LITE, for_page
from sturgeon.plots.theme import DASHES, PALETTE, SHAPES, Theme, config
from sturgeon.states import TRIAL_STATES
from tests.plots.answers import rounds, row, scored, table
from tests.plots.test_pictures_bear_anything import every, hostile


def test_the_registry_knows_what_each_function_takes() -> None:
    assert tuple(PLOTS) == KINDS
    for kind, plot in PLOTS.items():
        parameters = inspect.signature(plot.draw).parameters
        assert list(parameters) == [*plot.needs, *plot.options, "width"], kind
        optional = {name for name, one in parameters.items() if one.default is None}
        assert optional & set(plot.needs) == OPTIONAL & set(plot.needs), kind
        assert (plot.of == "study") == (kind not in TRIAL_KINDS)


def test_each_picture_has_the_datasets_that_the_registry_names() -> None:
    for kind, spec in every(hostile()).items():
        if spec["$schema"] == VEGA_LITE:
            assert tuple(spec["datasets"]) == PLOTS[kind].datasets, kind
            assert spec["data"] == {"name": PLOTS[kind].datasets[0]}
        else:
            assert spec["data"][0]["name"] == PLOTS[kind].datasets[0]
        json.dumps(spec, allow_nan=False)


def test_a_page_gets_the_picture_without_its_rows_and_its_title() -> None:
    page = for_page(slices(scored(0.1, 0.2), rounds()))

    assert page["datasets"]["rows"] == []
    assert page["datasets"]["boxes"]
    assert "title" not in page
    parallel = for_page(every(hostile())["parallel"])
    assert parallel["data"][0]["values"] == []
    assert any(one.get("values") for one in parallel["data"])


def test_no_colour_is_in_a_specification() -> None:
    for kind, spec in every(hostile()).items():
        assert "#" not in json.dumps({name: part for name, part in spec.items() if name not in ("datasets", "data")}), (
            kind
        )


def test_a_scale_names_no_range_that_a_theme_does_not_have() -> None:
    for kind, spec in every(hostile()).items():
        named = set(re.findall(r'"range": "(\w+)"', json.dumps(spec))) - {"width", "height"}
        assert named <= config("light")["range"].keys() == config("dark")["range"].keys(), kind


def luminance(colour: str) -> float:
    """WCAG 2.2: relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_signs_and_texts_stand_out_from_the_background(theme: Theme) -> None:
    colours = PALETTE[theme]
    background = colours["background"]
    signs = [name for name in colours if name.startswith(("state-", "series-"))]
    assert {
        name: contrast(colours[name], background) for name in signs if contrast(colours[name], background) < 3
    } == {}
    assert all(contrast(colours[name], background) >= 4.5 for name in ("text", "muted"))


def test_each_state_has_a_sign_of_its_own_beside_its_colour() -> None:
    assert len({SHAPES[state] for state in TRIAL_STATES}) == len(TRIAL_STATES)
    assert DASHES["complete"] != DASHES["pruned"]


def pixels(png: bytes) -> bytes:
    """The bytes of all pixels, as PNG filters them."""
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    return zlib.decompress(data)


def test_a_png_is_one_and_not_blank() -> None:
    png = drawn(history(scored(0.3, 0.2, 0.1)), "png", scale=1)

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(set(pixels(png))) > 50


@pytest.mark.parametrize("kind", ["history", "parallel"])
def test_the_same_picture_is_an_svg_and_a_specification(kind: str) -> None:
    spec = PLOTS[kind].draw(table=table([row(0, 0.1), row(1, 0.2)]))

    assert drawn(spec, "svg", "dark").startswith(b"<svg")
    assert PALETTE["dark"]["background"].encode() in drawn(spec, "svg", "dark")
    written = json.loads(drawn(spec, "json"))
    assert written["config"]["background"] == PALETTE["light"]["background"]
    assert {name: written[name] for name in spec} == json.loads(json.dumps(spec))
