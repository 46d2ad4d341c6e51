"""What a run prints is kept beside its trial, as plain text, within limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from server.services.leases import housekeeping
from server.services.quotas import Quotas
from server.store.blobs import BlobFolder
from sturgeon.errors import LeaseLost, NotFound
from sturgeon.messages import LARGEST_LOG, Lease

if TYPE_CHECKING:
    from tests.running import RunningServer

PATH = "/v1/studies/bowl/trials/0/log"
LOG_BYTES = 'stored_bytes{what="logs"}'


def test_the_last_log_of_a_run_is_read_as_text_that_no_browser_runs(
    server: RunningServer, http: httpx.Client, leased_trial: Lease
) -> None:
    server.client.put_trial_log("bowl", 0, leased_trial.fence, "epoch 1")
    server.client.put_trial_log("bowl", 0, leased_trial.fence, "<script>\0\nepoch 2: größer")

    answer = http.get(PATH)

    assert answer.text == "<script>\0\nepoch 2: größer"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_log_renews_the_lease(server: RunningServer, leased_trial: Lease) -> None:
    server.advance(seconds=50)
    server.client.put_trial_log("bowl", 0, leased_trial.fence, "epoch 1")
    server.advance(seconds=50)
    server.expire_leases()

    assert server.client.trial("bowl", 0).state == "running"


def test_the_logs_of_the_last_two_runs_are_kept(server: RunningServer, leased_trial: Lease) -> None:
    fences = [leased_trial.fence]
    for kept, text in enumerate(("first", "second", "third")):
        assert server.client.trial("bowl", 0).logs == min(kept, 2)
        server.client.put_trial_log("bowl", 0, fences[-1], text)
        server.client.release("bowl", 0, fences[-1])
        fences.append(server.client.ask("bowl").leases[0].fence)

    assert server.client.trial_log("bowl", 0) == "third"
    assert server.client.trial_log("bowl", 0, "before") == "second"


def test_a_run_that_lost_its_lease_writes_no_log(server: RunningServer, taken_trial: Lease) -> None:
    with pytest.raises(LeaseLost, match="its log was not stored"):
        server.client.put_trial_log("bowl", 0, taken_trial.fence, "late")

    with pytest.raises(NotFound, match="Trial 0 of bowl has no log"):
        server.client.trial_log("bowl", 0)


def test_a_log_that_is_sent_again_after_the_end_is_taken_once(server: RunningServer, leased_trial: Lease) -> None:
    server.client.put_trial_log("bowl", 0, leased_trial.fence, "all")
    server.client.tell("bowl", 0, leased_trial.fence, {"loss": 0.5})

    server.client.put_trial_log("bowl", 0, leased_trial.fence, "all")

    with pytest.raises(LeaseLost):
        server.client.put_trial_log("bowl", 0, leased_trial.fence, "more")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"\xff\xfe", "text/plain", 422),
        (b"{}", "application/json", 415),
        (b"<b>", "text/html", 415),
        (b"a" * (LARGEST_LOG + 1), "text/plain", 413),
    ],
)
def test_what_is_no_log_is_refused_at_the_door(
    http: httpx.Client, leased_trial: Lease, content: bytes, kind: str, status: int
) -> None:
    answer = http.put(PATH, params={"fence": leased_trial.fence}, content=content, headers={"Content-Type": kind})

    assert answer.status_code == status
    assert http.get(PATH).status_code == 404


def test_beyond_the_quota_the_oldest_logs_of_a_study_are_deleted(server: RunningServer, leased_trial: Lease) -> None:
    leases = [leased_trial, *server.client.ask("bowl", 2).leases]
    for lease in leases:
        server.client.put_trial_log("bowl", lease.number, lease.fence, f"{lease.number}" * 1000)
        server.advance(seconds=1)

    housekeeping.clean_up(server.app.state.database, BlobFolder(server.settings.checkpoints), Quotas(logs_size=40))

    kept = []
    for lease in leases:
        try:
            kept.append(server.client.trial_log("bowl", lease.number)[0])
        except NotFound:
            kept.append("gone")
    assert kept == ["gone", "1", "2"]


def test_a_studys_logs_are_deleted_with_it(server: RunningServer, http: httpx.Client, leased_trial: Lease) -> None:
    server.client.put_trial_log("bowl", 0, leased_trial.fence, "text")
    assert LOG_BYTES in http.get("/metrics").text

    server.client.delete_study("bowl", force=True)

    assert LOG_BYTES not in http.get("/metrics").text


def test_of_a_log_that_is_too_long_the_client_sends_the_beginning_and_the_end(
    server: RunningServer, leased_trial: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sturgeon.messages.LARGEST_LOG", 103)

    server.client.put_trial_log("bowl", 0, leased_trial.fence, "ä" * 60)
    text = server.client.trial_log("bowl", 0)

    first, _, last = text.partition("\n.. left out ..\n")
    assert (set(first), len(first), set(last)) == ({"ä"}, 12, {"ä"})
    assert 90 < len(text.encode()) <= 103
