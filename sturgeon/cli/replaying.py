"""`sturgeon panda replay`: train a trial again from the very start, with all its changes, and compare the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from sturgeon.cli.inputs import WrongInput, data_folders, existing_folder
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.errors import NotFound, SturgeonError
from sturgeon.extras import require

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
    """A checkpoint of the trial beside the replay's state at its step: the largest difference of a weight; None for a
    checkpoint that is lost, which nothing can be compared with."""

    step: int
    exact: bool
    difference: float | None
    same_numerics: bool


@commands.command()
@connected
def replay(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", parser=existing_folder, help="A folder of npz:, csv: and stream: data."),
    ] = None,
) -> None:
    """Train a trial again from the very start, with its whole schedule, and compare all its checkpoints bit for bit."""
    with session.client() as client:
        compared = replayed(client, study, number, data_folders(data))
    exact = all(checkpoint.exact for checkpoint in compared)
    if session.json:
        print_json({"exact": exact, "checkpoints": [checkpoint._asdict() for checkpoint in compared]})
    else:
        steps = ", ".join(str(checkpoint.step) for checkpoint in compared)
        if exact:
            say(f"exact: the weights at steps {steps} are the same, bit for bit.")
    if not exact:
        raise SturgeonError(_difference(compared))


def _difference(compared: list[Compared]) -> str:
    present = [checkpoint for checkpoint in compared if checkpoint.difference is not None]
    if all(checkpoint.exact for checkpoint in present):
        steps = ", ".join(str(checkpoint.step) for checkpoint in compared if checkpoint.difference is None)
        same = ", ".join(str(checkpoint.step) for checkpoint in present) or "none"
        return (
            f"Not compared, since their files are gone or damaged: steps {steps}. The same, bit for bit: steps {same}."
        )
    compared = present
    worst = max(compared, key=lambda checkpoint: checkpoint.difference or 0.0)
    why = "" if worst.same_numerics else " (numpy, BLAS or the processor differ from those that trained it)"
    first = next(checkpoint.step for checkpoint in compared if not checkpoint.exact)
    return f"The replay differs from step {first} on, by up to {worst.difference:g} in a weight{why}."


def replayed(client: Client, study: str, number: int, data_dirs: tuple[Path, ...] = ()) -> list[Compared]:
    """Each checkpoint of the trial beside the replay.

    Raises: NotFound (there is no such trial, or it has no checkpoint), WrongInput (its data are not here).
    """
    require("trainer", "`sturgeon panda replay`")
    from trainer.checkpoint import Checkpoint
    from trainer.data.errors import DataError

    record, timeline = client.study(study), client.timeline(study, number)
    contents = {one.step: _content(client, study, number, one.step) for one in client.checkpoints(study, number).items}
    stored = {step: Checkpoint.from_bytes(content) for step, content in contents.items() if content is not None}
    if record.train_task is None or not stored:
        raise NotFound(f"Trial {number} of {study} has no checkpoint to compare a replay with.")
    try:
        first, run = _run(client, record, timeline, stored, data_dirs)
    except DataError as error:
        raise WrongInput(f"{error} Is a --data folder missing?") from None
    compared = {0: _compared(first, stored[0])} if 0 in stored else {}
    while len(compared) < len(stored) and (progress := next(run, None)) is not None:
        if progress.step in stored and progress.step not in compared:
            compared[progress.step] = _compared(progress.checkpoint(), stored[progress.step])
    missing = {step: Compared(step, False, float("inf"), True) for step in stored if step not in compared}
    lost = {step: Compared(step, False, None, True) for step in contents if step not in stored}
    return [one for _, one in sorted((compared | missing | lost).items())]


def _content(client: Client, study: str, number: int, step: int) -> bytes | None:
    """None where the checkpoint is lost."""
    try:
        return client.checkpoint(study, number, step)
    except NotFound:
        return None


def _run(
    client: Client, study: Study, timeline: Timeline, stored: Mapping[int, Checkpoint], data_dirs: tuple[Path, ...]
) -> tuple[Checkpoint, Run]:
    """The model before its first step, and its training."""
    from trainer.checkpoint import Checkpoint
    from trainer.data.preparation import prepare
    from trainer.training import begin, resume
    from worker.child.protocol import Job
    from worker.child.sources import source_of
    from worker.tasks.train import config_of

    assert study.train_task is not None
    task = study.train_task.model_dump(mode="json", exclude={"fixed"}) | study.train_task.fixed
    changes: dict[int, Json] = {}
    for change in timeline.schedule:
        changes[change.step + 1] = changes.get(change.step + 1, {}) | change.params
    config = config_of(Job(task, timeline.start.params, timeline.start.seed))
    newest = stored[max(stored)].stream
    if newest is not None:
        return _followed(config, timeline.start.seed, newest, changes, stored, data_dirs)
    content = source_of(client, task, lambda _seconds: None)
    source = None if content is None else Checkpoint.from_bytes(content)
    data = (
        prepare(config, data_dirs)
        if source is None
        else prepare(config, data_dirs, source.normalization, source.encoding)
    )
    first = begin(config, data, timeline.start.seed, source)
    return first, resume([first], data, changes=[changes], halt=stored.__contains__)


def _followed(
    config: TrainConfig,
    seed: int,
    newest: StreamState,
    changes: dict[int, Json],
    stored: Mapping[int, Checkpoint],
    data_dirs: tuple[Path, ...],
) -> tuple[Checkpoint, Run]:
    """Follow the portions in the order in which the trial took them, whatever has been added since."""
    from trainer.following import begin_stream, follow
    from trainer.streams.stream import find_stream

    stream = find_stream(config.dataset, data_dirs, config.loss)
    stream.replay(newest)
    first, _ = begin_stream(config, stream, seed)
    assert first is not None
    return first, follow(first, stream, changes=changes, halt=stored.__contains__)


def _compared(again: Checkpoint, stored: Checkpoint) -> Compared:
    """Compare all that a step changes. Times are left out, and so are the parameters: a checkpoint stores them as they
    were before a change at its own step."""
    import numpy as np

    exact = again.sums.keys() == stored.sums.keys()
    pairs = [(again.theta, stored.theta), (again.mask_state, stored.mask_state)]
    pairs += [(again.sums[name], stored.sums[name]) for name in stored.sums if exact]
    exact = exact and all(np.array_equal(left, right) for left, right in pairs)
    plain = ("betas", "products", "step", "epoch", "position", "plateau_best", "plateau_epochs")
    exact = exact and all(getattr(again, name) == getattr(stored, name) for name in plain)
    alike = again.theta.shape == stored.theta.shape
    difference = float(np.max(np.abs(again.theta - stored.theta), initial=0.0)) if alike else float("inf")
    return Compared(stored.step, exact, difference, again.numerics == stored.numerics)
