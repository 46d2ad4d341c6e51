"""Shell completion of study names. It asks the server briefly, and offers nothing if that fails."""

from __future__ import annotations

import typer

from sturgeon import embedded
from sturgeon.cli.session import EMBEDDED, Session
from sturgeon.errors import SturgeonError


def study_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names of studies that begin with what was typed."""
    session = _session(context)
    if session.is_embedded and embedded.running(EMBEDDED.absolute()) is None:
        return []  # to start it takes seconds
    try:
        with session.client(patience_s=0.0, timeout=1.0) as client:
            names = [study.name for study in client.studies(page_size=1000).items]
    except SturgeonError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _session(context: typer.Context) -> Session:
    """Completion runs no command: the options are read from the parser, and those nearest to the word win."""
    session = Session()
    levels = [context]
    while (parent := levels[-1].parent) is not None:
        levels.append(parent)  # type: ignore[arg-type]
    for level in reversed(levels):
        session = session.overridden(server=level.params.get("server"), token_file=level.params.get("token_file"))
    return session
