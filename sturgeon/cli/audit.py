"""`sturgeon audit`: who has changed what."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sturgeon.cli.inputs import moment
from sturgeon.cli.output import cell, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected

if TYPE_CHECKING:
    from sturgeon.messages import AuditEntry

commands = typer.Typer()

Time = typer.Option(
    metavar="TIME",
    parser=moment,
    help="Such as 2026-11-28 or 2026-11-28T14:30, local as the table has it; or with a zone, 2026-11-28T14:30Z.",
)


@commands.command()
@connected
def audit(
    session: Session,
    actor: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this token; shared, or local.")] = None,
    action: Annotated[str | None, typer.Option(metavar="ACTION", help="Only this, such as study.delete.")] = None,
    study: Annotated[str | None, typer.Option(metavar="STUDY", help="Only of this study.")] = None,
    since: Annotated[datetime | None, Time] = None,
    until: Annotated[datetime | None, Time] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many of the newest.")] = 100,
) -> None:
    """Show what people and programs have changed, the newest first; not the work of workers."""
    wanted: Any = {"actor": actor, "action": action, "study": study, "since": since, "until": until}
    with session.client() as client:
        entries = every_item(lambda size, token: client.audit(min(size, limit), token, **wanted))
        listed = list(islice(entries, limit))
    if session.json:
        return print_json(listed)
    columns = ("at", "actor", "action", "study", "trial", "target", "what")
    print_table(columns, map(_row, listed), right=("trial",), prose=("what",), last=("what", "target"))
    if len(listed) == limit:
        say(f"These are the newest {limit}; --limit shows more.")
    return None


def _row(entry: AuditEntry) -> tuple[object, ...]:
    told = [", ".join(name for name in entry.detail.get("fields", ()) if name not in entry.detail)]
    told += [f"{name}={cell(value)}" for name, value in entry.detail.items() if name != "fields"]
    trial = None if entry.trial is None else str(entry.trial)
    return entry.at, entry.actor, entry.action, entry.study, trial, entry.target, "; ".join(filter(None, told))
