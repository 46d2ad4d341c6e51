"""Studies that the tests create, and what an answer that refuses looks like."""

from __future__ import annotations

from typing import Any, Final

import httpx

Json = dict[str, Any]

BOWL: Final[Json] = {
    "name": "bowl",
    "metric": "loss",
    "space": {"x": {"type": "float", "low": -1, "high": 1}, "n": {"type": "int", "low": 1, "high": 4}},
    "search": {"sampler": "random", "seed": 7},
    "budget": {"max_trials": 4},
}
"""A study of one's own code, which asks and tells."""

FROM_NO_PAGE: Final = {"X-Requested-With": "tests"}
"""What a server without a token wants to see of whoever changes something."""

DIGITS: Final[Json] = {
    "name": "digits",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"}},
    "search": {"sampler": "random", "seed": 7},
    "budget": {"max_trials": 4},
    "task": {"kind": "train", "dataset": "digits", "epochs": 2, "fixed": {"hidden_units": 16}},
}
"""A study that workers train."""


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem, whose shape is checked here."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:200]
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "code", "detail", "errors"}
    assert problem["type"] == f"urn:sturgeon:problem:{problem['code']}"
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    assert all(error.keys() == {"pointer", "detail"} for error in problem["errors"])
    return answer.status_code, problem["code"]


NOT_VALID: Final = ((422, "invalid"), (409, "contradiction"))
"""How a body is refused: for its form, which the description forbids, or for what it says."""


DATASET: dict[str, Any] = {
    "dataset": "csv:t.csv",
    "kind": "classes",
    "rows": 60,
    "columns": 2,
    "parts": {"train": 48, "dev": 12},
    "targets": ["cat", "dog"],
    "target_count": 2,
    "examples": [40, 20],
    "missing": 0,
    "dropped": ["column 1"],
    "constant": [],
    "constant_count": 0,
    "inputs": 2,
    "encoded": [],
    "written": None,
    "notes": [],
}
"""What a run says that its data were read as."""
