"""What `sturgeon serve` and `sturgeon worker` can be told about their logs and traces."""

from __future__ import annotations

from typing import Annotated

import typer

from sturgeon.logs import LogFormat, LogLevel

LogLevelOption = Annotated[
    LogLevel | None,
    typer.Option(
        "--log-level",
        envvar="STURGEON_LOG_LEVEL",
        show_envvar=False,
        metavar="LEVEL",  # the list of all would leave the other options too little room
        help="Log from here on: debug, info, warning or error (env: STURGEON_LOG_LEVEL; default info).",
    ),
]
LogFormatOption = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        envvar="STURGEON_LOG_FORMAT",
        show_envvar=False,
        help="JSON, or lines for people, as is the default at a terminal (env: STURGEON_LOG_FORMAT).",
    ),
]
TracesOption = Annotated[
    bool | None,
    typer.Option(
        "--traces",
        help="Make traces for OpenTelemetry; OTEL_EXPORTER_OTLP_ENDPOINT says where they go (env: STURGEON_TRACES).",
    ),
]
