"""Traces for OpenTelemetry, where they are asked for: FastAPI makes a span of each request, here it gets a name and
says what it is about. Nothing of OpenTelemetry's SDK is imported before.

Where spans are sent to, OpenTelemetry's own variables say: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS,
OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER and others.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.request_context import TRACE_ID, known_of
from sturgeon.extras import require
from sturgeon.threads import supervised

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds, by nobody who is traced."""
FLUSH_S: Final = 3.0
"""How long a stopping server waits for who takes its spans."""


def provider() -> TracerProvider:
    """What makes spans, and sends them in the background. Raises: MissingExtra."""
    require("otel", "`sturgeon serve --traces`")
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = os.environ.get("OTEL_SERVICE_NAME") or "sturgeon"
    made = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": version("sturgeon")}),
        shutdown_on_exit=False,  # see `end`
    )
    made.add_span_processor(_sending())
    return made


def _sending() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter())


def telemetry(made: TracerProvider | None) -> dict[str, Any]:
    """What FastAPI is told: it asks for each request whether it is on."""
    off = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    return off if made is None else off | {"tracing": True, "tracer_provider": made, "exclude": is_quiet}


def is_quiet(scope: Any) -> bool:
    """Whether no span is made of a request."""
    return scope["path"] in QUIET


def end(made: TracerProvider) -> None:
    """Send what waits. A server does not wait long for somebody who does not take it."""
    supervised("traces", made.shutdown, lambda _error: False).join(FLUSH_S)


class SpanNames:
    """Lets the span of each request say what it is about, when its answer begins: the message is read by then."""

    def __init__(self, app: ASGIApp) -> None:
        from opentelemetry.trace import get_current_span

        self._app, self._current = app, get_current_span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        span = self._current()
        if scope["type"] != "http" or not span.is_recording():
            await self._app(scope, receive, send)
            return
        scope[TRACE_ID] = f"{span.get_span_context().trace_id:032x}"

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
                for name, value in known_of(scope).items():
                    if name != "trace_id":
                        span.set_attribute(f"sturgeon.{name}", value if isinstance(value, int) else str(value))
            await send(message)

        await self._app(scope, receive, named)
