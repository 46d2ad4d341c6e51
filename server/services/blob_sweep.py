"""Deleting blobs that no checkpoint names: the only place that deletes one.

A blob may be uploaded again at any moment, by another trial or by a run that repeats its steps. So the sweep looks at
a blob and deletes it under a lock that excludes uploads; and an upload checks its blob, and writes its row, under the
same lock. Whichever comes second sees what the first has done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from server.store import checkpoints
from server.store.blobs import BlobFolder
from server.store.engine import Database
from sturgeon.errors import Unavailable

TORN_AFTER_S: Final = 3600.0
"""An upload writes its blob, then its row. No more time than this passes between the two."""
BATCH: Final = 100
"""Uploads wait while so many files are deleted: a transaction for each batch."""
log = structlog.get_logger()


def delete_unnamed(database: Database, blobs: BlobFolder, hashes: Iterable[str]) -> None:
    """Delete those of the blobs that no checkpoint names.

    To be called after the commit that deleted their rows. The caller's work is done then, so a database that is away is
    no failure: the sweep deletes the blobs later.
    """
    try:
        _delete_unnamed(database, blobs, list(hashes), cutoff=None)
    except Unavailable as error:
        log.warning("blobs are left to the sweep", reason=error.message)


def sweep(database: Database, blobs: BlobFolder) -> None:
    """Delete the blobs without a row: those of interrupted uploads, and those whose rows a rollback has deleted."""
    cutoff = blobs.now() - TORN_AFTER_S
    blobs.delete_torn(cutoff)
    _delete_unnamed(database, blobs, list(blobs.written_before(cutoff)), cutoff)


def _delete_unnamed(database: Database, blobs: BlobFolder, hashes: Sequence[str], cutoff: float | None) -> None:
    """With a `cutoff`, only blobs that were written before it: a newer one may be waiting for its row."""
    for start in range(0, len(hashes), BATCH):
        batch = hashes[start : start + BATCH]
        with database.writing() as tx:
            checkpoints.lock_blobs(tx)
            for sha256 in set(batch) - checkpoints.referenced(tx, batch):
                if cutoff is None or blobs.is_older(sha256, cutoff):
                    blobs.delete(sha256)
