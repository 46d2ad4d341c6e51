"""`sturgeon study overview | rows | curves` and `sturgeon trial curves`: many trials at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.output import print_json, print_table, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.cli.trials import first_line
from sturgeon.states import TERMINAL, TrialState

if TYPE_CHECKING:
    from sturgeon.messages import Curve, Table
    from sturgeon.values import Json

of_study = typer.Typer()
of_trial = typer.Typer()

BARS: Final = "▁▂▃▄▅▆▇█"
WIDTH: Final = 30

PointsOption = Annotated[
    int | None, typer.Option("--points", metavar="N", min=4, max=5000, help="So many points of a curve at most.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="CURSOR", help="Only what has changed since an answer's cursor.")
]


@of_study.command()
@connected
def overview(session: Session) -> None:
    """Show all studies at a glance: how far each is, its best, and how it came to be."""
    with session.client() as client:
        answer = client.overview()
    if session.json:
        return print_json(answer)
    rows = [
        (one.name, one.state, f"{_ended(one.counts)}/{one.max_trials}", one.best, sparkline(one.sparkline), one.workers)
        for one in answer.studies
    ]
    columns = ("study", "state", "done", "best", "how", "workers")
    print_table(columns, rows, right=("done", "best", "workers"), keep=("best",), last=("how", "workers"))
    return None


def _ended(counts: Mapping[TrialState, int]) -> int:
    return sum(counts.get(state, 0) for state in TERMINAL)


@of_study.command("rows")
@connected
def rows_(session: Session, study: StudyArgument, since: SinceOption = None) -> None:
    """Show all trials with their parameters, a row each; or those that have changed since a cursor."""
    with session.client() as client:
        answer = client.rows(study, since)
        if session.json:
            return print_json(answer)
        _print_rows(answer)
        while answer.more:
            answer = client.rows(study, answer.cursor)
            _print_rows(answer)
    return None


def _print_rows(answer: Table) -> None:
    fields = {one.name: one.field for one in answer.parameters if one.kind != "fixed"}
    numbers = ("trial", answer.objective, "epochs", *fields)
    rows = [
        (str(row["number"]), row["state"], row["score"], row["epochs"], *map(row.get, fields.values()), _error(row))
        for row in answer.rows
    ]
    columns = ("trial", "state", answer.objective, "epochs", *fields, "error")
    print_table(columns, rows, right=numbers, keep=("state", answer.objective), prose=("error",), last=("epochs",))
    if answer.left_out:
        say(f"{answer.left_out} older trials are not shown; `sturgeon study export` writes all.")


def _error(row: Json) -> str | None:
    return first_line(row["error"])


@of_study.command("curves")
@connected
def curves(
    session: Session,
    study: StudyArgument,
    points: PointsOption = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="A metric other than that of the study.")] = None,
    trials: Annotated[
        list[int] | None, typer.Option("--trial", metavar="N", min=0, help="Only this trial; may be given again.")
    ] = None,
    since: SinceOption = None,
) -> None:
    """Show the learning curves of many trials, one line each."""
    with session.client() as client:
        answer = client.curves(study, points, metric, trials, since)
    if session.json:
        return print_json(answer)
    rows = [
        (str(one.number), one.state, *_ends(one), min(one.values, default=None), max(one.values, default=None),
         sparkline(one.values))
        for one in answer.curves
    ]  # fmt: skip
    columns = ("trial", "state", answer.axis, f"last {answer.metric}", "lowest", "highest", "curve")
    print_table(columns, rows, right=(columns[0], *columns[2:6]), keep=("curve",), last=("lowest", "highest"))
    return None


def _ends(curve: Curve) -> tuple[float | None, float | None]:
    """Where a curve ends, and its value there; one that has lost its points has neither."""
    return (curve.epochs[-1], curve.values[-1]) if curve.values else (None, None)


@of_trial.command("curves")
@connected
def trial_curves(session: Session, study: StudyArgument, number: NumberArgument, points: PointsOption = None) -> None:
    """Show the curve of each metric of a trial, and what was changed while it ran."""
    with session.client() as client:
        answer = client.trial_curves(study, number, points)
    if session.json:
        return print_json(answer)
    rows = [
        (name, one.values[-1], min(one.values), max(one.values), sparkline(one.values))
        for name, one in answer.metrics.items()
        if one.values
    ]
    print_table(("metric", "last", "lowest", "highest", "curve"), rows, right=("last", "lowest", "highest"))
    if answer.interventions:
        say("")
        changes = [(one.epoch, one.kind, one.change, one.by, one.state, one.reason) for one in answer.interventions]
        columns = (answer.axis, "what", "change", "by", "state", "reason")
        print_table(columns, changes, right=(answer.axis,), prose=("reason",))
    return None


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """A curve in one line of text, of at most `width` signs."""
    if not values:
        return ""
    count = min(width, len(values))
    shown = [values[round(place * (len(values) - 1) / max(1, count - 1))] for place in range(count)]
    low, high = min(shown), max(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)
