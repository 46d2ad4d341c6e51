"""`sturgeon panda proposals | accept | dismiss`: what policies propose, and what people say to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.output import print_json, print_table, say
from sturgeon.cli.panda import ReasonOption, print_steered
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.errors import NotFound

if TYPE_CHECKING:
    from sturgeon.client import Client

commands = typer.Typer()

ProposalArgument = Annotated[
    int | None, typer.Argument(metavar="[ID]", min=1, help="The proposal; may be left out if only one is open.")
]


@commands.command()
@connected
def proposals(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """List what policies have proposed for a trial, and what became of it."""
    with session.client() as client:
        listed = client.proposals(study, number)
    if session.json:
        return print_json(listed)
    rows = [(str(one.id), one.state, one.policy, one.params or None, one.reason, one.at) for one in listed]
    columns = ("proposal", "state", "policy", "with", "why", "at")
    print_table(columns, rows, right=("proposal",), prose=("why",), keep=("state",), last=("at",))
    return None


@commands.command()
@connected
def accept(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    proposal: ProposalArgument = None,
    reason: ReasonOption = "",
    rejected: Annotated[bool, typer.Option("--dismiss", help="Reject it, as `panda dismiss` does.")] = False,
) -> None:
    """Accept what a policy proposed."""
    if rejected:
        return _dismiss(session, study, number, proposal)
    with session.client() as client:
        chosen = proposal or _only_open(client, study, number)
        return print_steered(session, client.accept(study, number, chosen, reason), number)


@commands.command()
@connected
def dismiss(session: Session, study: StudyArgument, number: NumberArgument, proposal: ProposalArgument = None) -> None:
    """Reject what a policy proposed; the policy waits before it proposes again."""
    _dismiss(session, study, number, proposal)


def _dismiss(session: Session, study: str, number: int, proposal: int | None) -> None:
    with session.client() as client:
        answer = client.dismiss(study, number, proposal or _only_open(client, study, number))
    if session.json:
        return print_json(answer)
    say(f"Proposal {answer.id} is dismissed.")
    return None


def _only_open(client: Client, study: str, number: int) -> int:
    open_ids = [offer.id for offer in client.proposals(study, number) if offer.state == "open"]
    if not open_ids:
        raise NotFound(f"No proposal for trial {number} of {study} is open.")
    if len(open_ids) > 1:
        raise WrongInput(f"Several proposals are open; choose one: {', '.join(map(str, open_ids))}.")
    return open_ids[0]
