"""`sturgeon study space | revisions`: the space of a study that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sturgeon.cli.inputs import WrongInput, file_or_dash
from sturgeon.cli.output import print_json, print_table
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument, print_study

commands = typer.Typer()


@commands.command()
@connected
def space(
    session: Session,
    study: StudyArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", parser=file_or_dash, help="The new space, or a study file that has it; YAML or JSON."
        ),
    ],
    added: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="What the older trials count as having of a new parameter; again for more."
        ),
    ] = None,
) -> None:
    """Give a study that runs another space; results that lie in it stay in use."""
    from sturgeon.cli.files import read_mapping

    wanted = read_mapping(file)
    is_study = "metric" in wanted and isinstance(wanted.get("space"), dict)
    patch = {"space": wanted["space"] if is_study else wanted, "added": dict(map(_named, added or []))}
    with session.client() as client:
        print_study(session, client.patch_study(study, patch))


def _named(text: str) -> tuple[str, object]:
    """A name and its value, written as JSON; what is no JSON is text."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise WrongInput(f"--added takes NAME=VALUE, as in keep_prob=1.0; got {text!r}.")
    try:
        return name, json.loads(value, parse_constant=_no_number)
    except ValueError:
        return name, value


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


@commands.command()
@connected
def revisions(session: Session, study: StudyArgument) -> None:
    """List the spaces that a study had; the last one rules."""
    with session.client() as client:
        found = list(every_item(lambda size, token: client.revisions(study, size, token)))
    if session.json:
        return print_json(found)
    rows = [
        (
            one.revision,
            one.created_at,
            one.added or None,
            {name: one.space[name].model_dump(exclude_none=True, exclude_defaults=True) for name in one.space},
        )
        for one in found
    ]
    print_table(("revision", "since", "older trials count as having", "space"), rows)
    return None
