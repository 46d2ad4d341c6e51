"""The whole curves of a study's random trials, trained once: what a rule would have stopped is read off them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import service_search
from sturgeon.cli import demo
from sturgeon.messages import TrainStudyTask
from sturgeon.search.samplers import trial_seed, uniform_point
from sturgeon.space import Space
from worker.child.protocol import DesiredRun, Finished, Job, Progress
from worker.tasks.train import run

EPOCHS: Final = 30
ROOT: Final = Path(__file__).parents[1]
DIGITS: Final[dict[str, Any]] = json.loads((ROOT / "examples" / "digits.json").read_text(encoding="utf-8"))
SPACES: Final = {
    "wide": Space.model_validate(service_search.SPACE),
    "narrow": Space.model_validate(DIGITS["space"]),
    "demo": Space.model_validate(demo.STUDY["space"]),
}
"""`wide`: that of `make bench-service-search`, where a third of all trials learns nearly nothing; `narrow`: that of
examples/digits.json, chosen so that most trials are good; `demo`: that of the demo, with its task."""

TASK: Final = TrainStudyTask(kind="train", dataset="mnist_5k", epochs=EPOCHS)
TASKS: Final = {"wide": TASK, "narrow": TASK, "demo": TrainStudyTask.model_validate(demo.STUDY["task"])}
RULE: Final = {"metric": "dev_error", "direction": "minimize"}


class Trained(NamedTuple):
    """A trial that ran to its end: dev_error by epoch, what it told, and the seconds of an epoch; a trial that diverged
    has no value, and its curve ends there."""

    curve: tuple[float, ...]
    value: float | None
    test_error: float | None
    epoch_s: float


def params_of(space: str, seed: int, number: int) -> dict[str, Any]:
    """As random search draws them."""
    return SPACES[space].decode(uniform_point(seed, number, len(SPACES[space].searched)))


def trained(of: TrainStudyTask, params: dict[str, Any], seed: int) -> Trained:
    """What a worker would report and tell of a trial."""
    task = of.model_dump(exclude={"fixed"}) | RULE
    curve: list[float] = []
    for _, said in run([Job(task, params, seed)], lambda _place: DesiredRun()):
        if isinstance(said, Progress):
            curve.append(said.metrics["dev_error"])
    assert isinstance(said, Finished)
    if said.state == "failed":
        raise RuntimeError(said.error)
    whole = said.state == "complete"
    told = said.metrics
    seconds = told.get("seconds", 0.0) / max(len(curve), 1)
    return Trained(tuple(curve), told["dev_error"] if whole else None, told["test_error"] if whole else None, seconds)


def curves(folder: Path, space: str, seed: int, count: int) -> list[Trained]:
    """The trials of a study; what the folder has was trained before."""
    return [
        _kept(
            folder / f"{space}-trial-{seed}-{number}.json",
            space,
            params_of(space, seed, number),
            trial_seed(seed, number),
        )
        for number in range(count)
    ]


def retrained(folder: Path, space: str, seed: int, number: int, fresh: Sequence[int]) -> list[float]:
    """The test errors of a trial's parameters with fresh seeds."""
    runs = [
        _kept(folder / f"{space}-again-{seed}-{number}-{one}.json", space, params_of(space, seed, number), one)
        for one in fresh
    ]
    return [1.0 if one.test_error is None else one.test_error for one in runs]


def _kept(file: Path, space: str, params: dict[str, Any], seed: int) -> Trained:
    if not file.exists():
        made = trained(TASKS[space], params, seed)
        file.write_text(json.dumps(made._asdict()))
    fields = json.loads(file.read_text())
    return Trained(**(fields | {"curve": tuple(fields["curve"])}))
