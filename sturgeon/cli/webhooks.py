"""`sturgeon webhook add | list | delete | test | deliveries`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.completion import study_names
from sturgeon.cli.inputs import not_empty
from sturgeon.cli.output import ago, cell, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.errors import SturgeonError

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.messages import Delivery, WebhookEvent

commands = typer.Typer()

WAIT_S: Final = 20.0
LOOK_EVERY_S: Final = 0.2

WebhookArgument = Annotated[int, typer.Argument(metavar="ID", min=1, help="Its number, as `webhook list` has it.")]


@commands.command()
@connected
def add(
    session: Session,
    url: Annotated[str, typer.Argument(metavar="URL", parser=not_empty, help="Where to POST, as https://HOST/PATH.")],
    study: Annotated[
        str | None,
        typer.Option(metavar="STUDY", parser=not_empty, help="Tell of this study alone.", autocompletion=study_names),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT",
            help="study_done, new_best, drift or failure; repeat the option for several (default: all of them).",
        ),
    ] = None,
) -> None:
    """Tell an address of what happens to studies. The secret that is printed is not shown again."""
    events: list[WebhookEvent] | None = on  # type: ignore[assignment]  # the server says which there are
    with session.client() as client:
        answer = client.create_webhook(url, study, events)
    if session.json:
        return print_json(answer)
    whose = f"the study {answer.study}" if answer.study else "all studies"
    say(f"Webhook {answer.id}: {cell(answer.url)} is told of {', '.join(answer.events)} of {whose}.")
    say(f"Its secret, which is not shown again: {answer.secret}")
    return None


@commands.command("list")
@connected
def list_(session: Session) -> None:
    """List the webhooks of this server."""
    with session.client() as client:
        listed = list(every_item(client.webhooks))
    if session.json:
        return print_json(listed)
    rows = [(str(one.id), one.study or "all", one.events, str(one.failures), one.url) for one in listed]
    print_table(("id", "study", "events", "failures", "url"), rows, right=("id", "failures"), prose=("url",))
    return None


@commands.command()
@connected
def delete(session: Session, webhook: WebhookArgument) -> None:
    """Tell an address nothing more, not even what waits."""
    with session.client() as client:
        client.delete_webhook(webhook)
    if session.json:
        return print_json({"deleted": str(webhook)})
    say(f"Webhook {webhook} is deleted.")
    return None


@commands.command()
@connected
def test(session: Session, webhook: WebhookArgument) -> None:
    """Send a message that tells of nothing, and wait for what comes of it."""
    with session.client() as client:
        sent = _outcome(client, webhook, client.test_webhook(webhook).id)
    if sent.state != "delivered":
        raise SturgeonError(f"Not delivered: {sent.error or f'no server has sent it within {WAIT_S:.0f} s'}.")
    if session.json:
        return print_json(sent)
    say(f"Delivered: the answer was {sent.status}.")
    return None


def _outcome(client: Client, webhook: int, message: str) -> Delivery:
    """The delivery after its first attempt, or as it is after WAIT_S."""
    give_up = time.monotonic() + WAIT_S
    while True:
        listed = every_item(lambda size, token: client.deliveries(webhook, size, token))
        found = next(one for one in listed if one.id == message)
        if found.attempts or time.monotonic() > give_up:
            return found
        time.sleep(LOOK_EVERY_S)


@commands.command()
@connected
def deliveries(session: Session, webhook: WebhookArgument) -> None:
    """List what an address was told within the last week, or is still to be told; the newest first."""
    with session.client() as client:
        listed = list(every_item(lambda size, token: client.deliveries(webhook, size, token)))
    if session.json:
        return print_json(listed)
    rows = [(ago(one.at), one.event, one.state, str(one.attempts), one.error or "", one.id) for one in listed]
    columns = ("when", "event", "state", "attempts", "error", "id")
    print_table(columns, rows, right=("attempts",), prose=("error",), last=("id",))
    return None
