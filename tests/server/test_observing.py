"""Health, readiness, numbers for Prometheus, and documentation that needs no internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from sturgeon.errors import LeaseLost, Unavailable
from sturgeon.messages import Lease
from tests.server.studies import BOWL, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer


@pytest.fixture
def server(fresh_server: RunningServer) -> RunningServer:
    """A server that has counted nothing."""
    return fresh_server


ALWAYS = ("process_", "request_seconds", "ask_seconds", "answers", "duty_", "disk_", "database_")
"""Tell of each server, whatever happened; see test_metrics.py."""


def numbers(http: httpx.Client) -> dict[tuple[str, ...], float]:
    """Each sample of /metrics: (name, its labels' values) -> value, without what each server tells, and without what
    has no labels and is 0: Prometheus tells of that from the beginning."""
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name.removeprefix("sturgeon_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if "_created" not in sample.name
        and not sample.name.removeprefix("sturgeon_").startswith(ALWAYS)
        and (sample.labels or sample.value)
    }


def test_a_server_that_nobody_has_used_counts_nothing(http: httpx.Client) -> None:
    assert numbers(http) == {}


def test_numbers_follow_what_happened(server: RunningServer, http: httpx.Client, taken_trial: Lease) -> None:
    server.client.create_study(BOWL | {"name": "paused"})
    server.client.patch_study("paused", {"state": "paused"})
    with pytest.raises(LeaseLost):
        server.client.tell("bowl", 0, taken_trial.fence, {"loss": 1.0})
    server.client.tell("bowl", 0, 2, {"loss": 1.0})
    server.client.tell("bowl", 0, 2, {"loss": 1.0})
    [second] = server.client.ask("bowl").leases
    server.client.tell("bowl", 1, second.fence, state="diverged")
    server.client.enqueue("bowl", {"x": 0, "n": 1})

    assert numbers(http) == {
        ("draws_total", "none", "random"): 2,
        ("expired_leases_total", "queued"): 1,
        ("fenced_writes_total", "tell"): 1,
        ("finished_trials_total", "complete"): 1,
        ("finished_trials_total", "diverged"): 1,
        ("trials", "complete"): 1,
        ("trials", "diverged"): 1,
        ("trials", "queued"): 1,
        ("queued_trials", "bowl"): 1,
        ("studies", "active"): 1,
        ("studies", "paused"): 1,
        ("stored_bytes", "late_results"): 118,
        ("stored_rows", "events"): 3,
        ("stored_rows", "late_results"): 1,
    }


@contextmanager
def no_commits(server: RunningServer) -> Iterator[None]:
    """Every transaction that writes is rolled back at its end, as when the database goes away just then."""

    def refuse(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("postgresql_readonly"):  # SQLite's readers have their own engine
            raise Unavailable("The database is away.")

    engine = server.app.state.database.engine
    sa.event.listen(engine, "commit", refuse)
    try:
        yield
    finally:
        sa.event.remove(engine, "commit", refuse)


def everything_that_is_counted(server: RunningServer, http: httpx.Client) -> list[int]:
    """The statuses of a draw, an end, a late end and a report with an alarm; then leases expire."""
    trials = "/v1/studies/bowl/trials"
    told = {"fence": 1, "metrics": {"loss": 1.0}}
    alarm = {"fence": 1, "reports": [], "events": [{"kind": "drift", "key": "1", "reason": "Labels changed."}]}
    answers = [
        http.post(f"{trials}:ask", json={"worker": "ada"}),
        http.post(f"{trials}/0:tell", json=told),
        http.post(f"{trials}/1:tell", json=told | {"fence": 7}),
        http.post(f"{trials}/1:report", json=alarm),
    ]
    server.advance(seconds=7200)
    with suppress(Unavailable):
        server.expire_leases()
    return [answer.status_code for answer in answers]


def counted(http: httpx.Client) -> dict[tuple[str, ...], float]:
    """The counters that have counted something."""
    return {key: value for key, value in numbers(http).items() if key[0].endswith("_total") and value}


@pytest.mark.expects_errors("503 answered")
def test_what_was_rolled_back_is_not_counted(server: RunningServer, http: httpx.Client) -> None:
    server.client.create_study(BOWL | {"budget": {"max_trials": 3}})
    server.client.ask("bowl", count=2)
    with no_commits(server):
        assert everything_that_is_counted(server, http) == [503] * 4
    assert counted(http) == {("draws_total", "none", "random"): 2}

    assert everything_that_is_counted(server, http) == [200, 200, 409, 200]
    assert counted(http) == {
        ("draws_total", "none", "random"): 3,
        ("expired_leases_total", "queued"): 2,
        ("fenced_writes_total", "tell"): 1,
        ("finished_trials_total", "complete"): 1,
        ("stream_events_total", "drift"): 1,
    }


@pytest.mark.usefixtures("bowl")
def test_requests_are_counted_by_route_and_not_by_address(http: httpx.Client) -> None:
    for path in ("/v1/studies/bowl", "/v1/studies/none", "/nowhere", "/nowhere/else"):
        http.get(path)

    text = http.get("/metrics").text

    counted = dict(re.findall(r'sturgeon_request_seconds_count\{method="GET",route="([^"]+)"\} (\S+)', text))
    assert counted == {"/studies/{study}": "2.0", "none": "2.0"}


def test_a_method_that_no_route_has_makes_no_new_number(http: httpx.Client) -> None:
    for method in ("LOCK", "MKCOL", "PROPFIND"):
        assert refusal(http.request(method, "/healthz")) == (405, "method_not_allowed")

    numbers = http.get("/metrics").text
    assert 'method="other"' in numbers
    assert "LOCK" not in numbers


def test_a_server_is_healthy_and_ready(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ok"}


@pytest.mark.expects_errors("503 answered to GET .readyz")
def test_a_server_is_not_ready_while_the_schema_is_another(server: RunningServer, http: httpx.Client) -> None:
    with server.app.state.database.writing() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = 'older'"))

    answer = http.get("/readyz")

    assert refusal(answer) == (503, "unavailable")
    assert answer.json()["detail"] == "The database is not at this version's schema; run `sturgeon migrate`."
    assert int(answer.headers["retry-after"]) > 0
    assert http.get("/healthz").json() == {"status": "ok"}


def test_every_answer_has_a_request_id_of_its_own(http: httpx.Client) -> None:
    ids = {http.get(path).headers["x-request-id"] for path in ("/healthz", "/healthz", "/nowhere", "/v1/studies")}

    assert len(ids) == 4


# --- documentation ---


def test_every_page_leads_to_the_documentation(http: httpx.Client) -> None:
    assert '<a href="/docs"' in http.get("/").text


def test_the_documentation_loads_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)

    assert loaded
    assert not re.search(r"""["'](https?:)?//""", page)
    for path in loaded:
        answer = http.get(path)
        assert answer.status_code == 200, path
        assert answer.content


def test_every_operation_has_a_summary_an_id_of_its_own_and_problems(http: httpx.Client) -> None:
    schema = http.get("/openapi.json").json()
    operations = [operation for path in schema["paths"].values() for operation in path.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations) >= 29
    assert all(operation.get("description") for operation in operations)
    for operation in operations:
        for status, response in operation["responses"].items():
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"], (operation["operationId"], status)
