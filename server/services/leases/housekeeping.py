"""What a server forgets after a while: idempotency keys, workers, blobs that no checkpoint names."""

from __future__ import annotations

import time
from typing import Final

from server.store import checkpoints, idempotency, workers
from server.store.blobs import BlobFolder
from server.store.engine import Database

DAY_US: Final = 86_400_000_000
TORN_AFTER_S: Final = 3600.0


def clean_up(database: Database, blobs: BlobFolder) -> None:
    """Forget idempotency keys after a day, workers after a week, blobs that no checkpoint names."""
    with database.writing() as tx:
        now = tx.now()
        idempotency.forget(tx, now - DAY_US)
        workers.forget(tx, now - 7 * DAY_US)
    # Old ones only: an upload writes its blob before its row.
    old = list(blobs.older_than(TORN_AFTER_S, time.time()))
    for start in range(0, len(old), 500):
        some = old[start : start + 500]
        with database.reading() as tx:
            wanted = checkpoints.referenced(tx, some)
        for sha256 in set(some) - wanted:
            blobs.delete(sha256)
