"""SQL on idempotency keys. Key, request hash and answer are written in the transaction of the effect.

The database deletes the keys of a study with it: a later study of its name has nothing to do with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import idempotency_keys
from sturgeon.identifiers import StudyId


@dataclass(frozen=True)
class KeyRow:
    """A row of `idempotency_keys`."""

    key: str
    request_sha256: str
    study_id: StudyId | None
    answer: Json | None
    at: int


def claim(tx: Transaction, key: str, request_sha256: str, study_id: StudyId | None) -> KeyRow | None:
    """Claim the key: None, or the row of the request that claimed it first. Waits for a transaction that holds it."""
    values = {"key": key, "request_sha256": request_sha256, "study_id": study_id, "answer": None, "at": 0}
    if tx.execute(tx.insert_new(idempotency_keys, "key", returning="key"), values).one_or_none() is not None:
        return None
    return find(tx, key)


_FIND: Final = sa.select(idempotency_keys).where(idempotency_keys.c.key == sa.bindparam("key"))


def find(tx: Transaction, key: str) -> KeyRow | None:
    """The key's row, if it was claimed."""
    row = tx.execute(_FIND, {"key": key}).one_or_none()
    return None if row is None else KeyRow(*row)


_ANSWER: Final = idempotency_keys.update().where(idempotency_keys.c.key == sa.bindparam("claimed"))


def answer(tx: Transaction, key: str, body: Json, study_id: StudyId | None = None) -> None:
    """Store the answer for a claimed key. study_id: the study that the request has created."""
    now = tx.steady_now()  # a clock that is put forward must not make the key old
    created = {} if study_id is None else {"study_id": study_id}
    tx.execute(_ANSWER, {"claimed": key, "answer": body, "at": now, **created})


def claim_answered(tx: Transaction, key: str, request_sha256: str, study_id: StudyId, body: Json) -> bool:
    """Claim the key with its answer; False where another request has claimed it."""
    values = {"key": key, "request_sha256": request_sha256, "study_id": study_id}
    answered = {"answer": body, "at": tx.steady_now()}
    return bool(tx.run(tx.insert_new(idempotency_keys, "key", returning="key"), values | answered).rows)


def forget(tx: Transaction, before: int) -> int:
    """Delete the keys that were used before `before`; return how many."""
    return tx.execute(idempotency_keys.delete().where(idempotency_keys.c.at < before)).rowcount
