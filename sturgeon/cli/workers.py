"""`sturgeon workers | drain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.output import ago, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected

if TYPE_CHECKING:
    from sturgeon.messages import Worker

commands = typer.Typer()


@commands.command()
@connected
def workers(
    session: Session,
    every: Annotated[bool, typer.Option("--all", help="Also those that have not called for a minute.")] = False,
) -> None:
    """List the workers of this server."""
    with session.client() as client:
        known = list(every_item(client.workers))
    listed = known if every else [worker for worker in known if not worker.gone]
    if session.json:
        return print_json(listed)
    rows = [(w.name, str(w.running), str(w.slots), ago(w.last_seen_at), _state(w)) for w in listed]
    print_table(("worker", "running", "slots", "seen", ""), rows, right=("running", "slots"), keep=("",))
    if hidden := len(known) - len(listed):
        say(f"\nNot shown: {hidden} that have not called for a minute (--all shows them).")
    return None


@commands.command()
@connected
def drain(
    session: Session, worker: Annotated[str, typer.Argument(metavar="WORKER", help="Its name, as `workers` has it.")]
) -> None:
    """Let a worker finish what it runs, take nothing new, and end."""
    with session.client() as client:
        answer = client.drain_worker(worker)
    if session.json:
        return print_json(answer)
    say(f"{answer.name} ends when it has finished what it runs ({answer.running} trials).")
    return None


def _state(worker: Worker) -> str:
    return "gone" if worker.gone else "draining" if worker.drain else ""
