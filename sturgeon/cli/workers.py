"""`sturgeon workers`."""

from __future__ import annotations

import typer

from sturgeon.cli.output import ago, print_json, print_table
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected

commands = typer.Typer()


@commands.command()
@connected
def workers(session: Session) -> None:
    """List the workers that this server has seen."""
    with session.client() as client:
        items = list(every_item(client.workers))
    if session.json:
        return print_json(items)
    rows = [(w.name, f"{w.running}/{w.slots}", ago(w.last_seen_at), "draining" if w.drain else "") for w in items]
    print_table(("worker", "running", "seen", ""), rows, right=("running",))
    return None
