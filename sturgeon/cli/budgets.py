"""`sturgeon study budget`: the limits of a study, and what it has used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import cell, print_json, print_table, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument

if TYPE_CHECKING:
    from sturgeon.messages import Study
    from sturgeon.values import Json

commands = typer.Typer()

TrialsOption = Annotated[int | None, typer.Option(metavar="N", help="Trials in total, also those handed out already.")]
EpochsOption = Annotated[str | None, typer.Option(metavar="N|none", help="Epochs in total, over all trials.")]
SecondsOption = Annotated[
    str | None, typer.Option(metavar="S|none", help="Seconds that workers spend on trials, in total.")
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
    """Show or change a study's budget. A completed study becomes active again when its budget is raised."""
    limits: Json = {} if max_trials is None else {"max_trials": max_trials}
    limits |= _limit("max_epochs", max_epochs, int) | _limit("max_seconds", max_seconds, float)
    with session.client() as client:
        answer = client.patch_study(study, {"budget": limits}) if limits else client.study(study)
    if session.json:
        return print_json(answer)
    print_table(("", "limit", "used"), _rows(answer), right=("limit", "used"))
    if answer.spent.limit is not None:
        say(f"{answer.spent.limit} is reached: running trials finish, and no more are handed out.")
    return None


def _limit(name: str, text: str | None, kind: type[int] | type[float]) -> Json:
    if text is None:
        return {}
    try:
        return {name: None if text == "none" else kind(text)}
    except ValueError:
        option = f"--{name.replace('_', '-')}"
        raise WrongInput(f"{option}: write a number, or none to remove the limit.") from None


def _rows(study: Study) -> list[tuple[str, str | None, str | None]]:
    limits, used = study.budget, study.spent
    rows: list[tuple[str, str | None, str | None]] = [
        ("trials", str(limits.max_trials), str(used.trials)),
        ("epochs", None if limits.max_epochs is None else str(limits.max_epochs), f"{used.epochs:g}"),
        ("seconds", None if limits.max_seconds is None else f"{limits.max_seconds:g}", f"{used.seconds:.0f}"),
    ]
    if limits.stop_when is not None:
        rows.append(("stop when", cell(limits.stop_when.model_dump(exclude_none=True)), None))
    return rows
