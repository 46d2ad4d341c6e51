"""`sturgeon import`: studies from the files of other tools, and trials from Optuna's storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sturgeon.cli.importing_trials import import_storage, print_notes
from sturgeon.cli.inputs import WrongInput, output_file
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import Session, connected
from sturgeon.cli.studies import print_study

if TYPE_CHECKING:
    from sturgeon.importers.drafts import Draft
    from sturgeon.values import Json

commands = typer.Typer()

Tool = Literal["wandb", "nni", "katib", "ray", "optuna"]


@commands.command("import")
@connected
def import_(
    session: Session,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A sweep of W&B, an experiment or search space of NNI, a Katib experiment, or a space of Ray Tune or "
            "Optuna: YAML, JSON, Python source (it is read, and not run), or module:attribute. Or the word optuna.",
        ),
    ],
    storage: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="With optuna: its storage, for example sqlite:///x.db.")
    ] = None,
    tool: Annotated[
        Tool | None,
        typer.Option("--from", help="The tool that the file is of (default: what it looks like)."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="With a storage: the name of the study in it.")] = None,
    name: Annotated[str | None, typer.Option(help="The study's name here (default: that of the file).")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="max_trials of the study.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-O", metavar="FILE", parser=output_file, help="Write the study to this file."),
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Create the study on the server.")] = False,
) -> None:
    """Make a study of another tool's file, or bring the finished trials of an Optuna storage into a study.

    What a study cannot express is named on standard error. Trials that were imported before are not imported again.
    """
    if create and out is not None:
        raise WrongInput("--create makes the study, --out writes it: choose one.")
    if storage is not None:
        if source != "optuna" or tool is not None or out is not None:
            raise WrongInput("Trials are brought by `sturgeon import optuna URL [--study NAME] [--name NAME]`.")
        return import_storage(session, storage, study, name, trials)
    if study is not None:
        raise WrongInput("--study names a study in a storage: sturgeon import optuna URL --study NAME.")
    draft, found = _draft(source, tool, name, trials)
    if session.json and not create and out is None:
        return print_json({"from": found, "study": draft.study, "unsaid": draft.unsaid, "assumed": draft.assumed})
    print_notes(draft)
    if create:
        with session.client() as client:
            return print_study(session, client.create_study(draft.study))
    text = _as_yaml(draft, source)
    if out is None:
        return say(text.rstrip("\n"))
    out.write_text(text, encoding="utf-8")
    return print_json({"file": str(out)}) if session.json else say(f"Wrote {out}. Next: sturgeon study create {out}")


def _draft(
    source: str, tool: Literal["wandb", "nni", "katib", "ray", "optuna"] | None, name: str | None, trials: int | None
) -> tuple[Draft, str]:
    """The study, checked, and the tool. Raises: WrongInput."""
    from pydantic import ValidationError

    from sturgeon.cli.files import read_mapping
    from sturgeon.importers.drafts import CannotImport
    from sturgeon.importers.recognise import NAMES, imported
    from sturgeon.messages import StudyRequest

    try:
        found, draft = imported(source, read_mapping, tool)
    except CannotImport as error:
        raise WrongInput(f"{source} cannot be imported. {error}") from None
    if name is not None:
        draft.study["name"] = name
    if trials is not None:
        draft.study["budget"]["max_trials"] = trials
        draft.assumed = [sentence for sentence in draft.assumed if "max_trials is" not in sentence]
    try:
        problems = [f"{one.detail}" for one in StudyRequest.model_validate(draft.study).space.problems()]
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    if problems:
        raise WrongInput(f"{source}, {NAMES[found]}, makes no valid study: {'; '.join(problems[:5])}.")
    return draft, NAMES[found]


def _as_yaml(draft: Draft, source: str) -> str:
    """The study as a file, with the notes on top of it."""
    import yaml

    notes = [f"Not imported: {one}" for one in draft.unsaid] + [f"Note: {one}" for one in draft.assumed]
    head = [f"# Imported from {source}.", *(f"# {note}" for note in notes)]
    body: Json = draft.study
    return "\n".join(head) + "\n" + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)
