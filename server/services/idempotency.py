"""Idempotency: a request that is sent again under the same key gets the first answer, and has no second effect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from server.store import idempotency
from server.store.engine import Transaction
from server.store.studies import StudyRow
from sturgeon.errors import IdempotencyMismatch

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True)
class IdempotencyKey:
    """An Idempotency-Key with the hash of its request; `value` None where the client sent none."""

    value: str | None
    request_sha256: str

    @staticmethod
    def of(key: str | None, route: str, request: BaseModel) -> IdempotencyKey:
        text = f"{route}\n{request.model_dump_json()}"
        return IdempotencyKey(key, hashlib.sha256(text.encode()).hexdigest())


def claim_or_replay(
    tx: Transaction, key: IdempotencyKey, answer: type[AnswerT], study: StudyRow | None
) -> AnswerT | None:
    """Claim the key: None where it is new, else the answer that was stored for it.

    study: what the request is for, and what the key is forgotten with; None where no study is named or exists yet.

    Raises: IdempotencyMismatch (the key was used for another request).
    """
    if key.value is None:
        return None
    stored = idempotency.claim(tx, key.value, key.request_sha256, None if study is None else study.id)
    if stored is None:
        return None
    if stored.request_sha256 != key.request_sha256:
        raise IdempotencyMismatch
    return answer.model_validate(stored.answer)


def store_answer(
    tx: Transaction, key: IdempotencyKey, answer: BaseModel, now: int, *, created: StudyRow | None = None
) -> None:
    """Store the answer in the transaction of its effect. created: the study that the request has created."""
    if key.value is not None:
        study_id = None if created is None else created.id
        idempotency.answer(tx, key.value, answer.model_dump(mode="json"), now, study_id)
