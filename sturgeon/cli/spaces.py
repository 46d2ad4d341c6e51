"""`sturgeon study preview | space | revisions`: look at a space, edit that of a study, and list its earlier ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sturgeon.cli.inputs import WrongInput, file_or_dash
from sturgeon.cli.output import print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import StudyArgument, print_study

if TYPE_CHECKING:
    from sturgeon.messages import Preview

commands = typer.Typer()


@commands.command()
@connected
def preview(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", parser=file_or_dash, help="A study file, or a space alone; - reads standard input."
        ),
    ],
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="The seed of the examples.")] = None,
    examples: Annotated[int | None, typer.Option(metavar="N", min=0, max=1000, help="How many examples.")] = None,
) -> None:
    """Show what a space draws: its quantiles, the shares of its values, and examples. Nothing is created."""
    from sturgeon.cli.files import read_mapping

    content = read_mapping(file)
    is_study = "metric" in content and isinstance(content.get("space"), dict)
    constraints = content.get("constraints", []) if is_study else []
    with session.client() as client:
        answer = client.preview(content["space"] if is_study else content, seed, examples, constraints)
    if session.json:
        return print_json(answer)
    print_preview(answer)
    return None


def print_preview(answer: Preview) -> None:
    """Each parameter in a row: its quantiles, or the shares of its values; then the examples."""
    quantiles = list(dict.fromkeys(q for one in answer.parameters.values() for q in one.quantiles or ()))
    names = [f"{float(q):.0%}" for q in quantiles]
    rows = [
        (name, *((one.quantiles or {}).get(q) for q in quantiles), _shares(one.shares))
        for name, one in answer.parameters.items()
    ]
    print_table(("parameter", *names, "shares"), rows, right=names, prose=("shares",))
    if answer.satisfied < 1:
        say(f"{answer.satisfied:.1%} of the space satisfies the constraints.")
    if answer.examples:
        params = list(dict.fromkeys(name for example in answer.examples for name in example))
        say("\nFor example:")
        print_table(params, [[example.get(name) for name in params] for example in answer.examples], right=params)


def _shares(shares: dict[str, float] | None) -> str | None:
    return None if shares is None else ", ".join(f"{value} {share:.0%}" for value, share in shares.items())


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
    if is_study and "constraints" in content:
        patch["constraints"] = content["constraints"]
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
            revision.constraints or None,
            {
                name: revision.space[name].model_dump(exclude_none=True, exclude_defaults=True)
                for name in revision.space
            },
        )
        for revision in spaces
    ]
    print_table(
        ("revision", "since", "older trials count as having", "constraints", "space"),
        rows,
        prose=("older trials count as having", "space"),
    )
    return None
