"""`sturgeon status`: whether the server is there, ready, and what it counts."""

from __future__ import annotations

from typing import Annotated

import typer

from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import Session, connected
from sturgeon.servers import shown

commands = typer.Typer()


@commands.command()
@connected
def status(
    session: Session,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print what the server counts, in the text format of Prometheus.")
    ] = False,
) -> None:
    """Say whether the server answers, and whether its database and its disk do."""
    with session.client() as client:
        client.health()
        client.ready()
        counted = client.counters() if metrics else None
    if session.json:
        return print_json({"server": shown(session.address), "ready": True, "metrics": counted})
    say(f"{shown(session.address)} is ready." if counted is None else counted.rstrip("\n"))
    return None
