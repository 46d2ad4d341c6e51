"""`sturgeon panda start | set | pause | resume | stop | checkpoint | rollback | fork | promote | accept | timeline`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.inputs import WrongInput, file_or_dash
from sturgeon.cli.output import cell, print_json, print_table, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.errors import NotFound
from sturgeon.states import TERMINAL, TrialState

if TYPE_CHECKING:
    from sturgeon.messages import Steered, Timeline, TimelineEntry
    from sturgeon.values import Json

commands = typer.Typer()

ReasonOption = Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; it stands in the timeline.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--if-version", metavar="V", min=0, help="Only if nobody steered the trial beyond this version."),
]
ParamsArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="Live parameters.")]
StepOption = Annotated[int | None, typer.Option(metavar="STEP", min=0, help="Of one of the trial's checkpoints.")]
RaiseOption = Annotated[bool, typer.Option("--raise-budget", help="Raise the study's max_trials by what is needed.")]
DEFAULT_BUDGET = {"max_trials": 100}


@commands.command()
@connected
def start(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=file_or_dash, help="YAML or JSON; - reads it from standard input."),
    ],
) -> None:
    """Create a panda, a study of one trial that is steered, from a YAML or JSON file."""
    from sturgeon.cli.files import read_mapping

    wanted = {"budget": DEFAULT_BUDGET} | read_mapping(file) | {"mode": "panda"}
    with session.client() as client:
        study = client.create_study(wanted)
        trial = client.trial(study.name, 0)
    if session.json:
        return print_json(trial)
    say(f"Panda {study.name}, trial 0, is {trial.state}: {cell(trial.params)}.")
    say(f"`sturgeon panda watch {study.name} 0` shows it; a worker trains it.")
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
            help="Back if the metric gets worse by more than WORSE_BY within EPOCHS, as dev_error:0.02:3.",
        ),
    ] = None,
    if_version: VersionOption = None,
) -> None:
    """Change live parameters while the model trains."""
    with session.client() as client:
        watch = None if guard is None else parsed_guard(guard)
        _print_steered(session, client.set_params(study, number, parsed(params), reason, watch, if_version), number)


def _verb(name: str, help_: str, ask: Callable[..., Steered]) -> None:
    """A command for a verb that takes a reason only."""

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
            _print_steered(session, ask(client, study, number, reason, if_version), number)


_verb("pause", "Let the run leave a checkpoint and give its slot back.", lambda client, *asked: client.pause(*asked))
_verb("resume", "Go on from where it was paused.", lambda client, *asked: client.resume(*asked))
_verb("stop", "Let the run finish its epoch and tell its result.", lambda client, *asked: client.stop(*asked))
_verb(
    "checkpoint",
    "Let the run leave a checkpoint that no rule drops.",
    lambda client, *asked: client.keep_checkpoint(*asked),
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
    """Go back to a checkpoint (the newest; --step 0: the start), and on from there with other parameters."""
    with session.client() as client:
        steered = client.rollback(study, number, step, parsed(params or []), reason, if_version)
        _print_steered(session, steered, number)


@commands.command()
@connected
def fork(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    branches: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE[,NAME=VALUE]...", help="A branch each, with what it changes."),
    ],
    step: StepOption = None,
    control: Annotated[bool, typer.Option(help="One more branch, unchanged, with the same seed.")] = True,
    raise_budget: RaiseOption = False,
    reason: ReasonOption = "",
) -> None:
    """Try several ways on from one checkpoint (the newest)."""
    wanted = [parsed(branch.split(",")) for branch in branches]
    with session.client() as client:
        trials = client.fork(study, number, wanted, step, control, raise_budget, reason)
    if session.json:
        return print_json(trials)
    origin = trials[0].parent
    say(f"From step {origin.step if origin else 0} of trial {number} of {study}:")
    changed = [*wanted, {}] if control else wanted
    rows = [
        (str(trial.number), trial.state, change or "unchanged: the control")
        for trial, change in zip(trials, changed, strict=True)
    ]
    return print_table(("trial", "state", "with"), rows, right=("trial",))


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
    """Take a trial further as a panda, from its best checkpoint."""
    with session.client() as client:
        trial = client.promote(study, number, parsed(params or []), step, raise_budget, reason)
    if session.json:
        return print_json(trial)
    origin = trial.parent.step if trial.parent else 0
    say(f"Trial {trial.number} of {study} is a panda from step {origin} of trial {number}; it is {trial.state}.")
    return None


@commands.command()
@connected
def accept(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    proposal: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, help="The proposal; not needed if one is open.")
    ] = None,
    reason: ReasonOption = "",
    dismiss: Annotated[bool, typer.Option("--dismiss", help="Do not; the policy waits before the next one.")] = False,
) -> None:
    """Do what a policy proposed."""
    with session.client() as client:
        if proposal is None:
            waiting = [one.id for one in client.proposals(study, number) if one.state == "open"]
            if not waiting:
                raise NotFound(f"No proposal for trial {number} of {study} is open.")
            if len(waiting) > 1:
                raise WrongInput(f"Several proposals are open; say which one: {', '.join(map(str, waiting))}.")
            proposal = waiting[0]
        if not dismiss:
            return _print_steered(session, client.accept(study, number, proposal, reason), number)
        answer = client.dismiss(study, number, proposal)
    if session.json:
        return print_json(answer)
    say(f"Proposal {answer.id} is dismissed.")
    return None


@commands.command()
@connected
def timeline(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Show what happened to a trial, and whose branch it is."""
    with session.client() as client:
        told = client.timeline(study, number)
        proposals = client.proposals(study, number)
    if session.json:
        return print_json(told)
    print_timeline(told)
    for one in proposals:
        if one.state == "open":
            say(f"Proposal {one.id}: {one.reason} `sturgeon panda accept {study} {number}`")
    return None


def print_timeline(told: Timeline) -> None:
    if told.lineage:
        say("From " + ", ".join(f"step {one.step} of trial {one.number}" for one in told.lineage) + ".")
    say(f"Began with {cell(told.start.params)}, seed {told.start.seed}.")
    for one in told.lost:
        then = "no run can go on" if one.before is None else f"a run goes on from step {one.before}"
        say(f"The checkpoint of step {one.step} is gone or damaged, so without a newer one {then}.")
    columns = ("version", "what", "from step", "state", "by", "why")
    rows = [(str(one.version), what(one), one.from_step, one.state, one.actor, one.reason) for one in told.items]
    print_table(columns, rows, right=("version", "from step"))


def what(entry: TimelineEntry) -> str:
    """What a version of the timeline is about, in a few words."""
    words = {"params": "set", "rollback": f"back to step {entry.restore}"}.get(entry.verb, entry.verb)
    told = " ".join(filter(None, [words, cell(entry.params)]))
    if entry.guard is None:
        return told
    return f"{told} (guard {entry.guard.metric}:{entry.guard.worse_by:g}:{entry.guard.within_epochs:g})"


def parsed(given: Sequence[str]) -> Json:
    """NAME=VALUE as parameters; a value is JSON, else text."""
    params: Json = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (equals and name):
            raise WrongInput(f"{one!r} is no NAME=VALUE, as learning_rate=0.01 is.")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def parsed_guard(text: str) -> Json:
    metric, *numbers = text.split(":")
    try:
        worse_by, within_epochs = map(float, numbers)
    except ValueError:
        raise WrongInput(f"{text!r} is no METRIC:WORSE_BY:EPOCHS, as dev_error:0.02:3 is.") from None
    return {"metric": metric, "worse_by": worse_by, "within_epochs": within_epochs}


def _print_steered(session: Session, steered: Steered, number: int) -> None:
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
