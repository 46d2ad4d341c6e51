"""`sturgeon study budget`: what a study may use, and what it has used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import cell, print_json, print_table
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument

if TYPE_CHECKING:
    from sturgeon.messages import Study
    from sturgeon.values import Json

commands = typer.Typer()

TrialsOption = Annotated[int | None, typer.Option(metavar="N", help="Trials in all, those given out included.")]
EpochsOption = Annotated[str | None, typer.Option(metavar="N|none", help="Epochs of all trials together.")]
SecondsOption = Annotated[
    str | None, typer.Option(metavar="S|none", help="Seconds that workers hold trials, all together.")
]


@commands.command()
@connected
def budget(
    session: Session,
    study: StudyArgument,
    max_trials: TrialsOption = None,
    max_epochs: EpochsOption = None,
    max_seconds: SecondsOption = None,
) -> None:
    """Show a study's budget, or change it; a completed study goes on when its budget is raised."""
    given: Json = {} if max_trials is None else {"max_trials": max_trials}
    given |= _limit("max_epochs", max_epochs, int) | _limit("max_seconds", max_seconds, float)
    with session.client() as client:
        found = client.patch_study(study, {"budget": given}) if given else client.study(study)
    if session.json:
        return print_json(found)
    print_table(("", "at most", "used"), _rows(found), right=("at most", "used"))
    if found.spent.limit is not None:
        typer.echo(f"Spent: {found.spent.limit}. Trials that run finish; nothing more is handed out.")
    return None


def _limit(name: str, text: str | None, kind: type[int] | type[float]) -> Json:
    if text is None:
        return {}
    try:
        return {name: None if text == "none" else kind(text)}
    except ValueError:
        option = f"--{name.replace('_', '-')}"
        raise WrongInput(f"{option}: write a number, or none for no limit.") from None


def _rows(study: Study) -> list[tuple[str, str | None, str | None]]:
    limits, used = study.budget, study.spent
    rows: list[tuple[str, str | None, str | None]] = [
        ("trials", str(limits.max_trials), str(used.trials)),
        ("epochs", None if limits.max_epochs is None else str(limits.max_epochs), f"{used.epochs:g}"),
        ("seconds", None if limits.max_seconds is None else f"{limits.max_seconds:g}", f"{used.seconds:.0f}"),
    ]
    if limits.stop_when is not None:
        rows.append(("until", cell(limits.stop_when.model_dump(exclude_none=True)), None))
    return rows
