"""`sturgeon study describe` and `sturgeon trial describe`: what people write of a study or a trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument, print_study

if TYPE_CHECKING:
    from sturgeon.values import Json

of_study = typer.Typer()
of_trial = typer.Typer()

TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="Add a tag; may be repeated.")]
UntagOption = Annotated[list[str] | None, typer.Option("--untag", metavar="TAG", help="Take a tag away.")]
NotesOption = Annotated[str | None, typer.Option(metavar="TEXT", help="The notes, instead of those that are there.")]


@of_study.command()
@connected
def describe(
    session: Session,
    study: StudyArgument,
    tag: TagOption = None,
    untag: UntagOption = None,
    notes: NotesOption = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="The title.")] = None,
) -> None:
    """Write tags, notes and the title of a study."""
    with session.client() as client:
        patch = _patch(client.study(study).tags, tag, untag, notes)
        answer = client.patch_study(study, patch if title is None else patch | {"title": title})
    print_study(session, answer)


@of_trial.command("describe")
@connected
def describe_trial(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    tag: TagOption = None,
    untag: UntagOption = None,
    notes: NotesOption = None,
) -> None:
    """Write tags and notes of a trial."""
    with session.client() as client:
        trial = client.patch_trial(study, number, _patch(client.trial(study, number).tags, tag, untag, notes))
    if session.json:
        return print_json(trial)
    say(f"Trial {number} of {study}: tags {', '.join(trial.tags) or 'none'}; notes: {trial.notes or 'none'}")
    return None


def _patch(tags: Sequence[str], tag: Sequence[str] | None, untag: Sequence[str] | None, notes: str | None) -> Json:
    if missing := [one for one in untag or () if one not in tags]:
        raise WrongInput(f"--untag {missing[0]}: it has no such tag; its tags are {', '.join(tags) or 'none'}.")
    patch: Json = {} if notes is None else {"notes": notes}
    if tag or untag:
        patch["tags"] = [one for one in dict.fromkeys([*tags, *(tag or ())]) if one not in (untag or ())]
    return patch
