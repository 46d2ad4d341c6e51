"""A blob that is uploaded again is never deleted between its file and its row, whoever deletes, at whatever moment."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.services.leases import housekeeping
from server.store.blobs import BlobFolder
from sturgeon.client import Client
from sturgeon.messages import Lease

if TYPE_CHECKING:
    from tests.running import RunningServer

STUDY: dict[str, Any] = {
    "name": "digits",
    "metric": "dev_error",
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1, "scale": "log"}},
    "budget": {"max_trials": 2},
    "task": {"kind": "train", "dataset": "digits", "epochs": 5, "checkpoints": {"best": 0, "last": 1}},
}
SAME = b"the same bytes"
SHA256 = hashlib.sha256(SAME).hexdigest()
WAIT_S = 60.0


def leased(server: RunningServer, name: str) -> Lease:
    server.client.create_study(STUDY | {"name": name})
    [lease] = server.client.ask(name).leases
    return lease


def sweep_finds_it(server: RunningServer) -> Callable[[], None]:
    """An upload of yesterday that never came to its row; then the sweep."""
    blobs: BlobFolder = server.app.state.blobs
    blobs.write(SAME)
    yesterday = time.time() - 86_400
    os.utime(Path(server.settings.checkpoints) / SHA256[:2] / SHA256, (yesterday, yesterday))
    return lambda: housekeeping.clean_up(server.app.state.database, blobs)


def rule_drops_it(server: RunningServer) -> Callable[[], None]:
    """The checkpoint of another trial, which its next one makes the rule drop."""
    lease = leased(server, "other")
    server.client.put_checkpoint("other", 0, 1, SAME, lease.fence)

    def upload_the_next() -> None:
        server.client.put_checkpoint("other", 0, 2, b"other bytes", lease.fence)

    return upload_the_next


def study_is_deleted_with_it(server: RunningServer) -> Callable[[], None]:
    lease = leased(server, "other")
    server.client.put_checkpoint("other", 0, 1, SAME, lease.fence)
    return lambda: server.client.delete_study("other", force=True)


DELETERS = [sweep_finds_it, rule_drops_it, study_is_deleted_with_it]
deleters = pytest.mark.parametrize("deleter", DELETERS, ids=lambda deleter: deleter.__name__)


@contextmanager
def calling_back(method: str, call: Callable[[], None], *, after: bool) -> Iterator[None]:
    """At the next call of this method of the blob folder for the same bytes, `call` runs before it, or after it."""
    original = getattr(BlobFolder, method)
    called = threading.Event()

    def calling(self: BlobFolder, sha256: Any, *rest: Any) -> Any:
        mine = sha256 in (SHA256, SAME) and not called.is_set()
        if mine:
            called.set()
        if mine and not after:
            call()
        answer = original(self, sha256, *rest)
        if mine and after:
            call()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BlobFolder, method, calling)
        yield
    assert called.is_set(), f"nobody called {method}"


@deleters
def test_a_blob_deleted_between_its_file_and_its_row_is_written_again(
    server: RunningServer, deleter: Callable[[RunningServer], Callable[[], None]]
) -> None:
    lease, delete = leased(server, "digits"), deleter(server)

    with calling_back("ensure", delete, after=True):
        server.client.put_checkpoint("digits", 0, 1, SAME, lease.fence)

    assert server.client.checkpoint("digits", 0, 1) == SAME


@deleters
def test_a_blob_uploaded_again_while_it_is_being_deleted_is_kept(
    server: RunningServer, deleter: Callable[[RunningServer], Callable[[], None]]
) -> None:
    lease, delete = leased(server, "digits"), deleter(server)
    has_its_file = threading.Event()

    with ThreadPoolExecutor(1) as pool:
        uploads = []

        def upload() -> None:
            with Client(server.url) as client:
                client.put_checkpoint("digits", 0, 1, SAME, lease.fence)

        def upload_up_to_its_file() -> None:
            uploads.append(pool.submit(upload))
            assert has_its_file.wait(WAIT_S)

        with (
            calling_back("delete", upload_up_to_its_file, after=False),
            calling_back("ensure", has_its_file.set, after=True),
        ):
            delete()
            uploads[0].result(WAIT_S)

    assert server.client.checkpoint("digits", 0, 1) == SAME


def test_of_equal_bytes_that_two_trials_upload_none_is_lost(server: RunningServer) -> None:
    """Each upload makes the rule drop the trial's checkpoint before it, whose bytes the other may send just then."""
    names = ("ada", "bob")
    leases = {name: leased(server, name) for name in names}
    rounds = 60
    start = threading.Barrier(len(names))

    def upload_all(name: str) -> list[int]:
        """The steps whose bytes were gone although their upload was acknowledged."""
        gone = []
        with Client(server.url) as client:
            start.wait(WAIT_S)
            for step in range(rounds):
                content = f"state {step % 2}".encode()
                client.put_checkpoint(name, 0, step, content, leases[name].fence)
                if not (Path(server.settings.checkpoints) / _place(content)).exists():
                    gone.append(step)
        return gone

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(upload_all, names)) == [[], []]
    for name in names:
        assert server.client.checkpoint(name, 0, rounds - 1) == f"state {(rounds - 1) % 2}".encode()


def _place(content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    return f"{sha256[:2]}/{sha256}"
