"""`sturgeon serve | worker | migrate`: commands that run on this machine rather than ask a server."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sturgeon.cli.garbage import collect_as_usual
from sturgeon.cli.inputs import WrongInput, any_path, data_folders, existing_folder, label_word, not_empty
from sturgeon.cli.log_options import LogFormatOption, LogLevelOption, TracesOption
from sturgeon.cli.output import print_json, say
from sturgeon.cli.session import Session, connected, formatted

if TYPE_CHECKING:
    from server.settings import Settings
    from sturgeon.values import Json

commands = typer.Typer()

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        parser=not_empty,
        help="sqlite:///FILE or postgresql://USER@HOST/NAME (env: STURGEON_DATABASE_URL; default sqlite:///sturgeon.db).",
    ),
]


def settings_from(**options: object) -> Settings:
    """The settings of the environment, overridden by the options that are not None.

    Raises: WrongInput (a setting is not valid).
    """
    from pydantic import ValidationError

    from server.settings import Settings

    if re.search(r"//[^/]*:.*@|[?&]password=", str(options.get("database_url", ""))):
        say(
            "The password in --database-url can be read by everybody on this machine, in the list of processes: set "
            "STURGEON_DATABASE_URL, or STURGEON_DATABASE_PASSWORD_FILE.",
            sys.stderr,
        )
    chosen: Json = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**chosen)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        name = str(problem["loc"][0])
        raise WrongInput(f"--{name.replace('_', '-')} (or STURGEON_{name.upper()}): {problem['msg']}.") from None


@commands.command()
def serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            parser=not_empty,
            help="Address to listen on; beyond loopback it needs a token (env: STURGEON_HOST; default 127.0.0.1).",
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="The port (env: STURGEON_PORT; default 8000).")] = None,
    database_url: DatabaseOption = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=any_path,
            help="The folder for checkpoints (env: STURGEON_CHECKPOINTS; default sturgeon-checkpoints).",
        ),
    ] = None,
    lease_s: Annotated[
        float | None,
        typer.Option(
            "--lease-s",
            metavar="SECONDS",
            help="How long a worker's lease of a trial lasts (env: STURGEON_LEASE_S; default 30).",
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert",
            metavar="FILE",
            parser=any_path,
            help="Speak https with this certificate, a PEM file with its chain (env: STURGEON_TLS_CERT).",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            "--tls-key",
            metavar="FILE",
            parser=any_path,
            help="The certificate's key, a PEM file without a password (env: STURGEON_TLS_KEY).",
        ),
    ] = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
    traces: TracesOption = None,
    request_log: Annotated[
        bool | None,
        typer.Option(
            "--request-log",
            help="Log each request, not only those that fail here or take longer than 1 s (env: STURGEON_REQUEST_LOG).",
        ),
    ] = None,
) -> None:
    """Run the server."""
    settings = settings_from(
        host=host,
        port=port,
        database_url=database_url,
        checkpoints=checkpoints,
        lease_s=lease_s,
        tls_cert=tls_cert,
        tls_key=tls_key,
        log_level=log_level,
        log_format=log_format,
        request_log=request_log,
        traces=traces,
        token_file=context.obj.token_file,
    )
    from server.serving import serve as run_server

    collect_as_usual()
    run_server(settings)


@commands.command()
@formatted
def migrate(session: Session, database_url: DatabaseOption = None) -> None:
    """Upgrade the database to the schema of this version."""
    settings = settings_from(database_url=database_url)
    from server.store.schema import migrate as upgrade

    revision = upgrade(settings.database_address())
    if session.json:
        return print_json({"revision": revision})
    say(f"The database is at revision {revision}.")
    return None


@commands.command()
@connected
def worker(
    session: Session,
    slots: Annotated[
        int, typer.Option(min=1, max=1000, help="Trials that run at a time; one for each core is best.")
    ] = 1,
    stack: Annotated[
        int,
        typer.Option(
            min=1, max=32, help="Trials of one shape that a slot trains side by side; faster for small networks."
        ),
    ] = 1,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            parser=existing_folder,
            help="A folder with npz:, csv: and stream: data; repeat the option for several "
            "(env: STURGEON_DATA, with colons between them).",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", parser=not_empty, help="The worker's name (default: derived from the host name)."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL", parser=label_word, help="A label that studies may need; repeat the option for several."
        ),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=0, max=64, help="GPUs for trials that need some (default: those that CUDA sees here)."),
    ] = None,
    memory_gb: Annotated[
        float | None,
        typer.Option(
            "--memory-gb", metavar="GB", min=0, help="Memory for trials that need some (default: that of the machine)."
        ),
    ] = None,
    drain_s: Annotated[
        float | None,
        typer.Option("--drain-s", metavar="SECONDS", min=0, help="How long running trials may go on after SIGTERM."),
    ] = None,
    spool: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            envvar="STURGEON_SPOOL",
            show_envvar=False,
            show_default=False,
            help="The folder for what waits while the server is away (env: STURGEON_SPOOL; default sturgeon-spool).",
        ),
    ] = Path("sturgeon-spool"),
    spool_mb: Annotated[
        float, typer.Option("--spool-mb", metavar="MB", min=1, help="What checkpoints may take there.")
    ] = 4000.0,
    alive_file: Annotated[
        Path | None,
        typer.Option(
            "--alive-file",
            metavar="FILE",
            dir_okay=False,
            envvar="STURGEON_ALIVE_FILE",
            show_envvar=False,
            help="A file that is touched with each heartbeat, for a health check (env: STURGEON_ALIVE_FILE).",
        ),
    ] = None,
    allow_command: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            parser=not_empty,
            help="A program that studies may run here, by its name or path, as python or '/opt/jobs/*.sh'; "
            "repeat the option for several. Whoever may create studies can do whatever it can do.",
        ),
    ] = None,
    allow_python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE",
            parser=not_empty,
            help="A Python module whose functions studies may call here; package.* is all of a package.",
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", parser=not_empty, help="The Python interpreter of these programs (default: the worker's)."
        ),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY",
            parser=not_empty,
            help="A study that the worker is for; repeat the option for several (default: all studies).",
        ),
    ] = None,
    pass_env: Annotated[
        list[str] | None,
        typer.Option(
            "--pass-env", metavar="NAME", parser=not_empty, help="A variable of the worker that these programs may see."
        ),
    ] = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Run a worker, which leases trials from the server and runs them until it is stopped."""
    from sturgeon.messages import MOST_LEASES
    from worker.daemon import run
    from worker.options import WorkerOptions

    if slots * stack > MOST_LEASES:
        raise WrongInput(f"--slots times --stack must be at most {MOST_LEASES}: one heartbeat renews no more leases.")
    interpreter = None if python is None else shutil.which(python)
    if python is not None and interpreter is None:
        raise WrongInput(f"--python: there is no program {python}.")
    optional = {"name": name, "drain_s": drain_s, "gpus": gpus, "memory_gb": memory_gb}
    optional |= {"log_level": log_level, "log_format": log_format}
    options = WorkerOptions(
        server=session.address,
        token=session.token(),
        slots=slots,
        stack=stack,
        data_dirs=data_folders(data),
        labels=tuple(dict.fromkeys(label or ())),
        spool=spool,
        spool_mb=spool_mb,
        alive_file=alive_file,
        allow_command=tuple(allow_command or ()),
        allow_python=tuple(allow_python or ()),
        python=None if interpreter is None else str(Path(interpreter).absolute()),
        pass_env=tuple(pass_env or ()),
        studies=tuple(study or ()),
        **{key: value for key, value in optional.items() if value is not None},  # type: ignore[arg-type]
    )
    collect_as_usual()
    raise typer.Exit(run(options))
