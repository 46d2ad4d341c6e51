"""`sturgeon study best | trials`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.output import cell, metric, print_json, print_table, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.errors import NotFound
from sturgeon.states import TrialState

if TYPE_CHECKING:
    from sturgeon.messages import Best, BestTrial, Drawn, Study, Trial

commands = typer.Typer()


@commands.command()
@connected
def best(
    session: Session,
    study: StudyArgument,
    count: Annotated[int, typer.Option("--count", "-k", min=1, max=1000, help="How many, best first.")] = 1,
) -> None:
    """Show the best trials, with their metrics and parameters, and which one to take."""
    with session.client() as client:
        best = client.best(study, count)
        if session.json:
            return print_json(best)
        if not best.items:
            raise NotFound(f"No trial of {study} has a result yet.")
        print_best(client.study(study), best)
    return None


def print_best(study: Study, best: Best, also: Sequence[str] | None = None) -> None:
    """One row a trial: the study's metric, the metrics `also` (else all errors; of own code all), the parameters.

    The recommended trial is among them, and marked; below stands why it is recommended.
    """
    _print_rows(study, with_recommended(best), best.recommended, also)
    if best.verdict is not None:
        say(best.verdict)
    if best.recommended is not None:
        say(f"Recommended: trial {best.recommended.number}. {best.recommended.why}")


def with_recommended(best: Best) -> list[BestTrial]:
    """The best by their scores, and behind them the recommended trial where it is none of them."""
    own = best.recommended
    return best.items if own is None or any(item.number == own.number for item in best.items) else [*best.items, own]


def mark(item: BestTrial, recommended: BestTrial | None) -> str:
    return "recommended" if recommended is not None and item.number == recommended.number else ""


def _print_rows(
    study: Study, items: Sequence[BestTrial], recommended: BestTrial | None, also: Sequence[str] | None
) -> None:
    names = [name for name in metric_names(items) if name != study.metric]
    if study.train_task is not None:
        names = [name for name in names if name.endswith("_error")]
    metrics = names if also is None else also
    params = param_names(items)
    noise = ("±", "of") if any(item.replicates for item in items) else ()
    rows = [
        (
            str(item.number),
            metric(study, study.metric, item.value),
            *(_noise(study, item) if noise else ()),
            *(metric(study, name, item.metrics.get(name)) for name in metrics),
            *(item.params.get(name) for name in params),
            mark(item, recommended),
        )
        for item in items
    ]
    numbers = ("trial", study.metric, *noise, *metrics, *params)
    print_table((*numbers, ""), rows, right=numbers, keep=(study.metric, ""), last=metrics)


def _noise(study: Study, item: BestTrial) -> tuple[str | None, str]:
    """The standard error of a mean, and how many trials it is of."""
    if item.replicates is None:
        return None, "1"
    error = item.replicates.standard_error
    return metric(study, study.metric, error), str(len(item.replicates.numbers))


def metric_names(items: Sequence[BestTrial | Trial]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in item.metrics))


def param_names(items: Sequence[BestTrial | Trial]) -> list[str]:
    return list(dict.fromkeys(name for item in items for name in item.params))


@commands.command()
@connected
def trials(
    session: Session,
    study: StudyArgument,
    state: Annotated[TrialState | None, typer.Option(help="Only trials in this state.")] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="number, value or finished_at; with - in front the largest first, as in --sort=-value.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many; `export` gives all.")] = 100,
) -> None:
    """List trials."""
    with session.client() as client:
        trials = client.all_trials(study, state=state, sort=sort, page_size=min(limit, 1000))
        items = list(itertools.islice(trials, limit))
        if session.json:
            return print_json(items)
        shown = client.study(study)
    _print_trials(shown, items)
    of = sum(shown.counts.values()) if state is None else shown.counts.get(state, 0)
    if len(items) < of:
        say(f"These are {len(items)} of {of} trials: --limit shows more, and `sturgeon study export {study}` has all.")
    return None


def _print_trials(study: Study, items: Sequence[Trial]) -> None:
    params = param_names(items)
    rows = [(*_row(study, trial), *(trial.params.get(name) for name in params)) for trial in items]
    columns = ("trial", "state", study.metric, "took", "worker", "drawn", "note")
    print_table(
        (*columns, *params),
        rows,
        right=("trial", study.metric, "took", *params),
        prose=("note",),
        keep=("state", study.metric),
        last=("drawn", "worker", "took"),
    )


def _row(study: Study, trial: Trial) -> tuple[object, ...]:
    note = f"invalid: {trial.invalid.reason}" if trial.invalid else trial.error
    value = metric(study, study.metric, trial.value)
    return (str(trial.number), trial.state, value, _took(trial), trial.worker, _drawn(trial.drawn), first_line(note))


def _drawn(drawn: Drawn) -> str:
    """Where the parameters came from: of coarse to fine the round, and the elite and half width of its box."""
    if drawn.sampler is None:
        return "given"
    if drawn.fallback is not None:
        return f"uniform ({drawn.fallback})"
    if not drawn.round:
        return drawn.sampler if drawn.round is None else "round 0, even"
    if drawn.elite is None or drawn.level is None:
        return f"round {drawn.round}, anywhere"
    return f"round {drawn.round}, around {drawn.elite} (1/{2**drawn.level})"


def _took(trial: Trial) -> str | None:
    if trial.started_at is None or trial.finished_at is None:
        return None
    return f"{(trial.finished_at - trial.started_at).total_seconds():.1f} s"


def first_line(text: str | None) -> str | None:
    """Errors end with what happened; a traceback stands above it."""
    lines = (text or "").strip().splitlines()
    return cell(lines[-1][:200]) if lines else None
