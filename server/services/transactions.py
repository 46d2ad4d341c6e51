"""Write transactions on one study: one begin, one lock, one reading of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from server.services import lookup
from server.services.metrics import Counters
from server.services.quotas import DEFAULT, Quotas
from server.store import events, studies
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from sturgeon.errors import Problem
from sturgeon.identifiers import TrialNumber

log = structlog.get_logger()


@dataclass
class Scope:
    """A write transaction on a study, and what its steps share.

    study: the row as this transaction has left it; locked, unless the service that opened the scope says otherwise.
    now: microseconds since 1970 UTC, read once, after the lock.
    """

    tx: Transaction
    study: StudyRow
    now: int
    counters: Counters
    quotas: Quotas = DEFAULT

    def update_study(self, **values: object) -> StudyRow:
        """Write columns of the study; its row is locked."""
        self.study = studies.update(self.tx, self.study.id, **values)
        return self.study

    @contextmanager
    def attempt(self, kind: str, number: TrialNumber, **detail: object) -> Iterator[None]:
        """Do what nobody waits for, such as what a policy decides. Where it cannot be done an event of the trial says
        why; what it came with, such as a report, is kept all the same. What writes more than one row in it does so in
        a savepoint."""
        before = self.study
        try:
            yield
        except (Problem, ValueError, ArithmeticError) as error:
            self.study = before
            reason = error.message if isinstance(error, Problem) else f"{type(error).__name__}: {error}"
            log.warning("a step was given up", kind=kind, study=before.name, trial=number, reason=reason)
            events.insert(self.tx, before.id, kind, self.now, number, reason=reason, **detail)


@dataclass(frozen=True)
class Transactions:
    """Opens the write transactions of one server process."""

    database: Database
    counters: Counters
    quotas: Quotas = DEFAULT

    def scope(self, tx: Transaction, study: StudyRow) -> Scope:
        """A scope of a transaction that has begun; every lock that it waits for is held."""
        return Scope(tx, study, tx.now(), self.counters, self.quotas)

    @contextmanager
    def on_study(self, name: str) -> Iterator[Scope]:
        """Lock the study's row, and commit at the end of the block. Raises: NotFound."""
        with self.database.writing() as tx:
            study = lookup.lock_study(tx, name)
            yield self.scope(tx, study)
