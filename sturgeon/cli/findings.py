"""`sturgeon study dataset | diagnosis | errors | events`."""

from __future__ import annotations

from collections import deque
from typing import Annotated

import typer

from sturgeon.cli.output import cell, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import NumberArgument, StudyArgument
from sturgeon.cli.summaries import print_summary
from sturgeon.errors import NotFound

commands = typer.Typer()


@commands.command()
@connected
def dataset(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Show what a trial's data were read as: rows, columns, classes, parts, constant and dropped columns."""
    with session.client() as client:
        found = client.trial(study, number).dataset
    if found is None:
        raise NotFound(f"Trial {number} has no summary of its data; a train task uploads it when it begins.")
    return print_json(found) if session.json else print_summary(found)


@commands.command()
@connected
def diagnosis(session: Session, study: StudyArgument, number: NumberArgument) -> None:
    """Show bias, variance and data mismatch of a trial's model, with advice on what to try next."""
    with session.client() as client:
        body = client.diagnosis(study, number)
    if session.json or "gaps" not in body:  # own code may upload a diagnosis of another form
        return print_json(body)
    rows = [(part, error, body["sizes"].get(part)) for part, error in body["errors"].items()]
    print_table(("part", "error", "examples"), rows, right=("error", "examples"))
    gaps = [
        (gap["name"], " to ".join(gap["between"]), gap["size"], gap["uncertainty"], gap["clear"])
        for gap in body["gaps"]
    ]
    say("")
    print_table(("gap", "between", "size", "±", "clear"), gaps, right=("size", "±"))
    for line in (*body["advice"], *body["warnings"], *body["alarms"]):
        say(f"- {cell(line)}")
    return None


@commands.command()
@connected
def errors(
    session: Session,
    study: StudyArgument,
    number: NumberArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many mistakes to show, the most confident first.")] = 10,
) -> None:
    """Show the examples that a trial's model misclassifies, and the share of the error of each kind of mistake."""
    with session.client() as client:
        body = client.errors(study, number)
    if session.json or "mistakes" not in body:
        return print_json(body)
    say(f"{body['wrong']} of the {body['examples']} {cell(body['part'])} examples are misclassified.")
    tags = [(row["tag"], row["count"], row["ceiling"]) for row in body["categories"][:limit]]
    print_table(("kind", "count", "ceiling"), tags, right=("count", "ceiling"))
    say("")
    mistakes = body["mistakes"][:limit]
    rows = [
        (str(example["row"]), example["label"], example["predicted"], example["probability"]) for example in mistakes
    ]
    print_table(("row", "label", "predicted", "probability"), rows, right=("row", "probability"))
    return None


@commands.command()
@connected
def events(
    session: Session,
    study: StudyArgument,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only this kind, for example drift or pruned.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest events to show.")] = 100,
) -> None:
    """List the events of a study and its trials, the newest last."""
    with session.client() as client:
        listed = every_item(lambda size, token: client.events(study, size, token))
        newest = deque((event for event in listed if kind in (None, event.kind)), limit)
    if session.json:
        return print_json(list(newest))
    rows = [(event.at, event.number, event.kind, event.actor, event.detail) for event in newest]
    columns, kept = ("at", "trial", "event", "by", "detail"), ("event", "detail")
    print_table(columns, rows, right=("trial",), prose=("detail",), keep=kept, last=("by",))
    return None
