"""`sturgeon study report`: a study for a colleague, as one file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sturgeon.cli.inputs import WrongInput, output_file
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import FormatOrFileOption, Session, addressed, format_or_file
from sturgeon.cli.studies import StudyArgument

commands = typer.Typer()

TIMEOUT_S = 120.0
"""The importance of a large study takes a while to be learnt."""


@commands.command("report")
@addressed
def report_(
    session: Session,
    study: StudyArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-O",
            metavar="FILE",
            parser=output_file,
            help="A .html or .md file (default: STUDY-report.html).",
        ),
    ] = None,
    output: FormatOrFileOption = None,
) -> None:
    """Write a report for a colleague: the question, the result with its noise, pictures, and how to do it again.

    A .html file has all in it, and no scripts. A .md file has its pictures beside it, as FILE-KIND.png.
    """
    from sturgeon import __version__
    from sturgeon.cli.report_content import blocks, gathered
    from sturgeon.cli.report_html import as_html
    from sturgeon.cli.report_markdown import as_markdown
    from sturgeon.extras import require

    session, out = format_or_file(session, output, out)
    file = out or Path(f"{study}-report.html")
    if file.suffix.lower() not in (".html", ".md"):
        raise WrongInput(f"{file}: write a name that ends in .html or .md.")
    require("plots", "A report")
    with session.client(timeout=TIMEOUT_S) as client:
        facts = gathered(client, study)
    title = facts.study.title or facts.study.name
    made = f"Study {study}, as it was on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; made by Sturgeon {__version__}"
    if file.suffix.lower() == ".html":
        written = {file: as_html(title, made, blocks(facts))}
    else:
        text, pictures = as_markdown(title, made, blocks(facts), file.stem)
        written = {file: text.encode()} | {file.with_name(name): data for name, data in pictures.items()}
    for path, data in written.items():
        path.write_bytes(data)
    if session.json:
        return print_json({"study": study, "files": [str(path) for path in written]})
    beside = f", and {len(written) - 1} pictures beside it" if len(written) > 1 else ""
    say(f"{file}: the report{beside}.")
    return None
