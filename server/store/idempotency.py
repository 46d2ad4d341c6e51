"""SQL on idempotency keys: a key, its request's hash and the answer live in the transaction of the effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.tables import idempotency_keys


@dataclass(frozen=True)
class KeyRow:
    """A row of `idempotency_keys`."""

    key: str
    request_sha256: str
    answer: Any
    at: int


def claim(tx: Transaction, key: str, request_sha256: str) -> KeyRow | None:
    """Take the key: None, or the row of the request that had it first. Waits for a transaction that has it now."""
    values = {"key": key, "request_sha256": request_sha256, "answer": None, "at": 0}
    inserted = tx.insert_new(idempotency_keys, "key").values(values).returning(idempotency_keys.c.key)
    if tx.execute(inserted).one_or_none() is not None:
        return None
    row = tx.execute(sa.select(idempotency_keys).where(idempotency_keys.c.key == key)).one()
    return KeyRow(**row._mapping)


def answer(tx: Transaction, key: str, body: Any, now: int) -> None:
    tx.execute(idempotency_keys.update().where(idempotency_keys.c.key == key).values(answer=body, at=now))


def release(tx: Transaction, key: str) -> None:
    """Give a claimed key back: what came of it is not worth keeping."""
    tx.execute(idempotency_keys.delete().where(idempotency_keys.c.key == key))


def forget(tx: Transaction, before: int) -> int:
    """Forget keys used before `before`; how many."""
    return tx.execute(idempotency_keys.delete().where(idempotency_keys.c.at < before)).rowcount
