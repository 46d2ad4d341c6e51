"""Idempotency: a request that is sent again under the same key gets the first answer, and has no second effect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from server.actors import acting
from server.store import idempotency
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon.errors import IdempotencyMismatch
from sturgeon.identifiers import Fence

AnswerT = TypeVar("AnswerT", bound=BaseModel)


@dataclass(frozen=True)
class IdempotencyKey:
    """An Idempotency-Key with the hash of its request and of the name of the token that sent it: nobody gets the answer
    that was given to another one. `value` None where the client sent none."""

    value: str | None
    request_sha256: str

    @staticmethod
    def of(key: str | None, route: str, request: BaseModel | None) -> IdempotencyKey:
        return IdempotencyKey(key, _sha256(f"{route}\n{'' if request is None else request.model_dump_json()}"))

    @staticmethod
    def of_run_end(trial: TrialRow, fence: Fence, verb: str, request: BaseModel) -> IdempotencyKey:
        """The key of the request that ends a run: a run ends once, so its fence is the key.

        With its spaces it is none that a client could send.
        """
        text = request.model_dump_json(exclude={"number"})
        return IdempotencyKey(f"{verb} of {trial.id} under {fence}", _sha256(text))


def _sha256(request: str) -> str:
    sender = acting().leases_as
    return hashlib.sha256((f"{request}\n{sender}" if sender else request).encode()).hexdigest()


class Nothing(BaseModel):
    """The answer to a request that has no content."""


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
    return None if stored is None else answer_of(key, answer, stored.request_sha256, stored.answer)


def answer_of(key: IdempotencyKey, answer: type[AnswerT], request_sha256: str, stored: Json | None) -> AnswerT:
    """The answer that was stored for the key. Raises: IdempotencyMismatch (it was used for another request)."""
    if request_sha256 != key.request_sha256:
        raise IdempotencyMismatch
    return answer.model_validate(stored)


class KeyTaken(Exception):
    """Another request has claimed the key and was answered after this one had looked for it: all is to be done again,
    and then its answer is found."""


def claim_answered(tx: Transaction, key: IdempotencyKey, answer: BaseModel, study: StudyRow) -> None:
    """Claim the key of a request that was looked for in vain, with its answer. Raises: KeyTaken."""
    if key.value is None:
        return
    if not idempotency.claim_answered(tx, key.value, key.request_sha256, study.id, answer.model_dump(mode="json")):
        raise KeyTaken


def replay(tx: Transaction, key: IdempotencyKey, answer: type[AnswerT]) -> AnswerT | None:
    """The answer that was stored for this very request; None where there is none."""
    stored = None if key.value is None else idempotency.find(tx, key.value)
    same = stored is not None and stored.request_sha256 == key.request_sha256
    return answer.model_validate(stored.answer) if stored is not None and same else None


def record(tx: Transaction, key: IdempotencyKey, answer: BaseModel, study: StudyRow) -> None:
    """Claim the key of a request that has had its effect, and store its answer."""
    if claim_or_replay(tx, key, type(answer), study) is None:
        store_answer(tx, key, answer)


def store_answer(tx: Transaction, key: IdempotencyKey, answer: BaseModel, *, created: StudyRow | None = None) -> None:
    """Store the answer in the transaction of its effect. created: the study that the request has created."""
    if key.value is not None:
        study_id = None if created is None else created.id
        idempotency.answer(tx, key.value, answer.model_dump(mode="json"), study_id)
