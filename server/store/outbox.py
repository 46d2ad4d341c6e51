"""SQL on deliveries: the outbox of webhooks. What happens is written to it in the transaction in which it happens, so
a crash loses nothing and a rollback sends nothing."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import deliveries, studies, webhooks
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.messages import WebhookEvent

DeliveryState = Literal["waiting", "delivered", "given_up"]
Told = WebhookEvent | Literal["test"]
EVENTS: Final[tuple[WebhookEvent, ...]] = get_args(WebhookEvent)


@dataclass(frozen=True)
class DeliveryRow:
    """A row of `deliveries`. due_at and since are in steady time, at is that of the event."""

    id: int
    webhook_id: int
    message_id: str
    event: Told
    body: str
    state: DeliveryState
    attempts: int
    status: int | None
    error: str | None
    due_at: int
    since: int
    at: int


_WANTED: Final = (
    sa.select(webhooks.c.id, webhooks.c.events, studies.c.name)
    .join(studies, studies.c.id == sa.bindparam("study"))
    .where(sa.or_(webhooks.c.study_id.is_(None), webhooks.c.study_id == sa.bindparam("study")))
    # One that is being deleted is waited for: a delivery to it could not be inserted.
    .with_for_update(key_share=True, read=True, of=webhooks)
)


def told_as(kind: str, detail: Json) -> WebhookEvent | None:
    """What webhooks are told of an event of a study; None if nothing."""
    if kind == "state":
        return "study_done" if detail.get("state") == "completed" else None
    told: dict[str, WebhookEvent] = {"recommended": "new_best", "drift": "drift", "failed": "failure"}
    return told.get(kind)


def tell(
    tx: Transaction, study_id: StudyId, kind: str, now: int, number: TrialNumber | None, detail: Json, actor: str
) -> None:
    """Put an event of a study into the outbox, for each webhook that wants to be told of it."""
    event = told_as(kind, detail)
    if event is None:
        return
    for webhook_id, wanted, study in tx.execute(_WANTED, {"study": study_id}).all():
        if event in wanted:
            insert(tx, webhook_id, event, now, {"study": study, "trial": number, "detail": detail, "actor": actor})


def insert(tx: Transaction, webhook_id: int, event: Told, now: int, data: Json) -> DeliveryRow:
    """Put a message into the outbox."""
    message_id = f"msg_{secrets.token_hex(16)}"
    at = datetime.fromtimestamp(now / 1e6, UTC).isoformat(timespec="milliseconds")
    body = {"id": message_id, "type": event, "timestamp": at, "data": data}
    steady = tx.steady_now()
    values = {
        "webhook_id": webhook_id,
        "message_id": message_id,
        "event": event,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "state": "waiting",
        "due_at": steady,
        "since": steady,
        "at": now,
    }
    return DeliveryRow(*tx.execute(deliveries.insert().values(values).returning(deliveries)).one())


def next_due(tx: Transaction, webhook_id: int, now: int) -> DeliveryRow | None:
    """The delivery that is due and has waited longest. now: in steady time."""
    due = sa.select(deliveries).where(
        deliveries.c.webhook_id == webhook_id, deliveries.c.state == "waiting", deliveries.c.due_at <= now
    )
    row = tx.execute(due.order_by(deliveries.c.due_at, deliveries.c.id).limit(1)).one_or_none()
    return None if row is None else DeliveryRow(*row)


def update(tx: Transaction, delivery_id: int, **values: Any) -> None:
    """Write columns of a delivery that waits."""
    mine = sa.and_(deliveries.c.id == delivery_id, deliveries.c.state == "waiting")
    tx.execute(deliveries.update().where(mine).values(values))


def give_up_older(tx: Transaction, webhook_id: int, since: int) -> int:
    """Give up what has waited since before this moment of steady time; how many."""
    old = sa.and_(deliveries.c.webhook_id == webhook_id, deliveries.c.state == "waiting", deliveries.c.since < since)
    return tx.execute(deliveries.update().where(old).values(state="given_up")).rowcount


def newest(tx: Transaction, webhook_id: int, before: int | None, size: int) -> list[DeliveryRow]:
    """Up to `size` deliveries of a webhook, the newest first; those with ids below `before`, if it is given."""
    statement = sa.select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if before is not None:
        statement = statement.where(deliveries.c.id < before)
    return [DeliveryRow(*row) for row in tx.execute(statement.order_by(deliveries.c.id.desc()).limit(size))]


def count_waiting(tx: Transaction) -> int:
    """How many deliveries wait, of all webhooks."""
    statement = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.state == "waiting")
    return int(tx.execute(statement).scalar_one())


def forget(tx: Transaction, since: int) -> int:
    """Delete what came to its end and is from before this moment of steady time; how many."""
    over = sa.select(deliveries.c.id).where(deliveries.c.state != "waiting", deliveries.c.since < since)
    # One whose webhook is being deleted goes with it.
    return tx.execute(deliveries.delete().where(deliveries.c.id.in_(over.with_for_update(skip_locked=True)))).rowcount
