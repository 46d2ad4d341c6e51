"""`sturgeon panda watch`: the curve, the timeline and the proposals of one trial, as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.output import cell, console, metric, say, say_json, table
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
class TrialSnapshot:
    """A trial, its study and its timeline at one moment."""

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
        client.trial(study, number)  # no patience yet: a wrong name or address fails at once
    with session.client(patience_s=PATIENCE_S) as client:
        snapshots = look(client, study, number, every)
        if session.json:
            _print_json_lines(snapshots)
        elif sys.stdout.isatty():
            _show_live(snapshots)
        else:
            _print_lines(snapshots)


def look(client: Client, study: str, number: int, every_s: float) -> Iterator[TrialSnapshot]:
    """The trial again and again, at last when it has ended."""
    while True:
        trial = client.trial(study, number)
        curve = list(every_item(partial(client.trial_metrics, study, number)))
        entries = client.timeline(study, number).items
        yield TrialSnapshot(client.study(study), trial, curve, entries, client.proposals(study, number))
        if trial.state in TERMINAL:
            return
        time.sleep(every_s)


def _print_json_lines(snapshots: Iterator[TrialSnapshot]) -> None:
    printed: set[str] = set()
    for snapshot in snapshots:
        for one in (*snapshot.curve, *snapshot.entries, *snapshot.proposals):
            line = one.model_dump_json()
            if line not in printed:
                printed.add(line)
                say_json(line)


def _print_lines(snapshots: Iterator[TrialSnapshot]) -> None:
    printed: set[str] = set()
    for snapshot in snapshots:
        for line in lines(snapshot):
            if line not in printed:
                printed.add(line)
                say(line)


def lines(snapshot: TrialSnapshot) -> Iterator[str]:
    """All lines about a trial. A later snapshot repeats the lines of an earlier one unchanged."""
    name = snapshot.study.metric
    for report in snapshot.curve:
        generation = f", leg {report.leg}" if report.leg else ""
        yield f"step {report.step}{generation}: {name} {metric(snapshot.study, name, report.metrics.get(name))}"
    for entry in snapshot.entries:
        at = "" if entry.from_step is None else f" from step {entry.from_step}"
        yield f"version {entry.version}: {what(entry)}, {entry.state}{at}, by {entry.actor} {entry.reason}".rstrip()
    for one in snapshot.proposals:
        yield f"proposal {one.id}, {one.state}: {one.reason}"
    if snapshot.trial.state not in ("queued", "running"):
        value = metric(snapshot.study, name, snapshot.trial.value)
        yield f"trial {snapshot.trial.number} is {snapshot.trial.state}: {name} {value}"


def _show_live(snapshots: Iterator[TrialSnapshot]) -> None:
    from rich.live import Live

    with Live(console=console(), refresh_per_second=4) as live:
        for snapshot in snapshots:
            live.update(picture(snapshot))


def picture(snapshot: TrialSnapshot) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    trial, name = snapshot.trial, snapshot.study.metric
    values = [one.metrics.get(name) for one in snapshot.curve]
    last = snapshot.curve[-1] if snapshot.curve else None
    at = f", step {last.step}, {name} {metric(snapshot.study, name, last.metrics.get(name))}" if last else ""
    parts: list[RenderableType] = [
        Text(f"{snapshot.study.name} {trial.number}: {trial.state}{at}", style="bold"),
        Text(sparkline(values)),
        Text(cell(trial.params)),
    ]
    if snapshot.entries:
        rows = [
            (str(one.version), what(one), one.from_step, one.state, one.actor, one.reason)
            for one in snapshot.entries[-SHOWN:]
        ]
        columns = ("version", "what", "from step", "state", "by", "why")
        parts.append(table(columns, rows, right=("from step",), prose=("what", "why"), last=("by", "from step"))[0])
    parts += [Text(f"proposal {one.id}: {one.reason}") for one in snapshot.proposals if one.state == "open"]
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
