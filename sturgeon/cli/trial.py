"""`sturgeon trial show | log | curve | checkpoints | ask | tell | enqueue | release | cancel | ..`: one trial."""

from __future__ import annotations

import getpass
import os
import re
import socket
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sturgeon.checkout import code_version
from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import cell, metric, print_facts, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.panda import parsed
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.cli.versions import version_text

if TYPE_CHECKING:
    from sturgeon.messages import Lease, ReportedMetrics, Study, Trial
    from sturgeon.values import Json

commands = typer.Typer()

FenceOption = Annotated[int, typer.Option(metavar="F", min=1, help="The fence of the lease, as `ask` printed it.")]


@commands.command()
@connected
def show(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Show a trial: its state, parameters, result, error, and who holds it."""
    with session.client() as client:
        trial = client.trial(study, number)
        if session.json:
            return print_json(trial)
        _print_trial(client.study(study), trial)
    return None


def _print_trial(study: Study, trial: Trial) -> None:
    facts: Json = {
        "trial": f"{trial.number} of {trial.study}",
        "state": trial.state,
        "worker": trial.worker,
        study.metric: None if trial.value is None else metric(study, study.metric, trial.value),
        "attempts lost": trial.attempt or None,
        "step": trial.step,
        "where": trial.where,
        "invalid": trial.invalid and trial.invalid.reason,
        "parent": trial.parent and f"trial {trial.parent.number} at step {trial.parent.step}",
        "tags": ", ".join(trial.tags) or None,
        "notes": trial.notes or None,
        "code": trial.code_version and version_text(trial.code_version),
        "data": trial.data_version and version_text(trial.data_version),
        "seed": trial.seed,
        "created": trial.created_at,
        "started": trial.started_at,
        "finished": trial.finished_at,
        **{f"  {name}": value for name, value in trial.params.items()},
    }
    others = {name: metric(study, name, value) for name, value in trial.metrics.items() if name != study.metric}
    facts |= {"metrics": others or None}
    print_facts({name: value for name, value in facts.items() if value is not None})
    if trial.error:
        say(f"\n{printable(trial.error)}")


def printable(text: str) -> str:
    """Text of a program as a terminal would show it in the end: without control characters, and of a line that was
    written over, such as a progress bar, what was written last."""
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.strip("\r\n").split("\n")]
    return "\n".join("".join(sign for sign in line if sign.isprintable() or sign == "\t") for line in lines)


@commands.command()
@connected
def log(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    run: Annotated[
        Literal["last", "before"], typer.Option(help="The last run of the trial, or the one before it.")
    ] = "last",
) -> None:
    """Print what a trial of your own code has printed, as far as it was kept."""
    with session.client() as client:
        text = client.trial_log(study, number, run)
    if session.json:
        return print_json({"study": study, "number": number, "run": run, "log": text})
    say(printable(text))
    return None


@commands.command()
@connected
def curve(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    left: Annotated[bool, typer.Option("--left", help="Also what later runs and rollbacks made void.")] = False,
) -> None:
    """Show what a trial reported, step by step."""
    with session.client() as client:
        rows = list(every_item(lambda size, token: client.trial_metrics(study, number, size, token, left)))
        if session.json:
            return print_json(rows)
        _print_curve(client.study(study), rows)
    return None


def _print_curve(study: Study, rows: list[ReportedMetrics]) -> None:
    names = list(dict.fromkeys([study.metric, *(name for row in rows for name in row.metrics)]))
    void = ("",) if any(row.left for row in rows) else ()
    cells = [
        (
            str(row.step),
            None if row.epoch is None else f"{row.epoch:g}",
            *(metric(study, name, row.metrics.get(name)) for name in names),
            *("void" if row.left else "" for _ in void),
        )
        for row in rows
    ]
    print_table(("step", "epoch", *names, *void), cells, right=("step", "epoch", *names))


@commands.command()
@connected
def checkpoints(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """List the checkpoints that are kept of a trial."""
    with session.client() as client:
        listed = client.checkpoints(study, number).items
        if session.json:
            return print_json(listed)
        shown = client.study(study)
    rows = [
        (
            str(one.step),
            None if one.epoch is None else f"{one.epoch:g}",
            metric(shown, shown.metric, one.value),
            f"{one.size / 1000:.0f} kB",
            "lost" if one.lost else "pinned" if one.pinned else "",
            one.created_at,
        )
        for one in listed
    ]
    columns = ("step", "epoch", shown.metric, "size", "", "created")
    print_table(columns, rows, right=("step", "epoch", shown.metric, "size"), keep=("",), last=("created",))
    return None


@commands.command()
@connected
def ask(
    session: Session,
    study: StudyArgument,
    count: Annotated[int, typer.Option("--count", "-k", min=1, max=1000, help="At most so many trials.")] = 1,
    worker: Annotated[str | None, typer.Option(metavar="NAME", help="Who runs them; shown beside the trials.")] = None,
    lease_s: Annotated[
        int | None, typer.Option("--lease-s", metavar="SECONDS", min=10, help="How long the lease lasts (3600).")
    ] = None,
) -> None:
    """Take trials to run yourself: end each with `trial tell`, or give it back with `trial release`."""
    with session.client() as client:
        leases = client.ask(study, count, worker or _this_person(), lease_s, code_version())
    if session.json:
        return print_json(leases)
    if not leases.leases:
        return say(_WHY_NOTHING[leases.reason or "waiting"])
    _print_leases(leases.leases)
    return None


def _this_person() -> str:
    """Who runs them, where no name is given: the user on this machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        user = str(os.getuid())
    name = re.sub(r"[^A-Za-z0-9._@\-]", "-", f"{user}@{socket.gethostname()}")
    return name.lstrip("._@-")[:100] or "person"


_WHY_NOTHING = {
    "paused": "No trial: the study is paused.",
    "budget": "No trial: the study's budget is spent.",
    "exhausted": "No trial: all points of the space were given out.",
    "waiting": "No trial now: others run, and one of them may have to run again.",
    "finished": "No trial: the study has ended.",
}


def _print_leases(leases: list[Lease]) -> None:
    params = list(dict.fromkeys(name for lease in leases for name in lease.params))
    rows = [(str(lease.number), str(lease.fence), *(lease.params.get(name) for name in params)) for lease in leases]
    print_table(("trial", "fence", *params), rows, right=("trial", "fence", *params))


@commands.command()
@connected
def tell(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    fence: FenceOption,
    metrics: Annotated[list[str] | None, typer.Argument(metavar="[METRIC=VALUE]...", help="Its metrics.")] = None,
    state: Annotated[Literal["complete", "diverged", "failed"], typer.Option(help="How it ended.")] = "complete",
    error: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it failed.")] = None,
) -> None:
    """Tell how a trial that you asked for has ended."""
    values = parsed(metrics or [])
    for name, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise WrongInput(f"{name}={value}: write a number.")
    with session.client() as client:
        _print_state(session, client.tell(study, number, fence, values, state, error=error))


@commands.command()
@connected
def enqueue(
    session: Session,
    study: StudyArgument,
    params: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="The parameters of the trial.")],
) -> None:
    """Add a trial with parameters that you choose; it runs before new ones are drawn."""
    given = parsed(params)
    with session.client() as client:
        trial = client.enqueue(study, given)
    if session.json:
        return print_json(trial)
    say(f"Trial {trial.number} of {trial.study} is {trial.state}: {cell(trial.params)}.")
    return None


