"""`sturgeon panda start | set | pause | resume | stop | checkpoint | rollback | fork | promote | timeline`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.inputs import WrongInput, file_or_dash
from sturgeon.cli.output import cell, print_json, print_table, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.states import TERMINAL, TrialState

if TYPE_CHECKING:
    from sturgeon.messages import Steered, Timeline, TimelineEntry
    from sturgeon.values import Json

commands = typer.Typer()

ReasonOption = Annotated[
    str, typer.Option("--reason", "-r", metavar="TEXT", help="The reason, which is kept in the timeline.")
]
VersionOption = Annotated[
    int | None,
    typer.Option("--if-version", metavar="V", min=0, help="Only if the trial is still at this version."),
]
ParamsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Live parameters and their new values.")
]
StepOption = Annotated[
    int | None, typer.Option(metavar="STEP", min=0, help="The step of one of the trial's checkpoints.")
]
RaiseOption = Annotated[bool, typer.Option("--raise-budget", help="Raise the study's max_trials as far as needed.")]
DEFAULT_BUDGET = {"max_trials": 100}


@commands.command()
@connected
def start(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=file_or_dash, help="A YAML or JSON file; - reads standard input."),
    ],
) -> None:
    """Create a panda, a study with one trial to steer, from a YAML or JSON file."""
    from sturgeon.cli.files import read_mapping

    request = {"budget": DEFAULT_BUDGET} | read_mapping(file) | {"mode": "panda"}
    with session.client() as client:
        study = client.create_study(request)
        trial = client.trial(study.name, 0)
    if session.json:
        return print_json(trial)
    say(f"Panda {study.name}, trial 0, is {trial.state}: {cell(trial.params)}.")
    say(f"Watch it with `sturgeon panda watch {study.name} 0`; it needs a worker that trains it.")
    return None


@commands.command("set")
@connected
def set_(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    params: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="Live parameters.")],
    reason: ReasonOption = "",
    guard: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC:WORSE_BY:EPOCHS",
            help="Undo the change if the metric gets worse by more than WORSE_BY within EPOCHS: dev_error:0.02:3.",
        ),
    ] = None,
    if_version: VersionOption = None,
) -> None:
    """Change parameters of a model while it trains."""
    with session.client() as client:
        guarding = None if guard is None else parsed_guard(guard)
        print_steered(session, client.set_params(study, number, parsed(params), reason, guarding, if_version), number)


def _add_verb(name: str, help_: str, send: Callable[..., Steered]) -> None:
    """Add a command for a verb that takes nothing but a reason."""

    @commands.command(name, help=help_)
    @connected
    def _command(
        session: Session,
        study: StudyArgument,
        number: NumberArgument,
        reason: ReasonOption = "",
        if_version: VersionOption = None,
    ) -> None:
        with session.client() as client:
            print_steered(session, send(client, study, number, reason, if_version), number)


_add_verb(
    "pause", "Save a checkpoint, stop training and free the slot.", lambda client, *request: client.pause(*request)
)
_add_verb("resume", "Continue where the trial was paused.", lambda client, *request: client.resume(*request))
_add_verb(
    "stop", "End the trial after its current epoch, with a result.", lambda client, *request: client.stop(*request)
)
_add_verb(
    "checkpoint",
    "Save a checkpoint that no rule deletes.",
    lambda client, *request: client.keep_checkpoint(*request),
)


@commands.command()
@connected
def rollback(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    params: ParamsArgument = None,
    step: StepOption = None,
    reason: ReasonOption = "",
    if_version: VersionOption = None,
) -> None:
    """Go back to a checkpoint (the newest, or --step; 0 is the start) and continue, if wanted with other parameters."""
    with session.client() as client:
        steered = client.rollback(study, number, step, parsed(params or []), reason, if_version)
        print_steered(session, steered, number)


@commands.command()
@connected
def fork(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    branches: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE[,...]", help="Each argument is a branch, with its changes."),
    ],
    step: StepOption = None,
    control: Annotated[bool, typer.Option(help="Add a branch without changes, with the same seed.")] = True,
    raise_budget: RaiseOption = False,
    reason: ReasonOption = "",
) -> None:
    """Continue from one checkpoint (the newest, or --step) in several branches."""
    # At commas before NAME=: a value may be a list.
    changes = [parsed(re.split(r",(?=[^,=]+=)", branch)) for branch in branches]
    with session.client() as client:
        trials = client.fork(study, number, changes, step, control, raise_budget, reason)
    if session.json:
        return print_json(trials)
    origin = trials[0].parent
    say(f"From step {origin.step if origin else 0} of trial {number} of {study}:")
    changes = [*changes, {}] if control else changes
    rows = [
        (str(trial.number), trial.state, change or "unchanged: the control")
        for trial, change in zip(trials, changes, strict=True)
    ]
    return print_table(("trial", "state", "with"), rows, right=("trial",), prose=("with",))


@commands.command()
@connected
def promote(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    params: ParamsArgument = None,
    step: StepOption = None,
    raise_budget: RaiseOption = False,
    reason: ReasonOption = "",
) -> None:
    """Continue a trial as a panda, from its best checkpoint (or --step)."""
    with session.client() as client:
        trial = client.promote(study, number, parsed(params or []), step, raise_budget, reason)
    if session.json:
        return print_json(trial)
    origin = trial.parent.step if trial.parent else 0
    say(f"Trial {trial.number} of {study} is a panda from step {origin} of trial {number}; it is {trial.state}.")
    return None


@commands.command()
@connected
def timeline(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Show all changes of a trial, and which trials it came from."""
    with session.client() as client:
        history = client.timeline(study, number)
        proposals = client.proposals(study, number)
    if session.json:
        return print_json(history)
    print_timeline(history)
    for proposal in proposals:
        if proposal.state == "open":
            say(f"Proposal {proposal.id}: {proposal.reason} `sturgeon panda accept {study} {number}`")
    return None


