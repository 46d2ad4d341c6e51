"""`sturgeon study best | trials`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.output import cell, metric, print_json, print_table, say_prose
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.direction import sign_of
from sturgeon.errors import NotFound
from sturgeon.states import TrialState

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Best, BestTrial, Drawn, Replicates, Study, Trial

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
        shown = client.study(study)
        print_best(shown, best, count, stopped_early(client, shown, count))
    return None


def stopped_early(client: Client, study: Study, most: int) -> list[Trial]:
    """The pruned trials with the best scores, which they had when they were stopped; at most so many. None of a study
    with replicates, where means of whole runs are compared."""
    if not study.counts.get("pruned") or study.search.replicates > 1:
        return []
    sort = "value" if study.direction == "minimize" else "-value"
    pruned = client.all_trials(study.name, state="pruned", invalid=False, sort=sort, page_size=min(most, 1000))
    return list(itertools.islice((trial for trial in pruned if trial.value is not None), most))


def print_best(study: Study, best: Best, most: int, pruned: Sequence[Trial], also: Sequence[str] | None = None) -> None:
    """One row a trial: the study's metric, the metrics `also` (else all errors; of own code all), the parameters.

    `most` rows: `pruned` trials are ranked with the others by the scores that they had, and marked. The recommended
    trial is among the rows, and marked; below stands why it is recommended.
    """
    rows = _ranked(study, best, most, pruned)
    _print_rows(study, rows, best.recommended, also)
    if any(is_pruned(row) for row in rows):
        say_prose(_what_pruning_saved(study))
    if best.verdict is not None:
        say_prose(best.verdict)
    if best.recommended is not None:
        say_prose(f"Recommended: trial {best.recommended.number}. {best.recommended.why}")


def _ranked(study: Study, best: Best, most: int, pruned: Sequence[Trial]) -> list[BestTrial | Trial]:
    sign = sign_of(study.direction)
    ranked: list[BestTrial | Trial] = [*best.items, *pruned]
    ranked.sort(key=lambda one: math.inf if one.value is None else sign * one.value)
    del ranked[most:]
    if (own := best.recommended) is not None and all(one.number != own.number for one in ranked):
        ranked.append(own)
    return ranked


def is_pruned(one: BestTrial | Trial) -> bool:
    """Whether it was stopped early; the server names only complete trials as its best."""
    return getattr(one, "state", "complete") == "pruned"


def _what_pruning_saved(study: Study) -> str:
    """How many trials were stopped early, and of a task whose epochs are known how many epochs were trained."""
    trials, task = sum(study.counts.values()), study.task
    said = f"Pruned: {study.counts['pruned']} of {trials} trials were stopped early, as unlikely to win"
    if task is not None and task.epochs is not None and "epochs" not in study.space:
        said += f"; {study.spent.epochs:g} of {trials * task.epochs:,} epochs were trained"
    return f"{said}. Their {study.metric} is what they had by then."


def with_recommended(best: Best) -> list[BestTrial]:
    """The best by their scores, and behind them the recommended trial where it is none of them."""
    own = best.recommended
    return best.items if own is None or any(item.number == own.number for item in best.items) else [*best.items, own]


def mark(item: BestTrial | Trial, recommended: BestTrial | None) -> str:
    if is_pruned(item):
        return "pruned"
    return "recommended" if recommended is not None and item.number == recommended.number else ""


def _print_rows(
    study: Study, items: Sequence[BestTrial | Trial], recommended: BestTrial | None, also: Sequence[str] | None
) -> None:
    names = [name for name in metric_names(items) if name != study.metric]
    if study.train_task is not None:
        names = [name for name in names if name.endswith("_error")]
    metrics = names if also is None else also
    params = param_names(items)
    noise = ("±", "of") if any(_replicates(item) for item in items) else ()
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
    keep = (study.metric, "", *(also or ()))
    print_table((*numbers, ""), rows, right=numbers, keep=keep, last=[name for name in metrics if name not in keep])


def _replicates(item: BestTrial | Trial) -> Replicates | None:
    return getattr(item, "replicates", None)


def _noise(study: Study, item: BestTrial | Trial) -> tuple[str | None, str]:
    """The standard error of a mean, and how many trials it is of."""
    if (replicates := _replicates(item)) is None:
        return None, "1"
    return metric(study, study.metric, replicates.standard_error), str(len(replicates.numbers))


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
        more = f"--limit shows more, and `sturgeon study export {study}` has all."
        say_prose(f"These are {len(items)} of {of} trials: {more}")
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
