"""`sturgeon predict`: apply a stored model to new data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.inputs import WrongInput, existing_file, file_or_dash
from sturgeon.cli.output import cell, print_json, say
from sturgeon.cli.session import Session, formatted
from sturgeon.extras import require

if TYPE_CHECKING:
    from sturgeon.cli.examples import Examples
    from sturgeon.values import Json
    from trainer.checkpoint import Checkpoint
    from trainer.layers.parameters import Array

commands = typer.Typer()


@commands.command()
@formatted
def predict(
    session: Session,
    model: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=existing_file, help="A model, from `study export --model`."),
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            parser=file_or_dash,
            help="An npz file with X (and y, for the error), or rows as CSV (- for standard input).",
        ),
    ],
) -> None:
    """Predict the label or the values of each row with a stored model. JSON has the probabilities, too.

    A model that learnt from a csv file reads CSV as that file was read, and finds its columns by their names.
    """
    require("trainer", "`sturgeon predict`")
    from sturgeon.cli.examples import read_examples

    checkpoint = _load(model)
    examples = read_examples(data, checkpoint.encoding)
    labels, outputs = _predict(checkpoint, examples)
    error = None if examples.y is None else examples.error(checkpoint.kind, checkpoint.class_names, outputs)
    if session.json:
        return print_json(_answer(checkpoint, labels, outputs, error) | {"unseen": examples.unseen})
    say("\n".join(labels))
    for column, count in examples.unseen.items():
        say(f"{cell(column)}: {count} of {len(labels)} rows hold a category that the model has not learnt.", sys.stderr)
    if error is not None:
        say(f"error: {100 * error:.2f} % of {len(labels)} examples", sys.stderr)
    return None


def _load(model: Path) -> Checkpoint:
    from trainer.checkpoint import CheckpointError, load_checkpoint

    try:
        return load_checkpoint(model)
    except CheckpointError:
        raise WrongInput(f"{model} is no model that `sturgeon study export --model` wrote.") from None


def _predict(model: Checkpoint, examples: Examples) -> tuple[list[str], Array]:
    from trainer.layers.network import ShapeError
    from trainer.predict import predict as labels_and_outputs

    try:
        return labels_and_outputs(model, examples.X)
    except ShapeError as error:
        raise WrongInput(f"{examples.source} does not fit the model: {error}") from None


def _answer(model: Checkpoint, labels: list[str], outputs: Array, error: float | None) -> Json:
    detail = "values" if model.kind == "values" else "probabilities"
    rows = [
        {"label": label, detail: dict(zip(model.class_names, map(float, row), strict=True))}
        for label, row in zip(labels, outputs, strict=True)
    ]
    return {"predictions": rows, "error": error}
