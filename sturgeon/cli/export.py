"""`sturgeon study export`: all trials as text, or the best trial's model."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import print_json, say, say_json
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.direction import sign_of
from sturgeon.errors import NotFound

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import BestTrial, Checkpoint

commands = typer.Typer()


@commands.command()
@connected
def export(
    session: Session,
    study: StudyArgument,
    format_: Annotated[
        Literal["csv", "ndjson", "json"] | None,
        typer.Option("--format", "-f", help="The format of the trials (default: csv, or json with -o json)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-O", metavar="FILE", dir_okay=False, help="Write to this file, not to standard output."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Write the best trial's best checkpoint here, for `sturgeon predict`.",
        ),
    ] = None,
) -> None:
    """Write all trials as text, or the best model to a file."""
    if model is not None and (format_ or out):
        raise WrongInput("--model writes only a model: leave out --format and --out.")
    with session.client() as client:
        if model is not None:
            return _export_model(session, client, study, model)
        chosen = format_ or ("json" if session.json else "csv")
        lines = _lines(client, study, chosen)
        first = next(lines, "")  # a refusal of the server comes before the file is opened
        _write_lines(itertools.chain([first], lines), out, say if chosen == "csv" else say_json)
    return None


def _lines(client: Client, study: str, format_: Literal["csv", "ndjson", "json"]) -> Iterator[str]:
    if format_ != "json":
        return client.export(study, format_)
    return _as_array(client.export(study, "ndjson"))


def _as_array(lines: Iterable[str]) -> Iterator[str]:
    opening = "["
    for line in lines:
        yield opening + line
        opening = ","
    yield "]" if opening == "," else "[]"


def _write_lines(lines: Iterable[str], out: Path | None, print_line: Callable[[str], None]) -> None:
    if out is None:
        for line in lines:
            print_line(line)
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        file.writelines(line + "\n" for line in lines)


def _export_model(session: Session, client: Client, study: str, file: Path) -> None:
    trial, checkpoint = best_checkpoint(client, study)
    _write_whole(file, client.checkpoint(study, trial.number, checkpoint.step))
    if session.json:
        facts = {"study": study, "number": trial.number, "value": trial.value, "step": checkpoint.step}
        return print_json({**facts, "file": str(file), "size": checkpoint.size, "sha256": checkpoint.sha256})
    say(f"{file}: trial {trial.number} of {study} at step {checkpoint.step}, {checkpoint.size / 1000:.0f} kB.")
    return None


def best_checkpoint(client: Client, study: str) -> tuple[BestTrial, Checkpoint]:
    """The best trial and its best checkpoint by the study's metric, or its last one if none has a value.

    Of a point with replicates, it is the best single trial.

    Raises: NotFound (no trial has a result, or the best one has no checkpoint).
    """
    best = client.best(study, 1).items
    if not best:
        raise NotFound(f"No trial of {study} has a result yet.")
    trial, sign = best[0], sign_of(client.study(study).direction)
    if (replicates := trial.replicates) is not None:
        pairs = zip(replicates.values, replicates.numbers, strict=True)
        _, number = min((sign * value, number) for value, number in pairs)
        trial = trial.model_copy(update={"number": number})
    checkpoints = client.checkpoints(study, trial.number).items
    if not checkpoints:
        raise NotFound(f"Trial {trial.number}, the best of {study}, has no checkpoint.")
    scored = [(sign * checkpoint.value, -checkpoint.step) for checkpoint in checkpoints if checkpoint.value is not None]
    step = -min(scored)[1] if scored else max(checkpoint.step for checkpoint in checkpoints)
    return trial, next(checkpoint for checkpoint in checkpoints if checkpoint.step == step)


def _write_whole(file: Path, data: bytes) -> None:
    """Write through a temporary file, so that a full disk leaves no partial model."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
