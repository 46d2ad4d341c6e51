"""SQL on numerics: what the last bits of drawn points depend on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import numerics


def record(tx: Transaction, fingerprint: str, facts: dict[str, Any]) -> None:
    """Keep them once; no effect where they are known."""
    tx.execute(tx.insert_new(numerics, "fingerprint").values(fingerprint=fingerprint, facts=facts))


def facts_of(tx: Transaction, fingerprints: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Fingerprint -> facts."""
    found = tx.execute(sa.select(numerics).where(numerics.c.fingerprint.in_(list(fingerprints))))
    return {row.fingerprint: row.facts for row in found}
