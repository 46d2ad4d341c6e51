"""`sturgeon study late-results | tag-errors | compare`: what else the server keeps of trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import metric, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument

if TYPE_CHECKING:
    from sturgeon.messages import Study, Trial

commands = typer.Typer()

_NONE: Final = object()


@commands.command()
@connected
def compare(
    session: Session,
    study: StudyArgument,
    numbers: Annotated[list[int], typer.Argument(metavar="N N...", min=0, help="The numbers of the trials.")],
) -> None:
    """Show trials of a study side by side: their results, and the parameters in which they differ."""
    if len(set(numbers)) < 2:
        raise WrongInput("Name at least two trials to compare, as in `sturgeon study compare digits 3 7`.")
    with session.client() as client:
        trials = [client.trial(study, number) for number in dict.fromkeys(numbers)]
        if session.json:
            return print_json(trials)
        shown = client.study(study)
    rows = list(_rows(shown, trials))
    print_table(("", *(f"trial {trial.number}" for trial in trials)), rows)
    same = [
        name for name in trials[0].params if all(trial.params.get(name) == trials[0].params[name] for trial in trials)
    ]
    if same:
        say(f"The same in all: {', '.join(f'{name}={trials[0].params[name]}' for name in same)}.")
    return None


def _rows(study: Study, trials: list[Trial]) -> Iterator[tuple[object, ...]]:
    yield "state", *(trial.state for trial in trials)
    yield study.metric, *(metric(study, study.metric, trial.value) for trial in trials)
    names = dict.fromkeys(name for trial in trials for name in trial.metrics if name != study.metric)
    for name in names:
        yield name, *(metric(study, name, trial.metrics.get(name)) for trial in trials)
    for name in dict.fromkeys(name for trial in trials for name in trial.params):
        values = [trial.params.get(name) for trial in trials]
        if any(value != values[0] for value in values):
            yield name, *values


@commands.command("late-results")
@connected
def late_results(session: Session, study: StudyArgument) -> None:
    """List reports and results that came after their lease was lost. They are kept, and count for nothing."""
    with session.client() as client:
        listed = list(every_item(lambda size, token: client.late_results(study, size, token)))
    if session.json:
        return print_json(listed)
    rows = [(str(one.number), one.kind, str(one.fence), one.at, one.actor, one.body) for one in listed]
    columns = ("trial", "kind", "fence", "at", "by", "what")
    print_table(columns, rows, right=("trial", "fence"), prose=("what",), last=("fence", "by", "at"))
    return None


@commands.command("tag-errors")
@connected
def tag_errors(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    tags: Annotated[
        list[str], typer.Argument(metavar="ROW=TAG,TAG...", help="Tags of an example by its row; ROW= takes them back.")
    ],
) -> None:
    """Tag misclassified examples of a trial by hand; `study errors` then says what each tag costs."""
    given: dict[str, list[str]] = {}
    for text in tags:
        row, equals, names = text.partition("=")
        if not equals or not row.isdecimal():
            raise WrongInput(f"Write the row of an example and its tags, as in 17=blurry,upside-down; got {text!r}.")
        given[row] = [name for name in names.split(",") if name]
    with session.client() as client:
        body = client.tag_errors(study, number, given)
    if session.json:
        return print_json(body)
    rows = [(one["tag"], one["count"], one["ceiling"]) for one in body.get("categories", [])]
    print_table(("kind", "count", "ceiling"), rows, right=("count", "ceiling"))
    return None
