"""SQL on webhooks: whom servers tell of what happens, and which server delivers to them now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json, has_tag
from server.store.tables import deliveries, studies, told_best, webhooks
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.messages import WebhookEvent


@dataclass(frozen=True)
class WebhookRow:
    """A row of `webhooks`. study_id None: it is told of all studies."""

    id: int
    study_id: StudyId | None
    url: str
    events: list[WebhookEvent]
    secret: str
    free_at: int
    failures: int
    created_at: int


def lock_all(tx: Transaction) -> None:
    """Let no other webhook be created before this transaction ends: so that they can be counted and compared."""
    if not tx.is_sqlite:  # there the writers are one after the other anyway
        tx.execute(sa.text("LOCK TABLE webhooks IN SHARE ROW EXCLUSIVE MODE"))


def insert(tx: Transaction, values: Json) -> WebhookRow:
    return WebhookRow(*tx.execute(webhooks.insert().values(values).returning(webhooks)).one())


def find(tx: Transaction, webhook_id: int) -> WebhookRow | None:
    row = tx.execute(sa.select(webhooks).where(webhooks.c.id == webhook_id)).one_or_none()
    return None if row is None else WebhookRow(*row)


def of_scope(tx: Transaction, study_id: StudyId | None) -> list[WebhookRow]:
    """The webhooks of one study, or with None those of the server."""
    statement = sa.select(webhooks).where(webhooks.c.study_id.is_not_distinct_from(study_id)).order_by(webhooks.c.id)
    return [WebhookRow(*row) for row in tx.execute(statement)]


def page(tx: Transaction, after: int, size: int) -> list[WebhookRow]:
    """Up to `size` webhooks with ids above `after`, by id."""
    statement = sa.select(webhooks).where(webhooks.c.id > after).order_by(webhooks.c.id).limit(size)
    return [WebhookRow(*row) for row in tx.execute(statement)]


def delete(tx: Transaction, webhook_id: int) -> bool:
    """Delete the webhook with all that it was to be told; whether there was one."""
    return tx.execute(webhooks.delete().where(webhooks.c.id == webhook_id)).rowcount == 1


# --- which server delivers ---

_DUE: Final = sa.exists().where(
    deliveries.c.webhook_id == webhooks.c.id,
    deliveries.c.state == "waiting",
    deliveries.c.due_at <= sa.bindparam("now"),
)
_ANY_DUE: Final = sa.select(webhooks.c.id).where(webhooks.c.free_at <= sa.bindparam("now"), _DUE).limit(1)


def any_due(tx: Transaction, now: int) -> bool:
    """Whether a server may deliver something. now: in steady time."""
    return tx.execute(_ANY_DUE, {"now": now}).first() is not None


def take(tx: Transaction, now: int, until: int, most: int, but: Collection[int] = ()) -> list[WebhookRow]:
    """Take up to `most` webhooks that something waits for: no other server delivers to them before `until`. but: ids of
    some that are not to be taken."""
    free = sa.select(webhooks.c.id).where(webhooks.c.free_at <= sa.bindparam("now"), _DUE, webhooks.c.id.not_in(but))
    free = free.order_by(webhooks.c.free_at).limit(most).with_for_update(skip_locked=True, key_share=True)
    ids = list(tx.execute(free, {"now": now}).scalars())
    statement = webhooks.update().where(webhooks.c.id.in_(ids)).values(free_at=until).returning(webhooks)
    return sorted((WebhookRow(*row) for row in tx.execute(statement)), key=lambda row: row.id)


def keep(tx: Transaction, taken: WebhookRow, until: int) -> WebhookRow | None:
    """Hold a webhook until another time; None if it is gone, or another server has taken it since."""
    mine = sa.and_(webhooks.c.id == taken.id, webhooks.c.free_at == taken.free_at)
    row = tx.execute(webhooks.update().where(mine).values(free_at=until).returning(webhooks)).one_or_none()
    return None if row is None else WebhookRow(*row)


def note_failures(tx: Transaction, webhook_id: int, failures: int) -> None:
    """Write how often delivering to it has failed in a row."""
    tx.execute(webhooks.update().where(webhooks.c.id == webhook_id).values(failures=failures))


# --- the recommended trial that they were told ---


def _wants_best(of_study: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return sa.exists().where(sa.or_(webhooks.c.study_id.is_(None), of_study), has_tag(webhooks.c.events, "new_best"))


_ANY_WANTS_BEST: Final = sa.select(webhooks.c.id).where(has_tag(webhooks.c.events, "new_best")).limit(1)
_TOLD_SEQ: Final = sa.select(told_best.c.seq).where(told_best.c.study_id == studies.c.id).scalar_subquery()
_TO_BE_LOOKED_AT: Final = (
    sa.select(studies.c.name)
    .where(studies.c.seq > sa.func.coalesce(_TOLD_SEQ, 0), _wants_best(webhooks.c.study_id == studies.c.id))
    .order_by(studies.c.id)
    .limit(sa.bindparam("most"))
)


@dataclass(frozen=True)
class ToldBest:
    """A row of `told_best`; `number` is None where nobody has looked yet."""

    seq: int
    number: TrialNumber | None


def told_of(tx: Transaction, study_id: StudyId) -> ToldBest | None:
    columns = (told_best.c.seq, told_best.c.number)
    row = tx.execute(sa.select(*columns).where(told_best.c.study_id == study_id)).one_or_none()
    return None if row is None else ToldBest(*row)


def note_told(tx: Transaction, study_id: StudyId, told: ToldBest) -> None:
    tx.execute(told_best.delete().where(told_best.c.study_id == study_id))
    tx.execute(told_best.insert().values(study_id=study_id, seq=told.seq, number=told.number))


def begin_to_watch(tx: Transaction, study_id: StudyId | None) -> None:
    """Results that studies have by now are none that a new webhook is told of. study_id None: of all studies."""
    mine = sa.true() if study_id is None else studies.c.id == study_id
    known = sa.exists().where(told_best.c.study_id == studies.c.id)
    present = sa.select(studies.c.id, studies.c.seq).where(mine, ~known).order_by(studies.c.id)
    tx.execute(told_best.insert().from_select(["study_id", "seq"], present))


def forget_unwatched(tx: Transaction) -> None:
    """Forget what was told of studies whose best nobody wants to be told any more."""
    wants = _wants_best(webhooks.c.study_id == told_best.c.study_id)
    tx.execute(told_best.delete().where(~wants))


def to_be_looked_at(tx: Transaction, most: int) -> list[str]:
    """Names of studies whose best somebody wants to be told, with results since it was looked for last."""
    if tx.execute(_ANY_WANTS_BEST).first() is None:  # as mostly: no study need be looked at
        return []
    return list(tx.execute(_TO_BE_LOOKED_AT, {"most": most}).scalars())
