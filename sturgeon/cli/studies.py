"""`sturgeon study create | list | show | pause | resume | stop | cancel | delete`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sturgeon.checkout import code_version
from sturgeon.cli import inputs
from sturgeon.cli.completion import study_names
from sturgeon.cli.inputs import WrongInput, file_or_dash, not_empty
from sturgeon.cli.output import cell, metric, print_facts, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.cli.versions import changed, version_text

if TYPE_CHECKING:
    from sturgeon.messages import BestTrial, Recommended, Search, Study, StudyTask
    from sturgeon.values import Json

commands = typer.Typer()

StudyArgument = Annotated[
    str,
    typer.Argument(metavar="STUDY", parser=not_empty, help="The study's name.", autocompletion=study_names),
]
NumberArgument = Annotated[int, typer.Argument(metavar="N", min=0, help="The trial's number.")]


@commands.command()
@connected
def create(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", parser=file_or_dash, help="A YAML or JSON file; - reads standard input."),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", parser=not_empty, help="Its name, instead of that in the file.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only let the server check it; nothing is created.")
    ] = False,
) -> None:
    """Create a study from a YAML or JSON file."""
    from sturgeon.cli.files import read_mapping

    request = read_mapping(file) | ({} if name is None else {"name": name})
    if (version := code_version()) is not None:
        request = {"code_version": version} | request
    with session.client() as client:
        study = client.create_study(request, dry_run=dry_run)
    print_study(session, study)
    if dry_run and not session.json:
        say("It is valid. Nothing was created: this was a dry run.")


@commands.command("list")
@connected
def list_(
    session: Session,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only studies that have this tag.")] = None,
) -> None:
    """List the studies."""
    with session.client() as client:
        studies = list(every_item(lambda size, token: client.studies(size, token, tag)))
    if session.json:
        return print_json(studies)
    columns = ("study", "state", "trials", "running", "best", "metric", "created")
    right = ("trials", "running", "best")
    print_table(columns, map(_row, studies), right=right, keep=("state",), last=("created", "metric", "running"))
    return None


def _row(study: Study) -> tuple[object, ...]:
    best = metric(study, study.metric, study.best.value if study.best else None)
    trials = f"{sum(study.counts.values())}/{study.budget.max_trials}"
    return (
        study.name,
        study.state,
        trials,
        study.counts.get("running", 0),
        best,
        study.metric,
        study.created_at,
    )


@commands.command()
@connected
def show(session: Session, study: StudyArgument) -> None:
    """Show a study: its state, counts, search space, and its best and recommended trial."""
    with session.client() as client:
        shown = client.study(study)
        recommended = client.best(study).recommended if shown.best else None
    if session.json:
        plain = None if recommended is None else recommended.model_dump(mode="json")
        return print_json(shown.model_dump(mode="json") | {"recommended": plain})
    print_facts(_facts(shown) | _winners(shown, recommended))
    return None


def print_study(session: Session, study: Study) -> None:
    """Print what the server answers to a change of a study."""
    if session.json:
        return print_json(study)
    print_facts(_facts(study) | _winners(study, None))
    return None


def _winners(study: Study, recommended: Recommended | None) -> Json:
    best, facts = study.best, {}
    if best is not None:
        same = ", recommended" if recommended is not None and recommended.number == best.number else ""
        facts = {"best": f"{_scored(study, best)}{same}", "with": best.params}
    if recommended is not None and (best is None or recommended.number != best.number):
        facts |= {"recommended": _scored(study, recommended), " with": recommended.params}
    return facts


def _scored(study: Study, trial: BestTrial) -> str:
    return f"{metric(study, study.metric, trial.value)} (trial {trial.number})"


def _facts(study: Study) -> Json:
    counts = {state: count for state, count in study.counts.items() if count}
    task = study.task
    facts: Json = {
        "study": study.name,
        "title": study.title or None,
        "state": study.state,
        "goal": f"{study.direction} {study.metric}",
        "trials": f"{sum(counts.values())} of at most {study.budget.max_trials}",
        "": counts or None,
        "budget": _limits(study),
        "pruning": _rule(study),
        "task": _task(task),
        "needs": study.needs.model_dump(exclude_defaults=True) or None,
        "waits": study.waits_for,
        **{f"not on {one.worker}": one.reason for one in study.unable},
        "a trial's value": _value_of(study),
        "fixed": (study.train_task.fixed if study.train_task else None) or None,
        "search": _search(study.search),
        "replicates": study.search.replicates if study.search.replicates > 1 else None,
        "tags": ", ".join(study.tags) or None,
        "notes": study.notes or None,
        "code": study.code_version and version_text(study.code_version),
        "data": study.data_version and version_text(study.data_version),
        **{f"{change.what} changed": changed(change) for change in study.changes},
        "constraints": study.constraints or None,
        "space": f"revision {study.revision}" if study.revision else None,
        "created": study.created_at,
    }
    for name in study.space:
        facts[f"  {name}"] = study.space[name].model_dump(exclude_none=True, exclude_defaults=True)
    return {name: value for name, value in facts.items() if value is not None}


def _task(task: StudyTask | None) -> str:
    if task is None:
        return "your own code (ask, report, tell)"
    if task.kind == "train":
        return f"train {task.dataset}, {task.epochs} epochs"
    return f"command {shlex.join(task.argv)}" if task.kind == "command" else f"python {task.call}"


def _value_of(study: Study) -> str:
    if study.reduce == "best":
        return f"the best {study.metric} of its {'epochs' if study.train_task else 'reports'}"
    return f"the {study.metric} of its last {'epoch' if study.train_task else 'report'}"


def _limits(study: Study) -> str | None:
    """The limits of the study besides its number of trials, and how much of each is used."""
    budget, used = study.budget, study.spent
    parts = [
        f"{used.epochs:g} of {budget.max_epochs} epochs" if budget.max_epochs is not None else None,
        f"{used.seconds:.0f} of {budget.max_seconds:g} s" if budget.max_seconds is not None else None,
        f"until {cell(budget.stop_when.model_dump(exclude_none=True))}" if budget.stop_when is not None else None,
        f"spent ({used.limit})" if used.limit is not None else None,
    ]
    return ", ".join(part for part in parts if part) or None


def _rule(study: Study) -> str | None:
    """The rule that stops bad trials early, with its options; None if there is none."""
    given = study.pruning.model_dump(exclude_none=True)
    rule = given.pop("rule", "none")
    return None if rule == "none" else ", ".join([rule, *(f"{name} {value}" for name, value in given.items())])


def _search(search: Search) -> str:
    options = {name: getattr(search, name) for name in ("model", "cost_aware", "points")}
    said = [cell({name: value}) for name, value in options.items() if value is not None]
    return ", ".join([search.sampler, *said, f"seed {search.seed}"])


@commands.command()
@connected
def pause(session: Session, study: StudyArgument) -> None:
    """Hand out no more trials until the study is resumed; running trials continue."""
    _move(session, study, "paused")


@commands.command()
@connected
def resume(session: Session, study: StudyArgument) -> None:
    """Hand out trials again after a pause or a stop."""
    _move(session, study, "active")


@commands.command()
@connected
def stop(session: Session, study: StudyArgument) -> None:
    """Hand out no more trials; running trials finish."""
    _move(session, study, "stopped")


@commands.command()
@connected
def cancel(session: Session, study: StudyArgument) -> None:
    """End the study for good, and cancel its running trials."""
    _move(session, study, "cancelled")


def _move(session: Session, name: str, state: Literal["active", "paused", "stopped", "cancelled"]) -> None:
    from sturgeon.messages import StudyPatch

    with session.client() as client:
        study = client.patch_study(name, StudyPatch(state=state))
    if session.json:
        return print_json(study)
    say(f"{study.name} is {study.state}; {study.counts.get('running', 0)} trials are running.")
    return None


@commands.command()
@connected
def delete(
    session: Session,
    study: StudyArgument,
    force: Annotated[bool, typer.Option("--force", help="Even if trials are running; they are cancelled.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study with its trials and checkpoints."""
    with session.client() as client:
        if not yes:
            _ask_about(client.study(study))
        client.delete_study(study, force=force)
    if session.json:
        return print_json({"deleted": study})
    say(f"{study} is deleted.")
    return None


def _ask_about(study: Study) -> None:
    """Raises: WrongInput (nobody can be asked), typer.Abort (the answer is no)."""
    if not inputs.somebody_is_there():
        raise WrongInput(f"Deleting {study.name} cannot be taken back, and there is nobody to ask: say --yes.")
    trials = sum(study.counts.values())
    if not typer.confirm(f"Delete {study.name} with its {trials} trials and all checkpoints?", err=True):
        raise typer.Abort
