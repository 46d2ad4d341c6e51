"""`sturgeon study export`: all trials as text, or a trial's model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from sturgeon.cli.export_tables import as_csv, as_json_lines, write_parquet
from sturgeon.cli.inputs import WrongInput, output_file
from sturgeon.cli.output import print_json, say, say_json
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.direction import sign_of
from sturgeon.errors import NotFound
from sturgeon.temporary import written_beside

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Best, BestTrial, Checkpoint, Study, Trial
    from sturgeon.values import Json

commands = typer.Typer()


@commands.command()
@connected
def export(
    session: Session,
    study: StudyArgument,
    format_: Annotated[
        Literal["csv", "jsonl", "ndjson", "json", "parquet"] | None,
        typer.Option("--format", "-f", help="The format (default: csv, or json with -o json); ndjson is jsonl."),
    ] = None,
    curves: Annotated[
        bool, typer.Option("--curves", help="Write all reports, a row each with all its metrics, not the trials.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-O", metavar="FILE", parser=output_file, help="Write to this file, not to standard output."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=output_file,
            help="Write the recommended trial's model here, for `sturgeon predict`.",
        ),
    ] = None,
    trial: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="With --model: the model of this trial instead.")
    ] = None,
) -> None:
    """Write all trials or all curves as a table, or the recommended model to a file."""
    if model is not None and (format_ or out or curves):
        raise WrongInput("--model writes only a model: leave out --format, --curves and --out.")
    if format_ == "parquet" and out is None:
        raise WrongInput("Parquet is no text: name a file with --out.")
    if model is None and trial is not None:
        raise WrongInput("--trial says whose model --model writes: write --model FILE, too.")
    with session.client() as client:
        if model is not None:
            return _export_model(session, client, study, model, trial)
        chosen = format_ or ("json" if session.json else "csv")
        if chosen == "parquet" and out is not None:
            write_parquet(_rows(client, study, curves=curves), out)
            return _say_written(session, study, out, chosen)
        lines = _curves(client, study, chosen) if curves else _lines(client, study, chosen)
        first = next(lines, "")  # a refusal of the server comes before the file is opened
        _write_lines(itertools.chain([first], lines), out, say if chosen == "csv" else say_json)
    return _say_written(session, study, out, chosen)


def _say_written(session: Session, study: str, out: Path | None, format_: str) -> None:
    if session.json and out is not None:
        print_json({"study": study, "file": str(out), "format": format_, "size": out.stat().st_size})


def _lines(client: Client, study: str, format_: str) -> Iterator[str]:
    if format_ == "json":
        return _as_array(client.export(study, "ndjson"))
    return client.export(study, "csv" if format_ == "csv" else "ndjson")


def _curves(client: Client, study: str, format_: str) -> Iterator[str]:
    rows = _rows(client, study, curves=True)
    if format_ == "csv":
        return as_csv(rows)
    return _as_array(as_json_lines(rows)) if format_ == "json" else as_json_lines(rows)


def _rows(client: Client, study: str, *, curves: bool) -> list[Json]:
    from sturgeon.tuning.tables import curve_rows, trial_row

    client.study(study)  # says that there is none
    return list(curve_rows(client, study)) if curves else list(map(trial_row, client.all_trials(study, sort="number")))


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


def _export_model(session: Session, client: Client, study: str, file: Path, number: int | None) -> None:
    best = client.best(study, 1)
    trial = client.trial(study, _winning_number(client.study(study), best) if number is None else number)
    checkpoint = told_checkpoint(client, trial)
    _write_whole(file, partial(client.download_checkpoint, study, trial.number, checkpoint.step))
    if session.json:
        facts = {"study": study, "number": trial.number, "value": trial.value, "step": checkpoint.step}
        facts |= {"file": str(file), "size": checkpoint.size, "sha256": checkpoint.sha256}
        return print_json({**facts, **{name: _number(one) for name, one in _winners(best).items()}})
    say(f"{file}: trial {trial.number} of {study} at step {checkpoint.step}, {checkpoint.size / 1000:.0f} kB.")
    if best.recommended is not None and number is None:
        say(best.recommended.why)
    return None


def _winners(best: Best) -> dict[str, BestTrial | None]:
    return {"recommended": best.recommended, "best": next(iter(best.items), None)}


def _number(trial: BestTrial | None) -> int | None:
    return None if trial is None else trial.number


def _winning_number(study: Study, best: Best) -> int:
    """The recommended trial; of a group of replicates the best single one of it, for they differ by luck alone.

    Raises: NotFound (no trial has a result).
    """
    winner = best.winner
    if winner is None:
        raise NotFound(f"No trial of {study.name} has a result yet.")
    if winner.replicates is None:
        return winner.number
    sign = sign_of(study.direction)
    pairs = zip(winner.replicates.values, winner.replicates.numbers, strict=True)
    return min((sign * value, number) for value, number in pairs)[1]


def told_checkpoint(client: Client, trial: Trial) -> Checkpoint:
    """The checkpoint of which the trial told its result; else the best by the study's metric, or the last.

    Raises: NotFound (the trial has no checkpoint).
    """
    checkpoints = client.checkpoints(trial.study, trial.number).items
    if not checkpoints:
        raise NotFound(f"Trial {trial.number} of {trial.study} has no checkpoint; --trial takes that of another trial.")
    sign = sign_of(client.study(trial.study).direction)

    def badness(checkpoint: Checkpoint) -> tuple[bool, bool, float, int]:
        score = math.inf if checkpoint.value is None else sign * checkpoint.value
        return checkpoint.step != trial.step, checkpoint.value is None, score, -checkpoint.step

    return min(checkpoints, key=badness)


def _write_whole(file: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write through a temporary file, so that a full disk leaves no partial model."""
    with written_beside(file) as part, part.open("wb") as opened:
        write(opened)
