"""Answers of a server, small, from which pictures are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sturgeon import messages as m

AT: Final = "2026-11-27T10:00:00Z"
PARAMETERS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "rate", "kind": "float", "scale": "log", "low": 1e-5, "high": 1e-1},
    {"name": "beta", "kind": "float", "scale": "one_minus_log", "low": 0.9, "high": 0.999},
    {"name": "layers", "kind": "int", "scale": "linear", "low": 1, "high": 8},
    {"name": "optimizer", "kind": "choice", "values": ["adam", "sgd", "[64, 32]", True]},
    {"name": "keep", "kind": "float", "scale": "logit", "low": 0.01, "high": 0.99},
    {"name": "momentum", "kind": "float", "scale": "linear", "low": 0, "high": 1},
    {"name": "epochs", "kind": "fixed", "values": [20]},
)
CHOICES: Final = ("adam", "sgd", "[64, 32]", True)


def row(number: int, score: float | None = None, state: str = "complete", **more: Any) -> dict[str, Any]:
    """A trial as a row; its parameters follow from its number, and only sgd has a momentum."""
    share = (number * 0.37) % 1
    cells = {"p0": 10 ** (-5 + 4 * share), "p1": 1 - 10 ** (-1 - 2 * share), "p2": 1 + number % 8}
    cells |= {"p3": CHOICES[number % 4], "p4": 0.01 + 0.98 * share, "p6": 20}
    if cells["p3"] == "sgd":
        cells["p5"] = share
    facts = {"number": number, "state": state, "mode": "caviar", "score": score, "so_far": score, "invalid": False}
    facts |= {"seconds": 5.0 + number, "epochs": 20.0, "worker": "w", "created_at": AT, "attempt": 1}
    return facts | cells | more


def table(rows: Sequence[dict[str, Any]] = (), **more: Any) -> m.Table:
    """The rows of a study that minimizes dev_error."""
    parameters = [{"field": f"p{at}", **one} for at, one in enumerate(more.pop("parameters", PARAMETERS))]
    facts = {"study": "digits", "objective": "dev_error", "direction": "minimize", "cursor": "c"} | more
    return m.Table(**facts, parameters=parameters, total=len(rows), rows=list(rows))


def scored(*scores: float | None) -> m.Table:
    """A study of complete trials with these scores."""
    return table([row(number, score) for number, score in enumerate(scores)])


def rounds(names: Sequence[str] = ("rate", "beta", "layers", "optimizer", "keep", "momentum")) -> m.Rounds:
    """Three rounds: none has boxes at first, then two boxes, then two that are narrower."""
    items = []
    for number in range(3):
        ranges = [
            {"low": 1e-4 * 2**number, "high": 1e-2 / 2**number},
            {"low": 0.9 + 0.02 * number, "high": 0.99},
            {"low": 1, "high": 8 - 2 * number},
            {"values": ["adam", [64, 32], True][: 3 - number]},
            {"low": 0.1, "high": 0.9},
            {"low": 0.2, "high": 0.8},
        ]
        box = {"level": number, "ranges": dict(zip(names, ranges, strict=True))}
        boxes = [box | {"elite": 1}, box | {"elite": 4}] if number else []
        facts = {"number": number, "revision": 0, "start": 5 * number, "model": "gp", "bars": {}, "elites": [1, 4]}
        facts |= {"best": None, "alarms": [], "current": number == 2, "trials": 5, "found": None, "numerics": None}
        items.append(facts | {"boxes": boxes, "at": None})
    return m.Rounds.model_validate({"study": "digits", "sampler": "coarse_to_fine", "items": items})


def importance(*names: str) -> m.Importance:
    """Each parameter half as important as the one before."""
    items = [{"name": name, "share": 0.5 / 2**at, "spread": 0.02} for at, name in enumerate(names)]
    return m.Importance.model_validate({"study": "digits", "trials": 40, "rounds": 3, "items": items})


def curves(*values: Sequence[float], states: Sequence[str] = (), metric: str = "dev_error") -> m.Curves:
    """A curve a trial, from epoch 1 on."""
    found = [
        {
            "number": number,
            "state": states[number] if states else "complete",
            "epochs": [float(epoch) for epoch in range(1, len(curve) + 1)],
            "values": list(curve),
        }
        for number, curve in enumerate(values)
    ]
    facts = {"study": "digits", "metric": metric, "direction": "minimize", "cursor": "c", "curves": found}
    return m.Curves.model_validate(facts)


def trial_curves(metrics: dict[str, Sequence[float]], interventions: Sequence[dict[str, Any]] = ()) -> m.TrialCurves:
    """All metrics of trial 7, from epoch 1 on."""
    found = {
        name: {"epochs": [float(epoch) for epoch in range(1, len(values) + 1)], "values": list(values)}
        for name, values in metrics.items()
    }
    facts = {"study": "digits", "number": 7, "state": "running", "objective": "dev_error", "metrics": found}
    return m.TrialCurves.model_validate(facts | {"interventions": list(interventions)})


def intervention(epoch: float, version: int, change: dict[str, Any], **more: Any) -> dict[str, Any]:
    facts = {"epoch": epoch, "step": 10, "version": version, "kind": "params", "change": change, "by": "person"}
    return facts | {"reason": "it stalls", "state": "applied"} | more


def timeline(**params: Any) -> m.Timeline:
    """A training that began with these parameters."""
    start = {"number": 7, "params": params, "seed": 1}
    return m.Timeline.model_validate({"items": [], "lineage": [], "start": start, "schedule": [], "lost": []})


def diagnosis(name: str = "variance") -> dict[str, Any]:
    gaps = [
        {"name": "avoidable bias", "between": ["known", "train"], "size": 0.01, "uncertainty": 0.02, "clear": False},
        {"name": name, "between": ["train", "dev"], "size": 0.08, "uncertainty": 0.01, "clear": True},
    ]
    found = {"errors": {"train": 0.01, "dev": 0.09}, "sizes": {}, "known_error": None, "gaps": gaps, "widest": name}
    return found | {"advice": ["Regularise."], "warnings": [], "alarms": []}


def errors(*names: str, matrix: Sequence[Sequence[int]] = ()) -> dict[str, Any]:
    counts = [[9 if i == j else j for j in range(len(names))] for i in range(len(names))]
    return {"part": "dev", "examples": 50, "class_names": list(names), "confusion": list(matrix) or counts}