@commands.command()
@connected
def release(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    fence: Annotated[
        int | None,
        typer.Option(metavar="F", min=1, help="Only if the trial is still leased under this fence, as `ask` printed."),
    ] = None,
) -> None:
    """Give a trial back, to be run again; also one whose holder has crashed. No attempt is lost."""
    with session.client() as client:
        _print_state(session, client.release(study, number, fence))


@commands.command()
@connected
def cancel(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Cancel a trial at once, also one that runs."""
    with session.client() as client:
        _print_state(session, client.cancel(study, number))


@commands.command()
@connected
def requeue(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Run a failed or cancelled trial again."""
    with session.client() as client:
        _print_state(session, client.requeue(study, number))


@commands.command()
@connected
def invalidate(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    reason: Annotated[str, typer.Option(help="Why its result is not to be trusted; it is kept with the trial.")],
) -> None:
    """Let a trial's result count for nothing from here on; the trial stays to be seen."""
    with session.client() as client:
        trial = client.invalidate(study, number, reason)
    if session.json:
        return print_json(trial)
    say(f"Trial {trial.number} of {trial.study} is invalid: it counts for nothing.")
    return None


def _print_state(session: Session, trial: Trial) -> None:
    if session.json:
        return print_json(trial)
    say(f"Trial {trial.number} of {trial.study} is {trial.state}.")
    return None
