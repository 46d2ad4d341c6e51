"""`sturgeon data`: what would be learnt from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sturgeon.cli.inputs import WrongInput, existing_file
from sturgeon.cli.output import print_json
from sturgeon.cli.session import Session, formatted
from sturgeon.cli.summaries import print_summary
from sturgeon.extras import require

if TYPE_CHECKING:
    from sturgeon.messages.findings import DatasetSummary
    from sturgeon.values import Json

commands = typer.Typer()

_NAMES = "a column's name, or its number in a file without a header; repeat it for more."


@commands.command()
@formatted
def data(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=existing_file, help="A csv or npz file.")],
    target: Annotated[list[str], typer.Option(help=f"What to predict (default: the last column): {_NAMES}")] = [],  # noqa: B006
    drop: Annotated[list[str], typer.Option(help=f"What is not read: {_NAMES}")] = [],  # noqa: B006
    categories: Annotated[list[str], typer.Option(help=f"Whose numbers are categories: {_NAMES}")] = [],  # noqa: B006
    delimiter: Annotated[
        Literal["auto", ",", ";", "tab", "|"], typer.Option(help="What separates the cells of a csv file.")
    ] = "auto",
    decimal: Annotated[Literal["auto", ".", ","], typer.Option(help="The sign before decimals.")] = "auto",
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="For example latin-1; auto: UTF-8, or its mark.")
    ] = "auto",
    header: Annotated[bool | None, typer.Option(help="Whether the first line has names (default: found).")] = None,
    loss: Annotated[
        Literal["auto", "softmax", "logistic", "squared"],
        typer.Option(help="softmax for classes, logistic for labels, squared for values."),
    ] = "auto",
) -> None:
    """Show what the trainer would learn from a file: its columns, inputs, classes and parts; or say what is wrong.

    The options are fields of a train task: write in a study's `fixed` what you give here.
    """
    named = {"target": target, "drop": drop, "categories": categories}
    fields: Json = {name: columns[0] if len(columns) == 1 else columns for name, columns in named.items() if columns}
    fields |= {"delimiter": delimiter, "decimal": decimal, "encoding": encoding, "loss": loss}
    found = _summary(file, fields | {"header": "auto" if header is None else header})
    return print_json(found) if session.json else print_summary(found)


def _summary(file: Path, fields: Json) -> DatasetSummary:
    """Raises: WrongInput (the file cannot be trained on)."""
    require("trainer", "`sturgeon data`")
    from sturgeon.messages.findings import DatasetSummary
    from trainer.config import ConfigError, config_from
    from trainer.data.errors import DataError
    from trainer.data.preparation import prepare

    with file.open("rb") as content:
        kind = "npz" if content.read(2) == b"PK" else "csv"
    try:
        config = config_from({"dataset": f"{kind}:{file.name}"} | fields)
        return DatasetSummary.model_validate(dict(prepare(config, [file.parent]).summary))
    except (ConfigError, DataError) as error:
        raise WrongInput(str(error)) from None
