"""What a server deletes after a while: idempotency keys, workers, blobs that no checkpoint names."""

from __future__ import annotations

from typing import Final

from server.services import audit, blob_sweep
from server.services.isolation import isolated
from server.services.quotas import DEFAULT, Quotas
from server.store import changes, events, floors, idempotency, outbox, tokens, trial_logs, unable, workers
from server.store.blobs import BlobFolder
from server.store.engine import Database

DUTY: Final = "clean-up"
DAY_US: Final = 86_400_000_000


def begin(database: Database) -> None:
    """What a server does once, before it serves: no fence that was forgotten with a restored backup is given again, and
    rows that a dump of another database brought do not count as changed for ever."""
    with database.writing() as tx:
        floors.raise_at_start(tx, tx.now())
        changes.forget_foreign(tx)


def clean_up(database: Database, blobs: BlobFolder, quotas: Quotas = DEFAULT) -> None:
    """Delete idempotency keys after a day, workers and what webhooks were told after a week, tokens 30 days after their
    end, the audit trail after a year, the events and logs beyond the quota, and the blobs that no checkpoint names."""
    with isolated(DUTY):
        _clean_up(database, blobs, quotas)


def _clean_up(database: Database, blobs: BlobFolder, quotas: Quotas) -> None:
    with isolated(DUTY, part="idempotency keys and workers"), database.writing() as tx:
        now = tx.steady_now()
        idempotency.forget(tx, now - DAY_US)
        workers.forget(tx, now - 7 * DAY_US)
        unable.forget(tx)
        outbox.forget(tx, now - 7 * DAY_US)
    with isolated(DUTY, part="tokens"), database.writing() as tx:
        tokens.forget(tx, tx.now() - 30 * DAY_US)
    audit.trim(database, DUTY)
    with isolated(DUTY, part="events"), database.writing() as tx:
        events.keep_newest(tx, quotas.events)
    with isolated(DUTY, part="logs"), database.writing() as tx:
        trial_logs.keep_newest(tx, quotas.logs_size)
    with isolated(DUTY, part="blobs"):
        blob_sweep.sweep(database, blobs)
