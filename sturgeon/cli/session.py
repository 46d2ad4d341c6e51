"""How a command reaches the server and prints: --server, --token-file and -o, before or after the command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from sturgeon import servers
from sturgeon.cli import tables
from sturgeon.cli.inputs import any_path, not_empty, output_file

if TYPE_CHECKING:
    from sturgeon.client import Client
    from sturgeon.embedded import EmbeddedServer

Format = Literal["table", "json"]
EMBEDDED: Final = Path(".sturgeon")

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        parser=not_empty,
        help="The server (env: STURGEON_SERVER; default: that of ./.sturgeon, or http://127.0.0.1:8000).",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        parser=any_path,
        help="A file with the server's token (env: STURGEON_TOKEN or STURGEON_TOKEN_FILE).",
    ),
]
OutputOption = Annotated[
    Format | None,
    typer.Option("--output", "-o", help="A table for people, or JSON for scripts (default: table)."),
]
FormatOrFileOption = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="json|FILE", help="json: say in JSON what was written. Else as --out."),
]

WideOption = Annotated[
    bool | None, typer.Option("--wide", help="Show all columns of a table, however narrow the terminal is.")
]

_OPTIONS: Final = {"server": ServerOption, "token_file": TokenFileOption, "output": OutputOption, "wide": WideOption}
_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class Session:
    """What the command line said about the server and the output."""

    server: str | None = None
    token_file: Path | None = None
    output: Format = "table"
    wide: bool = False

    @property
    def address(self) -> str:
        """The server that was named; else the embedded one of this folder, if it has one; else the usual address."""
        named = self.server or servers.named_server()
        return named or (self._embedded.url if self._embedded else "http://127.0.0.1:8000")

    @cached_property
    def _embedded(self) -> EmbeddedServer | None:
        """The server of `./.sturgeon`, where `sturgeon tune` and `sturgeon.study` keep their studies; it is started
        if it does not run, and used until this command ends."""
        from sturgeon import embedded

        return embedded.server(EMBEDDED.absolute()) if self.is_embedded else None

    @property
    def is_embedded(self) -> bool:
        """Whether no server was named, and this folder has an embedded one."""
        return not (self.server or servers.named_server()) and (EMBEDDED / "token").exists()

    @property
    def json(self) -> bool:
        return self.output == "json"

    def overridden(
        self,
        server: str | None = None,
        token_file: Path | None = None,
        output: Format | None = None,
        wide: bool | None = None,
    ) -> Session:
        """This session, with the options that are given; None leaves one as it is."""
        return Session(
            server or self.server, token_file or self.token_file, output or self.output, bool(wide or self.wide)
        )

    def token(self) -> str | None:
        """The shared token; `--token-file` wins over the environment.

        Raises: SturgeonError (the file cannot be read or is empty, or both environment variables are set).
        """
        if self._embedded is not None:
            return self._embedded.token
        return servers.token(self.token_file)

    def client(self, patience_s: float = 2.0, timeout: float = 30.0) -> Client:
        """A client that gives up soon: a person waits for it. What runs for long takes more patience."""
        from sturgeon.client import Client

        return Client(self.address, token=self.token(), patience_s=patience_s, timeout=timeout)


def _taking(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator for a command that takes a Session first: typer gives it these options instead."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        added = {**{name: _OPTIONS[name] for name in names}, "context": typer.Context}

        @functools.wraps(command)
        def with_session(context: typer.Context, **arguments: Any) -> None:
            session: Session = context.obj  # of the options before the command
            repeated = {name: arguments.pop(name) for name in names}
            chosen = session.overridden(**repeated)
            tables.wide.set(chosen.wide)
            command(chosen, **arguments)

        parameters = [p.replace(kind=_KEYWORD) for p in list(own.parameters.values())[1:]]
        parameters += [
            inspect.Parameter(name, _KEYWORD, default=None, annotation=option) for name, option in added.items()
        ]
        with_session.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_session.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_session

    return decorate


connected = _taking("server", "token_file", "output", "wide")
"""For commands that ask the server."""

formatted = _taking("output", "wide")
"""For commands that only print."""

addressed = _taking("server", "token_file")
"""For commands that ask the server, write a file, and take a `FormatOrFileOption`."""


def format_or_file(session: Session, output: str | None, out: Path | None) -> tuple[Session, Path | None]:
    """The session and the file of a command whose -o may be either. Raises: WrongInput (it is no file to write)."""
    match output:
        case "table" | "json":
            return session.overridden(output=output), out
    return session, out if out is not None or output is None else output_file(output)
