"""The command `sturgeon`.

A command is imported when it is called (`listing.py` names all), and imports what it needs in its body, so that --help
and completion stay quick.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final, NoReturn

import typer

from sturgeon import __version__, extras
from sturgeon.cli import listing, streams
from sturgeon.cli.inputs import WrongInput
from sturgeon.cli.lazily import Group
from sturgeon.cli.output import say
from sturgeon.cli.session import OutputOption, ServerOption, Session, TokenFileOption, WideOption
from sturgeon.errors import Problem, ServerUnreachable, SturgeonError, Unauthorized
from sturgeon.one_thread import limit_programs

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130

TOKEN_HINT: Final = "Name its file with --token-file or STURGEON_TOKEN_FILE, or set STURGEON_TOKEN."
WORDS: Final = {
    "Value error, ": "",
    "Input should be a valid integer, unable to parse string as an integer": "write a whole number",
    "Input should be a valid number, unable to parse string as a number": "write a number",
    "Input should be": "it should be",
}
COMMANDS: Final = {
    "GET /v1/workers": "`sturgeon workers`",
    "GET /v1/webhooks": "`sturgeon webhook list`",
    "GET /v1/tokens": "`sturgeon token list`",
    "(--force, ?force=true)": "(--force)",
}
"""What a sentence of the server says to programs, and what it says here: the command that asks that route."""
EPILOG: Final = (
    "Exit codes: 0 success; 1 refused by the server, not found, or failed; 2 the command, an option or an input file "
    "is wrong; 3 the server cannot be reached; 130 interrupted."
)


class _Root(Group):
    """Says where a command stands that was written without its group, as `sturgeon best`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (summary, commands) in listing.GROUPS.items():
            self.add_command(Group(name=name, help=summary, no_args_is_help=True).listing(commands))
        self.listing(listing.ROOT)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException:
            groups = [name for name, group in self.commands.items() if args[0] in getattr(group, "commands", ())]
            if not groups:
                raise
            meant = " or ".join(f"`sturgeon {group} {args[0]}`" for group in groups)
            raise WrongInput(f"No such command '{args[0]}'. Do you mean {meant}?") from None


app = typer.Typer(
    name="sturgeon",
    cls=_Root,
    help="Search hyperparameters: a server hands out trials, workers run them, and the server keeps the best models.",
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"sturgeon {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    output: OutputOption = None,
    wide: WideOption = None,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Session().overridden(server=server, token_file=token_file, output=output, wide=wide)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; an error is one sentence on standard error."""
    streams.make_usable()
    try:
        code = app(args=arguments, prog_name="sturgeon", standalone_mode=False) or 0
        sys.stdout.flush()  # a full disk is noticed here, not when Python ends
        return code
    except typer.TyperException as error:
        return _complain(error.format_message(), error.exit_code)
    except ServerUnreachable as error:
        return _complain(error.message, UNREACHABLE)
    except Unauthorized as error:
        return _complain(f"{error.message} {TOKEN_HINT}", FAILED)
    except SturgeonError as error:
        return _complain(_with_fields(error), FAILED)
    except ModuleNotFoundError as error:
        if (missing := extras.explained(error, "This command")) is None:
            raise
        return _complain(missing.message, FAILED)
    except typer.Abort:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has read enough
        streams.discard_output()
        return FAILED
    except OSError as error:
        if error.errno == errno.ENOSPC:
            streams.discard_output()
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}", FAILED)


def main() -> NoReturn:
    """Run the command line and exit with its exit code."""
    limit_programs()
    sys.exit(run())


def _with_fields(error: SturgeonError) -> str:
    """The error's sentence, and a line for each field if there are several."""
    if not isinstance(error, Problem) or len(error.errors) < 2:
        return error.message
    return "\n".join([error.message, *(f"  {field.pointer}: {field.detail}" for field in error.errors)])


def _complain(text: str, code: int) -> int:
    sentence = text.strip()
    for pydantics, ours in (WORDS | COMMANDS).items():  # typer passes pydantic's on
        sentence = sentence.replace(pydantics, ours)
    if sentence:  # empty when a command without its subcommand has printed its help
        say(f"sturgeon: {sentence}", sys.stderr)
    return code
