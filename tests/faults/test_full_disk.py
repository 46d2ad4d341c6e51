"""A disk that is full: what would write is refused, what reads goes on, and all is whole when there is room again."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import psycopg
import pytest

from sturgeon.client import Client
from sturgeon.errors import ServerUnreachable
from tests.faults.small_disk import FULL, SmallDisk, small_disk
from tests.postgres import Postgres
from tests.processes import DEADLINE_S, ServerProcess
from tests.server.studies import BOWL, DIGITS, FROM_NO_PAGE, refusal

pytestmark = pytest.mark.fault("L8")
KINDS = ["sqlite", "postgres"]


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path, at_end: ExitStack) -> SmallDisk:
    """A disk for a database of this kind. PostgreSQL runs as a user who may not enter the folder of the test."""
    if request.param == "sqlite":
        return at_end.enter_context(small_disk(tmp_path / "disk", "6m"))
    postgres: Postgres = request.getfixturevalue("postgres")
    return at_end.enter_context(small_disk(postgres.folder / "disk", "24m"))


def http_of(server: ServerProcess) -> httpx.Client:
    return httpx.Client(base_url=server.url, trust_env=False, headers=FROM_NO_PAGE, timeout=DEADLINE_S)


@pytest.fixture
def url(disk: SmallDisk, request: pytest.FixtureRequest, at_end: ExitStack) -> str:
    """The address of a database that is on the disk, at this version's schema and without studies."""
    if request.node.callspec.params["disk"] == "sqlite":
        file = disk.folder / "sturgeon.db"
        file.write_bytes(request.getfixturevalue("migrated_sqlite_file").read_bytes())
        return f"sqlite:///{file}"
    postgres: Postgres = request.getfixturevalue("postgres")
    template = request.getfixturevalue("migrated_postgres_template")
    at_end.callback(postgres.drop_tablespace, "full")
    at_end.callback(postgres.drop_database, "full")
    return postgres.create_database_on(disk.folder, "full", template)


def require_whole(url: str) -> None:
    """Have the database check itself: PostgreSQL makes its indexes anew, and finds what does not fit."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("REINDEX SCHEMA public")


@pytest.mark.expects_errors('"status": 503')
def test_a_database_on_a_full_disk_is_read_and_whole_when_there_is_room(
    url: str, disk: SmallDisk, server_process: Callable[..., ServerProcess]
) -> None:
    server = server_process(STURGEON_DATABASE_URL=url)
    told: dict[int, float] = {}
    with http_of(server) as http:

        def tell_one() -> httpx.Response:
            asked = http.post("/v1/studies/bowl/trials:ask", json={"worker": "ada"})
            if asked.status_code != 200:
                return asked
            [lease] = asked.json()["leases"]
            tell = {"fence": lease["fence"], "state": "complete", "metrics": {"loss": lease["params"]["x"]}}
            answer = http.post(f"/v1/studies/bowl/trials/{lease['number']}:tell", json=tell)
            if answer.status_code == 200:
                told[lease["number"]] = lease["params"]["x"]
            return answer

        assert http.post("/v1/studies", json=BOWL | {"budget": {"max_trials": 100_000}}).status_code == 201
        for _ in range(3):
            assert tell_one().status_code == 200
        disk.fill()
        while (refused := tell_one()).status_code == 200:  # pages that have room yet are filled
            pass
        assert refusal(refused) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
        assert refusal(http.get("/readyz")) == (503, "unavailable")
        assert http.get("/healthz").status_code == 200
        assert http.get("/v1/studies/bowl").status_code == 200
        listed = http.get("/v1/studies/bowl/trials", params={"state": "complete", "page_size": 1000}).json()["items"]
        assert {trial["number"]: trial["value"] for trial in listed} == told

        disk.make_room()

        assert http.get("/readyz").status_code == 200
        assert tell_one().status_code == 200
        listed = http.get("/v1/studies/bowl/trials", params={"state": "complete", "page_size": 1000}).json()["items"]
        assert {trial["number"]: trial["value"] for trial in listed} == told
    server.stop()
    require_whole(url)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.expects_errors('"status": 503')
def test_a_full_disk_of_checkpoints_refuses_those_and_loses_none(
    kind: str, tmp_path: Path, at_end: ExitStack, server_process: Callable[..., ServerProcess],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    disk = at_end.enter_context(small_disk(tmp_path / "disk", "1m"))
    url = request.getfixturevalue(f"migrated_{kind}_url")
    server = server_process(STURGEON_DATABASE_URL=url, STURGEON_CHECKPOINTS=str(disk.folder / "kept"))
    contents = {step: bytes([step]) * 200_000 for step in (1, 2)}
    with http_of(server) as http, Client(server.url, patience_s=0) as client:
        client.create_study(DIGITS | {"task": DIGITS["task"] | {"checkpoints": {"best": 0, "last": 2}}})
        [lease] = client.lease("ada").leases
        client.put_checkpoint("digits", 0, 1, contents[1], lease.fence)
        disk.fill()

        with pytest.raises(ServerUnreachable, match=FULL):
            client.put_checkpoint("digits", 0, 2, contents[2], lease.fence)
        assert refusal(http.get("/readyz")) == (503, "unavailable")
        assert http.get("/healthz").status_code == 200
        client.report("digits", 0, lease.fence, [{"step": 1, "metrics": {"dev_error": 0.5}}])
        assert client.checkpoint("digits", 0, 1) == contents[1]

        disk.make_room()

        assert http.get("/readyz").status_code == 200
        client.put_checkpoint("digits", 0, 2, contents[2], lease.fence)
        assert {
            one.step: client.checkpoint("digits", 0, one.step) for one in client.checkpoints("digits", 0).items
        } == (contents)
        files = {path.name for path in (disk.folder / "kept").rglob("*") if path.is_file()}
        assert files == {hashlib.sha256(content).hexdigest() for content in contents.values()}, "nothing torn is left"
