"""`sturgeon serve --traces`: a span of each request, which says what it is about, in the trace of who asks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import SecretStr
from structlog.testing import capture_logs

from server import traces
from server.app import create_app
from server.request_context import add_request
from server.settings import Settings
from sturgeon.client import Client
from sturgeon.errors import MissingExtra, NotFound
from tests.server.studies import BOWL

if TYPE_CHECKING:
    from tests.running import RunningServer

SHARED = "sesame-open"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Takes the spans of servers that start from here on."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(traces, "_sending", lambda: SimpleSpanProcessor(exporter))
    return exporter


@pytest.fixture
def sqlite_settings(migrated_sqlite_url: str, tmp_path: Path) -> Settings:
    """Spans are made before the database is asked, whichever it is."""
    return Settings(database_url=migrated_sqlite_url, checkpoints=tmp_path / "checkpoints")


@pytest.fixture
def traced(
    spans: InMemorySpanExporter, sqlite_settings: Settings, serve: Callable[[Settings], RunningServer]
) -> RunningServer:
    """A server with a token and a study, that makes traces; none of them is of what was done up to now."""
    traced = sqlite_settings.model_copy(update={"traces": True, "request_log": True, "token": SecretStr(SHARED)})
    server = serve(traced)
    server.client.create_study(BOWL)
    finished(server, spans)
    spans.clear()
    return server


def finished(server: RunningServer, spans: InMemorySpanExporter) -> tuple[ReadableSpan, ...]:
    """The spans so far. One ends right after its answer, before the next request is read."""
    server.client.ready()
    return spans.get_finished_spans()


def test_ask_report_and_tell_are_spans_that_say_what_they_are_about(
    traced: RunningServer, spans: InMemorySpanExporter
) -> None:
    secret = traced.client.create_token("wanda", scopes=["work"]).token
    spans.clear()
    with Client(traced.url, secret) as client:
        [lease] = client.ask("bowl", worker="ada").leases
        client.report("bowl", lease.number, lease.fence, [{"step": 1, "metrics": {"loss": 1.0}}])
        client.tell("bowl", lease.number, lease.fence, {"loss": 0.5})

    ask, report, tell = finished(traced, spans)

    assert [span.name for span in (ask, report, tell)] == [
        "POST /studies/{study}/trials:ask",
        "POST /studies/{study}/trials/{number}:report",
        "POST /studies/{study}/trials/{number}:tell",
    ]
    assert about(ask) == {"actor": "wanda", "study": "bowl", "worker": "ada"}
    for span in (report, tell):
        assert about(span) == {"actor": "wanda", "study": "bowl", "trial": 0, "fence": lease.fence}
        assert span.attributes
        assert span.attributes["http.response.status_code"] == 200
    told = str([span.to_json() for span in (ask, report, tell)])
    assert SHARED not in told
    assert secret not in told


def about(span: ReadableSpan) -> dict[str, object]:
    """What a span says in our words, but for the request's id, which it always has."""
    found = {name.removeprefix("sturgeon."): value for name, value in (span.attributes or {}).items()}
    assert len(str(found.pop("request_id"))) == 16
    return {name: value for name, value in found.items() if "." not in name}


def test_a_request_of_a_program_that_makes_traces_belongs_to_its_trace(
    traced: RunningServer, spans: InMemorySpanExporter
) -> None:
    tracer = TracerProvider().get_tracer("a program")
    with capture_logs(processors=[add_request]) as lines:
        with tracer.start_as_current_span("tune") as mine:
            traced.client.ask("bowl")
        traced.client.study("bowl")
        ask, study = finished(traced, spans)

    assert ask.parent is not None
    assert ask.context is not None
    assert ask.context.trace_id == mine.get_span_context().trace_id
    assert ask.parent.span_id == mine.get_span_context().span_id
    assert study.parent is None
    assert lines[0]["trace_id"] == f"{ask.context.trace_id:032x}"


def test_what_goes_wrong_is_a_span_too_and_health_is_none(traced: RunningServer, spans: InMemorySpanExporter) -> None:
    with pytest.raises(NotFound):
        traced.client.study("none")
    traced.client._wire.send("GET", "/healthz")
    traced.client._wire.send("GET", "/metrics")

    [missing] = finished(traced, spans)

    assert missing.name == "GET /studies/{study}"
    assert missing.attributes
    assert missing.attributes["http.response.status_code"] == 404
    assert missing.status.status_code is not StatusCode.ERROR


def test_names_that_a_client_makes_up_make_no_new_spans(traced: RunningServer, spans: InMemorySpanExporter) -> None:
    for word in ("x" * 200, "a%0Ab", "%1b[31m"):
        with pytest.raises(NotFound):
            traced.client._wire.send("GET", f"/nowhere/{word}")

    assert {span.name for span in finished(traced, spans)} == {"GET"}


def test_without_the_extra_only_who_asks_for_traces_is_refused(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)

    create_app(sqlite_settings).state.database.dispose()
    with pytest.raises(MissingExtra, match=r'pip install "sturgeon\[otel\]"$'):
        create_app(sqlite_settings.model_copy(update={"traces": True}))


def test_spans_are_sent_to_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/there")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "search")

    made = traces.provider()
    [processor] = made._active_span_processor._span_processors

    assert processor.span_exporter._endpoint == "http://127.0.0.1:9/there/v1/traces"  # type: ignore[attr-defined]
    assert made.resource.attributes["service.name"] == "search"
    traces.end(made)
