"""`sturgeon backup | restore`: the SQLite database of this machine as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sturgeon.cli.inputs import existing_file, output_file
from sturgeon.cli.operate import DatabaseOption, settings_from
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import Session, formatted

commands = typer.Typer()


@commands.command()
@formatted
def backup(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=output_file, help="Where to write the copy.")],
    database_url: DatabaseOption = None,
) -> None:
    """Copy the SQLite database; the server may be running. Checkpoints are files: copy their folder too."""
    settings = settings_from(database_url=database_url)
    from server.store.backup import backup as copy_database

    copy_database(settings.database_address(), file)
    size = file.stat().st_size
    if session.json:
        return print_json({"file": str(file), "size": size})
    say(f"{file}: {size / 1000:.0f} kB.")
    return None


@commands.command()
@formatted
def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=existing_file, help="What `sturgeon backup` wrote.")],
    database_url: DatabaseOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the database that is there.")] = False,
) -> None:
    """Make the SQLite database what a backup has; no server may run. Restore the folder of checkpoints, too."""
    settings = settings_from(database_url=database_url)
    from server.store.backup import restore as restore_database

    revision = restore_database(settings.database_address(), file, replace=replace)
    if session.json:
        return print_json({"revision": revision})
    say(f"The database is as in {file}, at revision {revision}.")
    return None
