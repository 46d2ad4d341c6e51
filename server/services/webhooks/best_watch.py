"""Tells webhooks when another trial is recommended. A model says which, so it is looked for in the background, after
the result; what was told last is stored, so a server that ends in between loses nothing."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from server.services import lookup
from server.services.isolation import isolated
from server.services.sampling.best import best_of
from server.services.sampling.sampler_pool import SamplerPool
from server.services.transactions import Transactions
from server.store import events, trials, webhooks
from server.store.engine import Transaction
from server.store.studies import StudyRow
from server.store.webhooks import ToldBest
from sturgeon.errors import NotFound
from sturgeon.identifiers import TrialNumber

DUTY: Final = "best watch"
MOST_AT_ONCE: Final = 20


def watch(transactions: Transactions, sampler_pool: SamplerPool) -> None:
    """Look at the studies with new results whose best somebody wants to be told; each on its own."""
    with transactions.database.reading() as tx:
        names = webhooks.to_be_looked_at(tx, MOST_AT_ONCE)
    for name in names:
        # NotFound: the study was deleted meanwhile.
        with isolated(DUTY, study=name), suppress(NotFound):
            _look_at(transactions, sampler_pool, name)


def _look_at(transactions: Transactions, sampler_pool: SamplerPool, name: str) -> None:
    """Raises: NotFound."""
    with transactions.database.reading() as tx:
        study = lookup.get_study(tx, name)
        best = best_of(tx, sampler_pool, study, 1).recommended
    number = None if best is None else TrialNumber(best.number)
    with transactions.on_study(name) as scope:
        told = webhooks.told_of(scope.tx, study.id)
        if scope.study.id != study.id or (told is not None and told.seq >= study.seq):
            return  # another server has looked
        if best is not None and number is not None and _is_news(scope.tx, study, told, number):
            detail = best.model_dump(mode="json", include={"value", "why", "params"})
            events.insert(scope.tx, study.id, "recommended", scope.now, number, **detail)
        webhooks.note_told(scope.tx, study.id, ToldBest(study.seq, number))


def _is_news(tx: Transaction, study: StudyRow, told: ToldBest | None, number: TrialNumber) -> bool:
    """Whether it is another trial than the one that was told. Where none was told, whether the trial ended after the
    webhook was created."""
    if told is None:
        return True
    if told.number is not None:
        return told.number != number
    row = trials.find(tx, study.id, number)
    return row is not None and row.left_seq is not None and row.left_seq > told.seq
