"""`sturgeon predict`: a stored model, new data, labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sturgeon.cli.inputs import WrongInput, existing_file, file_or_dash
from sturgeon.cli.output import print_json
from sturgeon.cli.session import Session, formatted

if TYPE_CHECKING:
    from trainer.checkpoint import Checkpoint
    from trainer.parameters import Array

commands = typer.Typer()


@commands.command()
@formatted
def predict(
    session: Session,
    model: Annotated[
        Path,
        typer.Argument(metavar="FILE", callback=existing_file, help="A model, from `study export --model`."),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            callback=file_or_dash,
            help="An npz file with X (and y, to learn the error), or rows of numbers as CSV; - reads CSV.",
        ),
    ],
) -> None:
    """Predict the label of each row with a stored model. JSON has the probabilities as well."""
    from sturgeon.cli.examples import read_examples

    checkpoint = _load(model)
    examples = read_examples(data)
    names = checkpoint.class_names
    labels, probabilities = _predict(checkpoint, examples.X, examples.source)
    wrong = None if examples.y is None else _count_wrong(labels, examples.true_labels(names))
    if session.json:
        return print_json(_answer(names, labels, probabilities, wrong))
    typer.echo("\n".join(labels))
    if wrong is not None:
        typer.echo(f"error: {100 * wrong / len(labels):.2f} % ({wrong} of {len(labels)} are wrong)", err=True)
    return None


def _load(model: Path) -> Checkpoint:
    from trainer.checkpoint import CheckpointError, load_checkpoint

    try:
        return load_checkpoint(model)
    except CheckpointError:
        raise WrongInput(f"{model} is no model that `sturgeon study export --model` wrote.") from None


def _predict(model: Checkpoint, X: Array, source: str) -> tuple[list[str], Array]:
    from trainer.network import ShapeError
    from trainer.predict import predict as labels_and_probabilities

    try:
        return labels_and_probabilities(model, X)
    except ShapeError as error:
        raise WrongInput(f"{source} does not fit the model: {error}") from None


def _count_wrong(labels: list[str], truth: list[str]) -> int:
    return sum(label != true for label, true in zip(labels, truth, strict=True))


def _answer(
    names: tuple[str, ...], labels: list[str], probabilities: Array, wrong: int | None
) -> dict[str, Any]:
    rows = [
        {"label": label, "probabilities": dict(zip(names, map(float, row), strict=True))}
        for label, row in zip(labels, probabilities, strict=True)
    ]
    answer: dict[str, Any] = {"predictions": rows}
    return answer if wrong is None else answer | {"wrong": wrong, "error": wrong / len(labels)}
