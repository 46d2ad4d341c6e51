"""`sturgeon study watch`: a live view in a terminal, plain lines elsewhere, JSON lines for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli import tables
from sturgeon.cli.following import Follower, Snapshot
from sturgeon.cli.output import cell, console, metric, say, say_json, table
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument
from sturgeon.cli.trials import first_line, mark, param_names, with_recommended
from sturgeon.cli.versions import changes
from sturgeon.cli.workers import why_unable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sturgeon.messages import Best, BestTrial, Study, Trial

commands = typer.Typer()

PATIENCE_S = 120.0
"""Long enough for a restart of the server."""

BAR = 60
"""Characters of the progress bar, in a window that has them."""

SHOWN = 12
"""How many running trials the live view shows."""


@commands.command()
@connected
def watch(
    session: Session,
    study: StudyArgument,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How often to ask the server.")] = 1.0,
) -> None:
    """Watch a study until it ends."""
    with session.client(patience_s=0.0) as client:
        client.study(study)  # a wrong name or address fails at once, without the patience
    with session.client(patience_s=PATIENCE_S) as client:
        snapshots = Follower(client, study, every_s=every, detailed=SHOWN if sys.stdout.isatty() else 0)
        if session.json:
            _print_json_lines(snapshots)
        else:
            show_progress(snapshots)


def show_progress(snapshots: Iterable[Snapshot]) -> Snapshot | None:
    """Show each snapshot as it comes, in place if standard output is a terminal. Returns the last one."""
    return _show_live(snapshots) if sys.stdout.isatty() else _print_lines(snapshots)


def _print_json_lines(snapshots: Iterable[Snapshot]) -> None:
    for snapshot in snapshots:
        for trial in snapshot.finished:
            say_json(trial.model_dump_json())


def _print_lines(snapshots: Iterable[Snapshot]) -> Snapshot | None:
    last, first = None, ""
    told: list[str] = []
    for snapshot in snapshots:
        if last is None:
            say(first := headline(snapshot))
        for trial in snapshot.finished:
            say(f"trial {trial.number}: {_ended_with(snapshot.study, trial)}")
        for sentence in notices(snapshot.study):
            if sentence not in told:
                say(sentence)
        told = notices(snapshot.study)
        if last is not None and snapshot.finished and not snapshot.ended:
            say(_so_far(snapshot))
        last = snapshot
    if last is not None and headline(last) != first:
        say(headline(last))
    return last


def notices(study: Study) -> list[str]:
    """What people should know of a study besides its numbers: who cannot run it, why nobody does, what has changed."""
    waits = [] if study.waits_for is None else [cell(study.waits_for)]
    return [*map(why_unable, study.unable[:SHOWN]), *waits, *changes(study)]


def _ended_with(study: Study, trial: Trial) -> str:
    if trial.value is None:
        reason = first_line(trial.error)
        return trial.state if reason is None else f"{trial.state}: {reason}"
    return f"{trial.state}, {study.metric} {metric(study, study.metric, trial.value)}"


def headline(snapshot: Snapshot) -> str:
    return f"{snapshot.study.name} is {snapshot.study.state}: {_so_far(snapshot)}"


def _so_far(snapshot: Snapshot) -> str:
    study = snapshot.study
    counts = [
        f"{study.counts[state]} {state}"
        for state in ("running", "queued", "pruned", "failed", "diverged")
        if study.counts.get(state)
    ]
    parts = [f"{snapshot.done} of {study.budget.max_trials} trials done", *counts]
    for name, trial in {"best": snapshot.best.items[:1], "recommended": _other_winner(snapshot.best)}.items():
        parts += [
            f"{name} {study.metric} {metric(study, study.metric, one.value)} (trial {one.number})" for one in trial
        ]
    return ", ".join(parts)


def _other_winner(best: Best) -> list[BestTrial]:
    """The recommended trial, unless it is the one with the best score."""
    own = best.recommended
    return [own] if own is not None and own.number != best.items[0].number else []


def _show_live(snapshots: Iterable[Snapshot]) -> Snapshot | None:
    from rich.live import Live

    last = None
    with Live(console=console(), refresh_per_second=4) as live:
        for snapshot in snapshots:
            live.update(picture(snapshot))
            last = snapshot
    return last


def picture(snapshot: Snapshot) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar

    study = snapshot.study
    bar = ProgressBar(total=study.budget.max_trials, completed=snapshot.done, width=min(BAR, tables.window()))
    parts: list[RenderableType] = [headline(snapshot), bar, *notices(study)]
    if snapshot.running:
        parts.append(
            table(
                ("running", "worker", "epoch", study.metric),
                _running(snapshot),
                right=("running", "epoch", study.metric),
                keep=(study.metric,),
                last=("worker",),
            )[0]
        )
    if snapshot.best.items:
        parts.append(_best(study, snapshot.best))
    if snapshot.failures:
        rows = [(str(trial.number), first_line(trial.error)) for trial in snapshot.failures]
        parts.append(table(("failed", "why"), rows, right=("failed",), prose=("why",))[0])
    return Group(*parts)


def _best(study: Study, best: Best) -> RenderableType:
    items = with_recommended(best)
    params = param_names(items)
    rows = [
        (
            str(item.number),
            metric(study, study.metric, item.value),
            *(item.params.get(name) for name in params),
            mark(item, best.recommended),
        )
        for item in items
    ]
    numbers = ("best", study.metric, *params)
    return table((*numbers, ""), rows, right=numbers, keep=(study.metric, ""))[0]


def _running(snapshot: Snapshot) -> Iterator[tuple[object, ...]]:
    """Rows for as many running trials as fit into a window above the best ones."""
    study = snapshot.study
    of = f"/{study.task.epochs}" if study.task and study.task.epochs else ""
    for trial in snapshot.running[:SHOWN]:
        last = snapshot.latest.get(trial.number)
        epoch = f"{last.epoch:g}{of}" if last and last.epoch is not None else None
        value = last.metrics.get(study.metric) if last else None
        yield str(trial.number), trial.worker, epoch, metric(study, study.metric, value)
    if len(snapshot.running) > SHOWN:
        yield "..", f"and {len(snapshot.running) - SHOWN} more", "", ""
