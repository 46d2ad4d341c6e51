"""What comes without being asked for cannot fill the disk or the memory."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from server.routes import checkpoints as route
from server.services.leases import housekeeping
from server.services.quotas import Quotas
from server.store import events, studies
from server.store.blobs import BlobFolder, Incoming
from sturgeon.errors import QuotaExceeded
from sturgeon.identifiers import StudyId
from sturgeon.messages import Lease
from tests.processes import DEADLINE_S
from tests.server.studies import BOWL, DIGITS, refusal

if TYPE_CHECKING:
    from server.settings import Settings
    from tests.running import RunningServer

PATH = "/v1/studies/digits/trials/0/checkpoints/1"


@pytest.fixture
def lease(server: RunningServer) -> Lease:
    server.client.create_study(DIGITS)
    [lease] = server.client.ask("digits").leases
    return lease


def on_disk(server: RunningServer) -> list[Path]:
    return list(Path(server.settings.checkpoints).glob("**/*"))


@pytest.mark.fault("L7")
@pytest.mark.parametrize("wrong", [{"fence": 77}, {"version": 3}])
def test_an_upload_that_will_be_refused_is_refused_before_its_body_comes(
    server: RunningServer, lease: Lease, wrong: dict[str, int]
) -> None:
    address = httpx.URL(server.url)
    query = httpx.QueryParams({"fence": lease.fence, "sha256": "0" * 64} | wrong)
    head = f"PUT {PATH}?{query} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nContent-Length: 5000000\r\n\r\n"
    with socket.create_connection((address.host, address.port or 0), timeout=DEADLINE_S) as connection:
        connection.sendall(head.encode())  # and nothing of the body

        assert connection.recv(12) == b"HTTP/1.1 409"

    assert on_disk(server) == []


@pytest.mark.fault("L7")
def test_a_client_whose_upload_is_refused_early_reads_the_refusal_and_goes_on(http: httpx.Client, lease: Lease) -> None:
    query = {"fence": lease.fence + 1, "sha256": "0" * 64}

    for _ in range(2):
        assert refusal(http.put(PATH, params=query, content=b"x" * 3_000_000)) == (409, "lease_lost")
    assert http.get("/v1/studies/digits").status_code == 200


@pytest.mark.fault("L7")
def test_a_body_goes_to_the_disk_in_parts(
    server: RunningServer, http: httpx.Client, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []
    write = Incoming.write

    def noting(self: Incoming, part: bytes) -> None:
        parts.append(len(part))
        write(self, part)

    def body() -> Iterator[bytes]:
        for start in range(0, len(content), 10_000):
            yield content[start : start + 10_000]

    monkeypatch.setattr(Incoming, "write", noting)
    monkeypatch.setattr(route, "PART", 50_000)
    content = bytes(range(256)) * 10_000
    sha256 = hashlib.sha256(content).hexdigest()

    answer = http.put(PATH, params={"fence": lease.fence, "sha256": sha256}, content=body())

    assert (answer.status_code, answer.json()["size"]) == (200, len(content))
    assert server.client.checkpoint("digits", 0, 1) == content
    assert sum(parts) == len(content)
    assert max(parts) < 500_000  # a part, and what had come to the server meanwhile
    assert [path.name for path in on_disk(server) if path.is_file()] == [sha256]


@pytest.mark.fault("L7")
def test_an_upload_that_arrives_torn_or_ends_early_leaves_nothing(
    server: RunningServer, http: httpx.Client, lease: Lease
) -> None:
    torn = http.put(PATH, params={"fence": lease.fence, "sha256": "0" * 64}, content=b"x" * 100_000)

    def ends_early() -> Iterator[bytes]:
        yield b"x" * 1000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        http.put(PATH, params={"fence": lease.fence, "sha256": "0" * 64}, content=ends_early())

    assert refusal(torn) == (409, "contradiction")
    assert server.client.checkpoints("digits", 0).items == []
    assert http.get("/healthz").is_success
    assert [path for path in on_disk(server) if path.is_file()] == []


@pytest.mark.fault("L7")
def test_a_study_takes_no_more_checkpoints_than_its_quota(
    settings: Settings, serve: Callable[[Settings], RunningServer]
) -> None:
    server = serve(settings.model_copy(update={"max_study_mb": 0.001}))
    client = server.client
    client.create_study(DIGITS | {"task": DIGITS["task"] | {"checkpoints": {"best": 0, "last": 1}}})
    first, second = client.ask("digits", count=2).leases
    for step in range(5):  # the rule drops the one before
        client.put_checkpoint("digits", 0, step, bytes([step]) * 600, first.fence)
    files = {path.name for path in on_disk(server) if path.is_file()}

    with pytest.raises(QuotaExceeded, match="would take 1100 bytes; a study may have 1000"):
        client.put_checkpoint("digits", 1, 1, b"x" * 500, second.fence)

    assert client.checkpoints("digits", 1).items == []
    assert {path.name for path in on_disk(server) if path.is_file()} == files
    assert client.put_checkpoint("digits", 1, 1, b"x" * 400, second.fence).size == 400
    shared = bytes([4]) * 600  # it counts once
    assert client.put_checkpoint("digits", 1, 2, shared, second.fence).size == 600


@pytest.mark.fault("L7")
def test_the_oldest_events_go_and_those_that_are_read_again_stay(server: RunningServer) -> None:
    for name in ("bowl", "quiet"):
        server.client.create_study(BOWL | {"name": name})
    database = server.app.state.database
    with database.writing() as tx:
        for name, count in (("bowl", 9), ("quiet", 3)):
            study = id_of(server, name)
            events.insert(tx, study, "challenge", 0)
            for i in range(count):
                events.insert(tx, study, "enqueued", i, place=i)

    housekeeping.clean_up(database, BlobFolder(server.settings.checkpoints), Quotas(events=5))

    kept = {name: server.client.events(name).items for name in ("bowl", "quiet")}
    assert [event.kind for event in kept["bowl"]] == ["challenge", *["enqueued"] * 5]
    assert [event.detail["place"] for event in kept["bowl"][1:]] == [4, 5, 6, 7, 8]
    assert len(kept["quiet"]) == 4


def id_of(server: RunningServer, name: str) -> StudyId:
    with server.app.state.database.reading() as tx:
        study = studies.find(tx, name)
    assert study is not None
    return study.id


@pytest.mark.fault("L7")
def test_the_sizes_of_what_is_kept_are_metrics(server: RunningServer, http: httpx.Client, lease: Lease) -> None:
    server.client.put_checkpoint("digits", 0, 1, b"x" * 500, lease.fence)
    server.client.cancel("digits", 0)
    http.post("/v1/studies/digits/trials/0:tell", json={"fence": lease.fence, "metrics": {"dev_error": 0.5}})

    text = http.get("/metrics").text

    found = dict(re.findall(r"(sturgeon_stored_\w+\{[^}]+\}) (\S+)", text))
    assert found['sturgeon_stored_bytes{what="checkpoints"}'] == "500.0"
    assert float(found['sturgeon_stored_bytes{what="late_results"}']) > 80
    assert found['sturgeon_stored_rows{what="events"}'] == "1.0"
    assert found['sturgeon_stored_rows{what="late_results"}'] == "1.0"
