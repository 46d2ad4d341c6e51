"""What a server forgets after a while: idempotency keys, workers, blobs that no checkpoint names."""

from __future__ import annotations

from typing import Final

from server.services import blob_sweep
from server.store import idempotency, workers
from server.store.blobs import BlobFolder
from server.store.engine import Database

DAY_US: Final = 86_400_000_000


def clean_up(database: Database, blobs: BlobFolder) -> None:
    """Forget idempotency keys after a day, workers after a week, blobs that no checkpoint names."""
    with database.writing() as tx:
        now = tx.now()
        idempotency.forget(tx, now - DAY_US)
        workers.forget(tx, now - 7 * DAY_US)
    blob_sweep.sweep(database, blobs)
