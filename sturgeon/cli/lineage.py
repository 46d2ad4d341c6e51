"""`sturgeon panda lineage`: which trials go on from which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sturgeon.cli.output import print_json, print_table, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument

if TYPE_CHECKING:
    from sturgeon.messages import Relative

commands = typer.Typer()


@commands.command()
@connected
def lineage(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """List the trials of a lineage: forks and promoted trials, from the one at the root on."""
    with session.client() as client:
        answer = client.lineage(study, number)
    if session.json:
        return print_json(answer)
    rows = [
        (str(one.number), one.state, one.mode, one.value, _origin(one), one.changed or None) for one in answer.items
    ]
    print_table(("trial", "state", "mode", "value", "from", "changed"), rows, right=("trial", "value"), last=("mode",))
    if answer.left_out:
        say(f"{answer.left_out} newer trials are not shown.")
    return None


def _origin(one: Relative) -> str | None:
    return None if one.parent is None else f"{one.parent.number}, step {one.parent.step}"
