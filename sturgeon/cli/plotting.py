"""`sturgeon study plot`: a picture as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sturgeon.cli.inputs import WrongInput, output_file
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import FormatOrFileOption, Session, addressed, format_or_file
from sturgeon.cli.studies import StudyArgument
from sturgeon.errors import SturgeonError
from sturgeon.plots.kinds import COURSE_KINDS, KINDS, STUDY_KINDS, TRIAL_KINDS

if TYPE_CHECKING:
    from sturgeon.plots.drawing import Format

commands = typer.Typer()


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


@commands.command()
@addressed
def plot(
    session: Session,
    study: StudyArgument,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help=f"{', '.join((*STUDY_KINDS, *COURSE_KINDS))}; with --trial {', '.join(TRIAL_KINDS)}.",
            autocompletion=_kinds,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-O",
            metavar="FILE",
            parser=output_file,
            help="A .png, .svg, .html or .json file (default: STUDY-KIND.png).",
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(metavar="N", min=0, help="The trial, for a picture of one.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME",
            help="Of slice one, of map two, of parallel those to show, of knobs one.",
        ),
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="NAME", help="Of curves and trial_curves: the metric.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Of curves: a log axis.")] = False,
    top: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", min=0.1, max=100, help="Of parallel: only the best so many per cent."),
    ] = None,
    theme: Annotated[Literal["light", "dark"], typer.Option(help="Its colours.")] = "light",
    output: FormatOrFileOption = None,
) -> None:
    """Draw a picture of a study, or with --trial of a trial: sturgeon study plot digits history -o history.png."""
    from sturgeon.plots.drawing import drawn
    from sturgeon.plots.registry import PLOTS
    from sturgeon.tuning.pictures import picture

    session, out = format_or_file(session, output, out)
    file = out or Path(f"{study}-{kind}.png")
    format_ = _format(file)
    options = _options(kind, parameter or []) | {
        "metric": metric,
        "scale": "log" if log else None,
        "top": None if top is None else str(top),
    }
    try:
        with session.client() as client:
            spec = picture(client, study, kind, trial, **options)
    except SturgeonError as error:
        if type(error) is SturgeonError:  # the command is wrong, not what the server has
            raise WrongInput(error.message) from None
        raise
    file.write_bytes(drawn(spec, format_, theme))
    if session.json:
        return print_json({"file": str(file), "kind": kind, "study": study, "trial": trial})
    say(f"{file}: {PLOTS[kind].about}.")
    return None


def _format(file: Path) -> Format:
    from sturgeon.plots.drawing import FORMATS

    for format_ in FORMATS:
        if file.suffix.lower() == f".{format_}":
            return format_
    raise WrongInput(f"{file}: write a name that ends in {', '.join(f'.{one}' for one in FORMATS)}.")


def _options(kind: str, parameters: list[str]) -> dict[str, str | None]:
    """The parameters as the options of a kind. Raises: WrongInput (it takes another number of them)."""
    if not parameters:
        return {}
    match kind, parameters:
        case "slice" | "grid_against_random" | "beta_scale" | "two_stage", [one]:
            return {"field": one}
        case "map" | "zoom", [x, y]:
            return {"x": x, "y": y}
        case "knobs", [one]:
            return {"knob": one}
        case "parallel", _:
            return {"fields": "\n".join(parameters)}
    raise WrongInput(
        f"{kind} takes no {len(parameters)} parameters: slice and knobs take one, map and zoom two, parallel many."
    )
