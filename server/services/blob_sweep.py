"""Deleting blobs that no checkpoint names: the only place that deletes one.

A blob may be uploaded again at any moment, by another trial or by a run that makes a state again. So a blob is looked
at and deleted under a lock that no upload's transaction passes; and an upload makes sure of its blob under the same
lock, in the transaction that writes its row. Whoever comes second sees what the first has done.
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
"""An upload writes its blob before its row, and takes less than this between the two."""
BATCH: Final = 100
"""Uploads wait while so many files are deleted."""
log = structlog.get_logger()


def delete_unnamed(database: Database, blobs: BlobFolder, hashes: Iterable[str]) -> None:
    """Delete those of the blobs that no checkpoint names.

    To be called after the commit of what dropped them. That has succeeded, so a database that is away now is no
    failure: what is left is swept up later.
    """
    try:
        _delete_unnamed(database, blobs, list(hashes), cutoff=None)
    except Unavailable as error:
        log.warning("blobs are left to the sweep", reason=error.message)


def sweep(database: Database, blobs: BlobFolder) -> None:
    """Delete what uploads have left that never came to their row, and what rollbacks left."""
    cutoff = blobs.now() - TORN_AFTER_S
    blobs.delete_torn(cutoff)
    _delete_unnamed(database, blobs, list(blobs.written_before(cutoff)), cutoff)


def _delete_unnamed(database: Database, blobs: BlobFolder, hashes: Sequence[str], cutoff: float | None) -> None:
    """Those that were written before `cutoff`, if it is given: an upload that is on its way has written later."""
    for start in range(0, len(hashes), BATCH):
        some = hashes[start : start + BATCH]
        with database.writing() as tx:
            checkpoints.lock_blobs(tx)
            for sha256 in set(some) - checkpoints.referenced(tx, some):
                if cutoff is None or blobs.is_older(sha256, cutoff):
                    blobs.delete(sha256)
