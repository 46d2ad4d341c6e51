"""`sturgeon panda replay`: train a trial again from the very start, with all its changes, and compare the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import print_json
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.errors import NotFound, SturgeonError

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Study, Timeline
    from sturgeon.values import Json
    from trainer.checkpoint import Checkpoint
    from trainer.config import TrainConfig
    from trainer.streams.state import StreamState
    from trainer.training import Run

commands = typer.Typer()


class Compared(NamedTuple):
    """A checkpoint of the trial beside the replay's state at its step: the largest difference of a weight."""

    step: int
    exact: bool
    difference: float
    same_numerics: bool


@commands.command()
@connected
def replay(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", file_okay=False, exists=True, help="A folder of npz:, csv: and stream: data."),
    ] = None,
) -> None:
    """Train a trial again from the very start, with its whole schedule, and compare all its checkpoints bit for bit."""
    with session.client() as client:
        found = replayed(client, study, number, tuple(data or ()))
    exact = all(one.exact for one in found)
    if session.json:
        print_json({"exact": exact, "checkpoints": [one._asdict() for one in found]})
    else:
        steps = ", ".join(str(one.step) for one in found)
        if exact:
            typer.echo(f"exact: the weights at steps {steps} are the same, bit for bit.")
    if not exact:
        raise SturgeonError(_sentence(found))


def _sentence(found: list[Compared]) -> str:
    worst = max(found, key=lambda one: one.difference)
    why = "" if worst.same_numerics else " (numpy, BLAS or the processor differ from those that trained it)"
    first = next(one.step for one in found if not one.exact)
    return f"The replay differs from step {first} on; by up to {worst.difference:g} in a weight{why}."


def replayed(client: Client, study: str, number: int, data_dirs: tuple[Path, ...] = ()) -> list[Compared]:
    """Each checkpoint of the trial beside the replay.

    Raises: NotFound (there is no such trial, or it has no checkpoint), WrongInput (its data are not here).
    """
    from trainer.checkpoint import Checkpoint
    from trainer.data.datasets import DataError

    told, timeline = client.study(study), client.timeline(study, number)
    steps = [one.step for one in client.checkpoints(study, number).items]
    if told.task is None or not steps:
        raise NotFound(f"Trial {number} of {study} has no checkpoint to compare a replay with.")
    kept = {step: Checkpoint.from_bytes(client.checkpoint(study, number, step)) for step in steps}
    try:
        first, run = _run(client, told, timeline, kept, data_dirs)
    except DataError as error:
        raise WrongInput(f"{error} Is a --data folder missing?") from None
    found = {0: _compared(first, kept[0])} if 0 in kept else {}
    while len(found) < len(kept) and (progress := next(run, None)) is not None:
        if progress.step in kept and progress.step not in found:
            found[progress.step] = _compared(progress.checkpoint(), kept[progress.step])
    missing = [Compared(step, False, float("inf"), True) for step in steps if step not in found]
    return [*found.values(), *missing]


def _run(
    client: Client, study: Study, timeline: Timeline, kept: Mapping[int, Checkpoint], data_dirs: tuple[Path, ...]
) -> tuple[Checkpoint, Run]:
    """The model before its first step, and its training."""
    from trainer.checkpoint import Checkpoint
    from trainer.data.preparation import prepare
    from trainer.training import begin, resume
    from worker.child.protocol import Job
    from worker.child.sources import source_of
    from worker.tasks.train import config_of

    assert study.task is not None
    task = study.task.model_dump(mode="json", exclude={"fixed"}) | study.task.fixed
    changes: dict[int, Json] = {}
    for change in timeline.schedule:
        changes[change.step + 1] = changes.get(change.step + 1, {}) | change.params
    config = config_of(Job(task, timeline.start.params, timeline.start.seed))
    newest = kept[max(kept)].stream
    if newest is not None:
        return _followed(config, timeline.start.seed, newest, changes, kept, data_dirs)
    content = source_of(client, task, lambda _seconds: None)
    source = None if content is None else Checkpoint.from_bytes(content)
    data = prepare(config, data_dirs, None if source is None else source.normalization)
    first = begin(config, data, timeline.start.seed, source)
    return first, resume([first], data, changes=[changes], halt=kept.__contains__)


def _followed(
    config: TrainConfig,
    seed: int,
    newest: StreamState,
    changes: dict[int, Json],
    kept: Mapping[int, Checkpoint],
    data_dirs: tuple[Path, ...],
) -> tuple[Checkpoint, Run]:
    """Along the portions in the order in which that run took them, whatever has come since."""
    from trainer.following import begin_stream, follow
    from trainer.streams.stream import find_stream

    stream = find_stream(config.dataset, data_dirs, config.loss)
    stream.replay(newest)
    first, _ = begin_stream(config, stream, seed)
    assert first is not None
    return first, follow(first, stream, changes=changes, halt=kept.__contains__)


def _compared(again: Checkpoint, kept: Checkpoint) -> Compared:
    """All that a step changes; times aside, and the parameters, which a checkpoint has as they were before a change
    at its own step."""
    import numpy as np

    exact = again.sums.keys() == kept.sums.keys()
    pairs = [(again.theta, kept.theta), (again.mask_state, kept.mask_state)]
    pairs += [(again.sums[name], kept.sums[name]) for name in kept.sums if exact]
    exact = exact and all(np.array_equal(one, other) for one, other in pairs)
    plain = ("betas", "products", "step", "epoch", "position", "plateau_best", "plateau_epochs")
    exact = exact and all(getattr(again, name) == getattr(kept, name) for name in plain)
    alike = again.theta.shape == kept.theta.shape
    difference = float(np.max(np.abs(again.theta - kept.theta), initial=0.0)) if alike else float("inf")
    return Compared(kept.step, exact, difference, again.numerics == kept.numerics)