def print_timeline(history: Timeline) -> None:
    if history.lineage:
        say("From " + ", ".join(f"step {origin.step} of trial {origin.number}" for origin in history.lineage) + ".")
    say(f"Began with {cell(history.start.params)}, seed {history.start.seed}.")
    for lost in history.lost:
        then = "no run can go on" if lost.before is None else f"a run goes on from step {lost.before}"
        say(f"The checkpoint of step {lost.step} is gone or damaged, so without a newer one {then}.")
    columns = ("version", "what", "from step", "state", "by", "why")
    rows = [
        (str(entry.version), what(entry), entry.from_step, entry.state, entry.actor, entry.reason)
        for entry in history.items
    ]
    print_table(columns, rows, right=("version", "from step"), prose=("what", "why"), last=("by", "from step"))


def what(entry: TimelineEntry) -> str:
    """What a version of the timeline is about, in a few words."""
    words = {"params": "set", "rollback": f"back to step {entry.restore}"}.get(entry.verb, entry.verb)
    summary = " ".join(filter(None, [words, cell(entry.params)]))
    if entry.guard is None:
        return summary
    return f"{summary} (guard {entry.guard.metric}:{entry.guard.worse_by:g}:{entry.guard.within_epochs:g})"


def parsed(assignments: Sequence[str]) -> Json:
    """Parameters from NAME=VALUE, where a value is JSON, or else text.

    Raises: WrongInput (a name or the equals sign is missing).
    """
    params: Json = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (equals and name):
            raise WrongInput(f"{assignment!r} is no NAME=VALUE, as learning_rate=0.01 is.")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def parsed_guard(text: str) -> Json:
    """The guard that METRIC:WORSE_BY:EPOCHS describes. Raises: WrongInput (it has another form)."""
    metric, *numbers = text.rsplit(":", 2)  # a metric's name may have a colon
    try:
        worse_by, within_epochs = map(float, numbers)
    except ValueError:
        raise WrongInput(f"{text!r} is no METRIC:WORSE_BY:EPOCHS, as dev_error:0.02:3 is.") from None
    return {"metric": metric, "worse_by": worse_by, "within_epochs": within_epochs}


def print_steered(session: Session, steered: Steered, number: int) -> None:
    if session.json:
        return print_json(steered)
    desired, waits = steered.desired, ""
    if steered.state in TERMINAL:
        return say(f"Trial {number} is {steered.state}.")
    if desired.version != steered.applied_version:
        waits = _WHEN_APPLIED[steered.state]
    return say(f"Trial {number} is {steered.state}, version {desired.version} is desired{waits}.")


_WHEN_APPLIED: Final[dict[TrialState, str]] = {
    "queued": "; the worker that takes the trial applies it",
    "running": "; the run applies it between two steps",
    "paused": "; it applies when the trial is resumed",
}
