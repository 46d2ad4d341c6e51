"""docs/spaces.md: each of its spaces is one, and draws what its constraints allow."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sturgeon.messages import PreviewRequest
from sturgeon.search.feasible import constraint_problems
from sturgeon.search.preview import preview
from sturgeon.space.space import AnyParameter

GUIDE = (Path(__file__).parents[1] / "docs" / "spaces.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: " ".join(example["space"]))
def test_each_space_of_the_guide_draws(example: dict[str, Any]) -> None:
    request = PreviewRequest.model_validate(example)

    assert request.space.problems() == []
    assert constraint_problems(request.space) == []
    shown = preview(request.space, 7, 20)
    assert 0.01 < shown.satisfied <= 1
    assert [request.space.broken(params) for params in shown.examples] == [[]] * 20


def test_the_guide_shows_every_kind_of_parameter() -> None:
    shown = {parameter["type"] for example in EXAMPLES for parameter in example["space"].values()}

    assert shown == {kind.model_fields["type"].annotation.__args__[0] for kind in AnyParameter.__args__}
