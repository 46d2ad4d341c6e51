"""`sturgeon token create | list | revoke`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sturgeon.cli.inputs import WrongInput, not_empty, output_file
from sturgeon.cli.output import ago, print_json, print_table, say
from sturgeon.cli.paging import every_item
from sturgeon.cli.session import Session, connected
from sturgeon.servers import shown
from sturgeon.temporary import written_beside

if TYPE_CHECKING:
    from sturgeon.messages import TokenScope

commands = typer.Typer()

DAY_S: Final = 24 * 3600

NameArgument = Annotated[str, typer.Argument(metavar="NAME", parser=not_empty, help="Whose token it is.")]


@commands.command()
@connected
def create(
    session: Session,
    name: NameArgument,
    scope: Annotated[
        list[str],
        typer.Option(metavar="SCOPE", help="read, write, work or admin; repeat the option for several."),
    ],
    studies: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            parser=not_empty,
            help="Only for studies whose names begin with it; repeat the option for several (default: for all).",
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=3660, help="Days until it expires (default: it does not).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=output_file,
            help="Write the token to this file, which only its owner may read, and do not print it.",
        ),
    ] = None,
) -> None:
    """Make a token for a person, a program or a worker. It is printed once, and not shown again."""
    scopes: list[TokenScope] = scope  # type: ignore[assignment]  # the server says which there are
    with _secret_file(out) as file, session.client() as client:
        answer = client.create_token(name, scopes, None if days is None else days * DAY_S, studies)
        if file is not None:
            file.write_text(f"{answer.token}\n", encoding="ascii")
    if session.json:
        return print_json(answer if out is None else answer.model_dump(mode="json", exclude={"token"}))
    until = "until it is revoked" if answer.expires_at is None else f"until {answer.expires_at:%Y-%m-%d %H:%M} UTC"
    of = "" if answer.studies is None else f", of studies that begin with {' or '.join(answer.studies)}"
    say(f"Token {answer.name} is for {', '.join(answer.scopes)}{of}, {until}.")
    where = f"not shown again: {answer.token}" if out is None else f"written to {out}."
    say(f"It is known to the server at {shown(session.address)}, and {where}")
    return None


@contextmanager
def _secret_file(out: Path | None) -> Iterator[Path | None]:
    """A file for one user that takes the name `out` at the end. It is there before the token is, which would be lost
    if it could not be written. Raises: WrongInput (it cannot be)."""
    if out is None:
        yield None
        return
    try:
        with written_beside(out) as file:
            file.chmod(0o600)
            yield file
    except OSError as error:
        raise WrongInput(f"{out} cannot be written: {error.strerror}.") from None


@commands.command("list")
@connected
def list_(session: Session) -> None:
    """List the tokens of this server, and those that ended within the last 30 days."""
    with session.client() as client:
        listed = list(every_item(client.tokens))
    if session.json:
        return print_json(listed)
    rows = [
        (
            one.name,
            one.scopes,
            "all" if one.studies is None else [f"{prefix}*" for prefix in one.studies],
            one.state,
            ago(one.created_at),
            "never" if one.last_used_at is None else ago(one.last_used_at),
            "never" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d %H:%M} UTC",
        )
        for one in listed
    ]
    print_table(("name", "scopes", "studies", "state", "created", "used", "expires"), rows)
    return None


@commands.command()
@connected
def revoke(session: Session, name: NameArgument) -> None:
    """Let nobody in by a token any more; all servers know it within 2 seconds."""
    with session.client() as client:
        client.revoke_token(name)
    if session.json:
        return print_json({"deleted": name})
    say(f"Token {name} is revoked.")
    return None
