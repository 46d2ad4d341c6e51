"""SQL on numerics: what the last bits of drawn points depend on."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import numerics


def record(tx: Transaction, fingerprint: str, facts: Json) -> None:
    """Store these facts; no effect where the fingerprint is stored already. A process does it once a database."""
    if fingerprint in tx.stored_numerics:
        return
    tx.execute(tx.insert_new(numerics, "fingerprint"), {"fingerprint": fingerprint, "facts": facts})
    tx.after_commit(tx.stored_numerics.add, fingerprint)


def facts_of(tx: Transaction, fingerprints: Iterable[str]) -> dict[str, Json]:
    """Fingerprint -> facts."""
    rows = tx.execute(sa.select(numerics).where(numerics.c.fingerprint.in_(list(fingerprints))))
    return {row.fingerprint: row.facts for row in rows}
