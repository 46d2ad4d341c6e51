"""Checkpoints: uploaded whole by the lease's holder, kept by the study's rule, read by everybody."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from server.routes.checkpoints import FileAnswer
from server.services import blob_sweep
from server.services.leases import housekeeping
from server.store.blobs import BlobFolder
from sturgeon.errors import LeaseLost, NotFound
from sturgeon.messages import CheckpointRule, Lease
from tests.server.studies import DIGITS, refusal

if TYPE_CHECKING:
    from tests.running import RunningServer

PATH = "/v1/studies/digits/trials/0/checkpoints"


@pytest.fixture
def training(server: RunningServer) -> Lease:
    """A leased trial of a study that keeps the best and the last checkpoint."""
    return leased_from(server, {"best": 1, "last": 1})


def leased_from(server: RunningServer, rule: dict[str, int] | None, **changes: Any) -> Lease:
    server.client.create_study(DIGITS | {"task": DIGITS["task"] | {"checkpoints": rule}} | changes)
    [lease] = server.client.lease("ada").leases
    return lease


def steps(server: RunningServer) -> list[int]:
    return [checkpoint.step for checkpoint in server.client.checkpoints("digits", 0).items]


def files(server: RunningServer) -> set[str]:
    """The hashes of the blobs on disk."""
    return {path.name for path in Path(server.settings.checkpoints).glob("??/*")}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_checkpoint_is_read_as_it_was_uploaded(server: RunningServer, training: Lease) -> None:
    content = bytes(range(256)) * 1000

    kept = server.client.put_checkpoint("digits", 0, 40, content, training.fence, epoch=2, value=0.25)

    assert kept.model_dump(mode="json") == {
        "step": 40,
        "epoch": 2.0,
        "value": 0.25,
        "sha256": sha256(content),
        "size": 256_000,
        "version": 0,
        "pinned": False,
        "lost": False,
        "created_at": "2026-01-01T12:00:00Z",
    }
    assert server.client.checkpoints("digits", 0).items == [kept]
    assert server.client.checkpoint("digits", 0, 40) == content
    assert files(server) == {sha256(content)}


@pytest.mark.fault("L7")
def test_a_checkpoint_is_sent_in_parts_and_never_in_memory_as_a_whole(server: RunningServer, training: Lease) -> None:
    size = 40_000_000
    content = bytes(size)
    server.client.put_checkpoint("digits", 0, 1, content, training.fence)
    received = 0
    tracemalloc.start()
    with httpx.Client(base_url=server.url, trust_env=False) as http, http.stream("GET", f"{PATH}/1") as answer:
        for part in answer.iter_bytes():
            received += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert answer.headers["content-length"] == str(size)
    assert received == size
    assert peak < size / 4


@pytest.mark.fault("L7")
def test_the_file_of_an_answer_that_nobody_reads_is_closed(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(5))
    file = (tmp_path / "blob").open("rb")

    async def gone(_message: object) -> None:
        raise ConnectionResetError

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        asyncio.run(FileAnswer(file)(scope, receive, gone))
    assert file.closed


@pytest.mark.usefixtures("training")
def test_a_torn_upload_is_refused_and_leaves_nothing(server: RunningServer, http: httpx.Client) -> None:
    query: dict[str, Any] = {"fence": 1, "sha256": sha256(b"whole")}

    answer = http.put(f"{PATH}/1", params=query, content=b"who")

    assert refusal(answer) == (409, "contradiction")
    assert answer.json()["errors"] == [
        {
            "pointer": "query:sha256",
            "detail": "the body's SHA-256 is not the query's; send all bytes again",
        }
    ]
    assert steps(server) == []
    assert files(server) == set()


@pytest.mark.usefixtures("training")
def test_the_best_and_the_last_are_kept(server: RunningServer) -> None:
    kept = []
    for step, value in [(1, 0.5), (2, 0.25), (3, 0.75), (4, 0.25), (5, None), (6, 0.125)]:
        server.client.put_checkpoint("digits", 0, step, f"state {step}".encode(), 1, value=value)
        kept.append(steps(server))

    assert kept == [[1], [2], [2, 3], [4], [4, 5], [6]]
    assert files(server) == {sha256(b"state 6")}
    with pytest.raises(NotFound, match="Trial 0 of digits has no checkpoint at step 2"):
        server.client.checkpoint("digits", 0, 2)


@pytest.mark.parametrize(
    ("rule", "changes", "kept"),
    [
        ({"best": 2, "last": 0}, {}, [2, 4, 5]),  # from the newest a run goes on
        ({"best": 0, "last": 2}, {}, [4, 5]),
        ({"best": 1, "last": 1}, {"direction": "maximize"}, [3, 5]),
        ({"best": 100, "last": 1}, {}, [1, 2, 3, 4, 5]),
    ],
    ids=str,
)
def test_the_studys_rule_says_how_many_are_kept(
    server: RunningServer, rule: dict[str, int], changes: dict[str, str], kept: list[int]
) -> None:
    leased_from(server, rule, **changes)
    for step, value in [(1, 0.5), (2, 0.125), (3, 0.75), (4, 0.25), (5, 0.5)]:
        server.client.put_checkpoint("digits", 0, step, f"state {step}".encode(), 1, value=value)

    assert steps(server) == kept
    assert files(server) == {sha256(f"state {step}".encode()) for step in kept}


def test_a_study_keeps_the_best_and_the_last_unless_it_says_another(server: RunningServer) -> None:
    server.client.create_study(DIGITS)

    task = server.client.study("digits").task
    assert task is not None
    assert task.checkpoints == CheckpointRule(best=1, last=1)


@pytest.mark.usefixtures("training")
def test_an_upload_renews_the_lease_and_counts_as_a_report(server: RunningServer) -> None:
    server.advance(seconds=29)
    server.client.put_checkpoint("digits", 0, 1, b"state", 1)
    server.advance(seconds=29)
    server.expire_leases()
    assert server.client.trial("digits", 0).state == "running"

    server.advance(seconds=2)
    server.expire_leases()

    assert (server.client.trial("digits", 0).state, server.client.trial("digits", 0).attempt) == ("queued", 0)


@pytest.mark.usefixtures("training")
def test_an_upload_under_a_lost_lease_is_refused(server: RunningServer) -> None:
    server.client.put_checkpoint("digits", 0, 1, b"first", 1)
    server.client.release("digits", 0, 1)
    [taken] = server.client.lease("bob").leases

    with pytest.raises(LeaseLost, match="its checkpoint was not stored"):
        server.client.put_checkpoint("digits", 0, 2, b"late", 1)

    assert steps(server) == [1]
    server.client.put_checkpoint("digits", 0, 1, b"again", taken.fence)
    assert server.client.checkpoint("digits", 0, 1) == b"again"


@pytest.mark.usefixtures("training")
def test_a_checkpoint_outlives_the_run_that_made_it(server: RunningServer) -> None:
    server.client.put_checkpoint("digits", 0, 1, b"state", 1)
    server.client.tell("digits", 0, 1, {"dev_error": 0.1})

    assert server.client.checkpoint("digits", 0, 1) == b"state"


@pytest.mark.usefixtures("training")
def test_a_deleted_studys_files_are_gone_but_for_those_that_another_study_has(server: RunningServer) -> None:
    server.client.create_study(DIGITS | {"name": "other"})
    server.client.ask("other")
    server.client.put_checkpoint("digits", 0, 1, b"shared", 1, value=0.5)
    server.client.put_checkpoint("digits", 0, 2, b"own", 1, value=0.75)
    server.client.put_checkpoint("other", 0, 1, b"shared", 1)

    server.client.delete_study("digits", force=True)

    assert files(server) == {sha256(b"shared")}
    assert server.client.checkpoint("other", 0, 1) == b"shared"


@pytest.mark.usefixtures("training")
def test_a_file_that_another_trial_has_too_is_kept_when_the_rule_drops_it(server: RunningServer) -> None:
    server.client.ask("digits")
    for number in (0, 1):
        server.client.put_checkpoint("digits", number, 1, b"shared", 1)

    server.client.put_checkpoint("digits", 0, 2, b"later", 1)

    assert steps(server) == [2]
    assert server.client.checkpoint("digits", 1, 1) == b"shared"


@pytest.mark.usefixtures("training")
def test_a_damaged_file_is_not_handed_out(server: RunningServer, http: httpx.Client) -> None:
    server.client.put_checkpoint("digits", 0, 1, b"state", 1)
    digest = sha256(b"state")
    (Path(server.settings.checkpoints) / digest[:2] / digest).write_bytes(b"stale")

    answer = http.get(f"{PATH}/1")

    assert refusal(answer) == (404, "not_found")
    assert answer.json()["detail"] == "The file of the checkpoint at step 1 is gone or damaged."


@pytest.mark.usefixtures("training")
def test_files_that_no_checkpoint_names_are_swept_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.client.put_checkpoint("digits", 0, 1, b"named", 1)
    BlobFolder(server.settings.checkpoints).write(b"nameless")
    sweep = lambda: housekeeping.clean_up(server.app.state.database, server.app.state.blobs)  # noqa: E731

    sweep()
    assert files(server) == {sha256(b"named"), sha256(b"nameless")}  # an upload may be on its way

    monkeypatch.setattr(blob_sweep, "TORN_AFTER_S", -1.0)
    sweep()
    assert files(server) == {sha256(b"named")}


@pytest.mark.usefixtures("training")
def test_a_file_that_an_interrupted_upload_left_is_swept_up(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.client.put_checkpoint("digits", 0, 1, b"named", 1)
    [folder] = Path(server.settings.checkpoints).glob("??")
    (folder / "torn-k3x_9").write_bytes(b"nam")

    monkeypatch.setattr(blob_sweep, "TORN_AFTER_S", -1.0)
    housekeeping.clean_up(server.app.state.database, server.app.state.blobs)

    assert files(server) == {sha256(b"named")}


def test_the_age_of_a_file_is_told_by_the_clock_of_its_file_system(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    BlobFolder(server.settings.checkpoints).write(b"nameless")
    tomorrow = time.time() + 86_400

    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: tomorrow)
        housekeeping.clean_up(server.app.state.database, server.app.state.blobs)

    assert files(server) == {sha256(b"nameless")}


@pytest.mark.usefixtures("training")
def test_a_packed_folder_is_no_checkpoint_of_a_network(server: RunningServer, http: httpx.Client) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("weights.pt"))
    content = packed.getvalue()

    answer = http.put(f"{PATH}/1", params={"fence": 1, "sha256": sha256(content)}, content=content)

    assert refusal(answer) == (409, "contradiction")
    assert "this is a tar file" in answer.json()["detail"]
    assert files(server) == set()
    assert http.put(f"{PATH}/1", params={"fence": 1, "sha256": sha256(content[1:])}, content=content[1:]).is_success


@pytest.mark.usefixtures("training")
def test_an_upload_that_will_be_refused_leaves_nothing_on_disk(server: RunningServer, http: httpx.Client) -> None:
    for query in ({"fence": 77}, {"fence": 1, "version": 3}):
        content = f"state {query}".encode()
        answer = http.put(f"{PATH}/1", params=query | {"sha256": sha256(content)}, content=content)
        assert answer.status_code == 409

    assert files(server) == set()


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize(
    "query",
    [
        {"fence": 1},
        {"sha256": "0" * 64},
        {"fence": 0, "sha256": "0" * 64},
        {"fence": 1, "sha256": "../../../etc/passwd"},
        {"fence": 1, "sha256": "A" * 64},
        {"fence": 1, "sha256": "0" * 64, "epoch": -1},
        {"fence": 1, "sha256": "0" * 64, "epoch": "nan"},
        {"fence": 1, "sha256": "0" * 64, "value": "inf"},
    ],
    ids=str,
)
def test_an_upload_needs_a_fence_and_a_hash(http: httpx.Client, query: dict[str, Any]) -> None:
    assert refusal(http.put(f"{PATH}/1", params=query, content=b"")) == (422, "invalid")


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize("step", ["-1", "1.5", "one", str(2**53 + 1), "..%2f..%2fetc%2fpasswd", "%2e%2e", "1%00"])
def test_no_path_leads_elsewhere(http: httpx.Client, step: str) -> None:
    query: dict[str, Any] = {"fence": 1, "sha256": sha256(b"")}

    for answer in (http.get(f"{PATH}/{step}"), http.put(f"{PATH}/{step}", params=query, content=b"")):
        assert refusal(answer)[0] in (404, 405, 422)
