"""`sturgeon study diagnosis | errors | events`."""

from __future__ import annotations

from collections import deque
from typing import Annotated

import typer

from sturgeon.cli.output import cell, print_json, print_table
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument

commands = typer.Typer()


@commands.command()
@connected
def diagnosis(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Bias, variance and data mismatch of a trial's model, with what to try next."""
    with session.client() as client:
        found = client.diagnosis(study, number)
    if session.json or "gaps" not in found:  # one's own code may upload a form of its own
        return print_json(found)
    rows = [(part, error, found["sizes"].get(part)) for part, error in found["errors"].items()]
    print_table(("part", "error", "examples"), rows, right=("error", "examples"))
    gaps = [
        (gap["name"], " to ".join(gap["between"]), gap["size"], gap["uncertainty"], gap["clear"])
        for gap in found["gaps"]
    ]
    typer.echo("")
    print_table(("gap", "between", "size", "±", "clear"), gaps, right=("size", "±"))
    for line in (*found["advice"], *found["warnings"], *found["alarms"]):
        typer.echo(f"- {cell(line)}")
    return None


@commands.command()
@connected
def errors(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    limit: Annotated[int, typer.Option(min=1, help="At most so many misclassified examples, the surest first.")] = 10,
) -> None:
    """The examples that a trial's model takes for another class, and what each kind of mistake costs."""
    with session.client() as client:
        found = client.errors(study, number)
    if session.json or "mistakes" not in found:
        return print_json(found)
    typer.echo(f"{found['wrong']} of the {found['examples']} examples of {cell(found['part'])} are wrong.")
    tags = [(one["tag"], one["count"], one["ceiling"]) for one in found["categories"][:limit]]
    print_table(("kind", "count", "costs"), tags, right=("count", "costs"))
    typer.echo("")
    rows = [(str(one["row"]), one["label"], one["predicted"], one["probability"]) for one in found["mistakes"][:limit]]
    print_table(("row", "label", "taken for", "probability"), rows, right=("row", "probability"))
    return None


@commands.command()
@connected
def events(
    session: Session,
    study: StudyArgument,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only these, as `drift` or `pruned`.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
) -> None:
    """What happened to a study and its trials, the newest last."""
    with session.client() as client:
        listed = every_item(lambda size, token: client.events(study, size, token))
        newest = deque((event for event in listed if kind in (None, event.kind)), limit)
    if session.json:
        return print_json(list(newest))
    rows = [(event.at, event.number, event.kind, event.detail) for event in newest]
    print_table(("at", "trial", "event", "detail"), rows, right=("trial",))
    return None
