"""`sturgeon study space | revisions`: edit a study's space, and list its earlier spaces."""

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
            metavar="FILE",
            parser=file_or_dash,
            help="The new space, or a study file that contains it, as YAML or JSON.",
        ),
    ],
    added: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="The value that earlier trials count as having for a new parameter; may be repeated.",
        ),
    ] = None,
) -> None:
    """Replace the space of a study while it runs; results inside the new space stay in use."""
    from sturgeon.cli.files import read_mapping

    content = read_mapping(file)
    is_study = "metric" in content and isinstance(content.get("space"), dict)
    patch = {"space": content["space"] if is_study else content, "added": dict(map(_named, added or []))}
    with session.client() as client:
        print_study(session, client.patch_study(study, patch))


def _named(text: str) -> tuple[str, object]:
    """The name and value of NAME=VALUE; the value is JSON, or else text. Raises: WrongInput."""
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
    """List all spaces that a study has had; the last one is in force."""
    with session.client() as client:
        spaces = list(every_item(lambda size, token: client.revisions(study, size, token)))
    if session.json:
        return print_json(spaces)
    rows = [
        (
            revision.revision,
            revision.created_at,
            revision.added or None,
            {
                name: revision.space[name].model_dump(exclude_none=True, exclude_defaults=True)
                for name in revision.space
            },
        )
        for revision in spaces
    ]
    print_table(
        ("revision", "since", "older trials count as having", "space"),
        rows,
        prose=("older trials count as having", "space"),
    )
    return None
