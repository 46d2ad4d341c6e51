"""The audit trail, as people read it, and how long it is kept. (What is in it, `server/store/audit.py` writes.)"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

import structlog

from server.actors import NOBODY, Actor
from server.services.isolation import isolated
from server.services.pagination import after_of, page_of
from server.services.views import moment
from server.store import audit
from server.store.audit import AuditRow, Wanted
from server.store.engine import Database
from server.wrong_tokens import Budgets
from sturgeon import messages
from sturgeon.errors import Unavailable

KEPT_US: Final = 365 * 86_400_000_000
MOST: Final = 100_000
LOGIN: Final = "login"
REFUSED: Final = "login.refused"
MOST_REFUSED: Final = 1_000
"""Refused logins that are kept: strangers cause them, and must not push out what others did."""
REFUSED_A_MINUTE: Final = 30
AT_ONCE: Final = 5_000
"""Rows that one transaction deletes: others want to write, too."""

log = structlog.get_logger()


def listing(
    database: Database,
    size: int,
    page_token: str | None,
    *,
    actor: str | None,
    action: str | None,
    study: str | None,
    since: datetime | None,
    until: datetime | None,
) -> messages.Page[messages.AuditEntry]:
    """A page of the audit trail, the newest first. Raises: Invalid (an unknown page token)."""
    before = None if page_token is None else after_of(page_token)
    wanted = Wanted(actor, action, study, _microseconds(since), _microseconds(until))
    with database.reading() as tx:
        rows = audit.page(tx, wanted, before, size + 1)
    return page_of([_view(row) for row in rows], size, [row.id for row in rows])


class Logins:
    """Writes into the audit trail who has logged in to the pages, and who was refused, as far as there is room."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refusals = Budgets(REFUSED_A_MINUTE, time.monotonic)

    def record(self, actor: Actor, address: str) -> None:
        """Write that somebody has logged in."""
        self._write(actor, LOGIN, address)

    def record_refusal(self, address: str) -> None:
        """Write that somebody has sent a wrong token; not each of very many."""
        if self._refusals.spend(REFUSED, 1):
            self._write(NOBODY, REFUSED, address)

    def _write(self, actor: Actor, action: str, address: str) -> None:
        """A login that cannot be written, as on a full disk, is let in all the same: people want to look then."""
        try:
            with self._database.writing() as tx:
                audit.insert(tx, actor, action, tx.now(), address=address)
        except Unavailable as error:
            log.warning("a login is not in the audit trail", action=action, by=actor.name, reason=error.message)


def trim(database: Database, duty: str) -> None:
    """Delete what is too old or too much, in steps."""
    with isolated(duty, part="audit trail"):
        for most, action in ((MOST_REFUSED, REFUSED), (MOST, None)):
            while _trimmed(database, most, action) == AT_ONCE:
                pass


def _trimmed(database: Database, most: int, action: str | None) -> int:
    with database.writing() as tx:
        return audit.forget(tx, tx.now() - KEPT_US, most, AT_ONCE, action=action)


def _microseconds(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1_000_000)


def _view(row: AuditRow) -> messages.AuditEntry:
    return messages.AuditEntry(
        id=row.id,
        at=moment(row.at),
        actor=row.actor,
        actor_token=row.actor_token,
        action=row.action,
        study=row.study,
        trial=row.trial,
        target=row.target,
        detail=row.detail,
    )
