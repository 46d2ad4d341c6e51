"""What a run finds out about the model it keeps: the diagnosis of its errors, and the errors themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sturgeon.messages import FindingKind
from sturgeon.values import Json
from trainer.analysis.diagnosis import diagnose
from trainer.analysis.error_analysis import analysis
from trainer.checkpoint import Checkpoint
from trainer.data.preparation import Data

PARTS = ("train", "train_dev", "dev", "test", "synthetic")


def findings(
    model: Checkpoint, metrics: Mapping[str, float], data: Data, alarms: tuple[str, ...]
) -> dict[FindingKind, Json]:
    """Plain JSON by kind; `metrics` are the model's final ones, `alarms` those of its gradients."""
    by_kind: dict[FindingKind, Json] = {"diagnosis": diagnosis(model, metrics, data, alarms)}
    part = next(name for name in ("dev", "test", "train") if len(data.parts[name]))
    if errors := analysis(model, data, part):
        by_kind["errors"] = errors
    return by_kind


def diagnosis(model: Checkpoint, metrics: Mapping[str, float], data: Data, alarms: tuple[str, ...]) -> Json:
    """The table of gaps with advice, the errors and sizes it was made of, and warnings of what may mislead."""
    errors = {part: metrics[f"{part}_error"] for part in PARTS if f"{part}_error" in metrics}
    sizes = {part: len(data.parts[part]) for part in errors}
    return table(errors, sizes, model.config.known_error, data.warnings, alarms)


def table(
    errors: Mapping[str, float],
    sizes: Mapping[str, int],
    known: float | None,
    warnings: Sequence[str],
    alarms: Sequence[str],
) -> Json:
    """A diagnosis of errors by part, as plain JSON."""
    diagnosed = diagnose(errors, sizes, known)
    return {
        "errors": dict(errors),
        "sizes": dict(sizes),
        "known_error": known,
        "gaps": [vars(gap) | {"between": list(gap.between), "clear": gap.clear} for gap in diagnosed.gaps],
        "widest": diagnosed.widest,
        "advice": list(diagnosed.advice),
        "warnings": list(warnings),
        "alarms": list(alarms),
    }
