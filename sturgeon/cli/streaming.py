"""`sturgeon study stream`: what changes, as the server tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.completion import study_names
from sturgeon.cli.output import cell, say, say_json
from sturgeon.cli.rows import SinceOption
from sturgeon.cli.session import Session, connected

if TYPE_CHECKING:
    from sturgeon.messages import StreamEvent
    from sturgeon.values import Json

commands = typer.Typer()

PATIENCE_S = 120.0
"""Long enough for a restart of the server."""


@commands.command()
@connected
def stream(
    session: Session,
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", help="The study's name; all studies if none.", autocompletion=study_names),
    ] = None,
    since: SinceOption = None,
) -> None:
    """Print what changes of a study until it ends, or of all studies: a line each, or with -o json the events."""
    with session.client(patience_s=PATIENCE_S) as client:
        for event in client.stream(study, since):
            if session.json:
                say_json(event.model_dump_json())
            else:
                for line in _lines(event):
                    say(line)
            if event.event == "study" and _has_ended(event.data):
                return


def _has_ended(study: Json) -> bool:
    """Whether nothing more will happen: as `sturgeon study watch` sees it."""
    return study["state"] in ("completed", "cancelled") or (
        study["state"] == "stopped" and not study["counts"].get("running", 0)
    )


def _lines(event: StreamEvent) -> Iterator[str]:
    data = event.data
    if event.event == "rows":
        for row in data["rows"]:
            score = "" if row["score"] is None else f", {data['objective']} {cell(row['score'])}"
            yield f"trial {row['number']}: {row['state']}{score}"
    elif event.event == "events":
        for one in data["items"]:
            where = "" if one["number"] is None else f" of trial {one['number']}"
            yield f"{one['kind']}{where}: {cell(one['detail'])}"
    elif event.event == "study":
        yield _study_line(data["name"], data["state"], data["counts"], data["best"] and data["best"]["value"])
    elif event.event == "studies":
        for one in data["studies"]:
            yield _study_line(one["name"], one["state"], one["counts"], one["best"])
    elif event.event == "workers":
        for one in data["items"]:
            doing = "gone" if one["gone"] else f"{one['running']} running"
            yield f"worker {cell(one['name'])}: {doing}"


def _study_line(name: str, state: str, counts: Json, best: float | None) -> str:
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    return ", ".join([f"{name} is {state}", *parts, *([] if best is None else [f"best {cell(best)}"])])
