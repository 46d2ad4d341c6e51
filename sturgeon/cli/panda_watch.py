"""`sturgeon panda watch`: the curve, the timeline and the proposals of one trial, as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.output import cell, console, metric, table
from sturgeon.cli.paging import every_item
from sturgeon.cli.panda import what
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.cli.watch import PATIENCE_S
from sturgeon.states import TERMINAL

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sturgeon.client import Client
    from sturgeon.messages import Proposal, ReportedMetrics, Study, TimelineEntry, Trial

commands = typer.Typer()
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 60
SHOWN = 12


@dataclass(frozen=True)
class Sight:
    """A trial at one moment."""

    study: Study
    trial: Trial
    curve: list[ReportedMetrics]
    entries: list[TimelineEntry]
    proposals: list[Proposal]


@commands.command()
@connected
def watch(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How often to ask the server.")] = 1.0,
) -> None:
    """Watch one model train: its curve, its timeline, and what policies propose; until it ends."""
    with session.client(patience_s=0.0) as client:
        client.trial(study, number)  # a wrong name or address is told at once; the patience is for later
    with session.client(patience_s=PATIENCE_S) as client:
        sights = look(client, study, number, every)
        if session.json:
            _print_json_lines(sights)
        elif sys.stdout.isatty():
            _show_live(sights)
        else:
            _print_lines(sights)


def look(client: Client, study: str, number: int, every_s: float) -> Iterator[Sight]:
    """The trial again and again, at last when it has ended."""
    while True:
        trial = client.trial(study, number)
        curve = list(every_item(partial(client.trial_metrics, study, number)))
        entries = client.timeline(study, number).items
        yield Sight(client.study(study), trial, curve, entries, client.proposals(study, number))
        if trial.state in TERMINAL:
            return
        time.sleep(every_s)


def _print_json_lines(sights: Iterator[Sight]) -> None:
    told: set[str] = set()
    for sight in sights:
        for one in (*sight.curve, *sight.entries, *sight.proposals):
            line = one.model_dump_json()
            if line not in told:
                told.add(line)
                typer.echo(line)


def _print_lines(sights: Iterator[Sight]) -> None:
    told: set[str] = set()
    for sight in sights:
        for line in lines(sight):
            if line not in told:
                told.add(line)
                typer.echo(line)


def lines(sight: Sight) -> Iterator[str]:
    """What there is to tell of a trial, a line each; those that were told before are the same again."""
    name = sight.study.metric
    for report in sight.curve:
        leg = f", leg {report.leg}" if report.leg else ""
        yield f"step {report.step}{leg}: {name} {metric(sight.study, name, report.metrics.get(name))}"
    for entry in sight.entries:
        at = "" if entry.from_step is None else f" from step {entry.from_step}"
        yield f"version {entry.version}: {what(entry)}, {entry.state}{at}, by {entry.actor} {entry.reason}".rstrip()
    for one in sight.proposals:
        yield f"proposal {one.id}, {one.state}: {one.reason}"
    if sight.trial.state not in ("queued", "running"):
        value = metric(sight.study, name, sight.trial.value)
        yield f"trial {sight.trial.number} is {sight.trial.state}: {name} {value}"


def _show_live(sights: Iterator[Sight]) -> None:
    from rich.live import Live

    with Live(console=console(), refresh_per_second=4) as live:
        for sight in sights:
            live.update(picture(sight))


def picture(sight: Sight) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    trial, name = sight.trial, sight.study.metric
    values = [one.metrics.get(name) for one in sight.curve]
    last = sight.curve[-1] if sight.curve else None
    at = f", step {last.step}, {name} {metric(sight.study, name, last.metrics.get(name))}" if last else ""
    parts: list[RenderableType] = [
        Text(f"{sight.study.name} {trial.number}: {trial.state}{at}", style="bold"),
        Text(sparkline(values)),
        Text(cell(trial.params)),
    ]
    if sight.entries:
        rows = [
            (str(one.version), what(one), one.from_step, one.state, one.actor, one.reason)
            for one in sight.entries[-SHOWN:]
        ]
        parts.append(table(("version", "what", "from step", "state", "by", "why"), rows, right=("from step",)))
    parts += [Text(f"proposal {one.id}: {one.reason}") for one in sight.proposals if one.state == "open"]
    return Group(*parts)


def sparkline(values: Sequence[float | None]) -> str:
    """The curve in one line of blocks, the newest WIDTH values; a dot for one that is not finite."""
    shown = values[-WIDTH:]
    finite = [value for value in shown if value is not None]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join("·" if value is None else BARS[round((value - low) * scale)] for value in shown)
