"""Create, list, delete and test webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from server.request_context import note
from server.services import lookup
from server.services.pagination import after_of, page_of
from server.services.views import moment
from server.services.webhooks.addresses import Network, Refused, require_literal_allowed, target_of
from server.services.webhooks.signing import new_secret
from server.store import outbox, studies, webhooks
from server.store.engine import Database, Transaction
from server.store.outbox import DeliveryRow
from server.store.webhooks import WebhookRow
from sturgeon import messages
from sturgeon.errors import Conflict, FieldProblem, Forbidden, NotFound

MOST: Final = 20
"""Webhooks of the server, and of each study."""


def create(database: Database, request: messages.WebhookRequest, networks: Sequence[Network]) -> messages.NewWebhook:
    """A new webhook, with the secret that is shown only now. It is told of what happens from now on.

    Raises: NotFound (the study), Forbidden (the address), Conflict (it is told already, or there are too many).
    """
    try:
        require_literal_allowed(target_of(request.url), networks)
    except Refused as refused:
        problem = FieldProblem("/url", refused.message)
        raise Forbidden(f"The url cannot be told: {refused.message}.", (problem,)) from None
    with database.writing() as tx:
        study_id = None if request.study is None else lookup.lock_study(tx, request.study).id
        webhooks.lock_all(tx)
        present = webhooks.of_scope(tx, study_id)
        if any(row.url == request.url for row in present):
            raise Conflict("There is a webhook to this url already; delete it first to get another secret.")
        if len(present) >= MOST:
            raise Conflict(f"There are {MOST} webhooks already; delete one first.")
        values = {"study_id": study_id, "url": request.url, "events": sorted(set(request.events))}
        secret = new_secret()
        row = webhooks.insert(tx, values | {"secret": secret, "created_at": tx.now()})
        note(target=str(row.id))
        if "new_best" in request.events:
            webhooks.begin_to_watch(tx, study_id)
        return messages.NewWebhook(**_view(row, request.study).model_dump(), secret=secret)


def listing(database: Database, size: int, token: str | None) -> messages.Page[messages.Webhook]:
    """A page of all webhooks, the oldest first, without their secrets. Raises: Invalid (an unknown page token)."""
    after = after_of(token)
    with database.reading() as tx:
        rows = webhooks.page(tx, after, size + 1)
        named = studies.by_id(tx, {row.study_id for row in rows if row.study_id is not None})
    items = [_view(row, None if row.study_id is None else named[row.study_id].name) for row in rows]
    return page_of(items, size, [row.id for row in rows])


def delete(database: Database, webhook_id: int) -> None:
    """Delete a webhook with all that it was to be told. Raises: NotFound."""
    with database.writing() as tx:
        if not webhooks.delete(tx, webhook_id):
            raise _unknown(webhook_id)
        webhooks.forget_unwatched(tx)


def test(database: Database, webhook_id: int) -> messages.Delivery:
    """Put a message into the outbox that tells of nothing. Raises: NotFound."""
    with database.writing() as tx:
        row = _found(tx, webhook_id)
        data = {"study": None, "trial": None, "detail": {"webhook": row.id}}
        return _delivery(outbox.insert(tx, row.id, "test", tx.now(), data))


def deliveries(database: Database, webhook_id: int, size: int, token: str | None) -> messages.Page[messages.Delivery]:
    """A page of what a webhook was told, the newest first. Raises: NotFound, Invalid (an unknown page token)."""
    before = None if token is None else after_of(token)
    with database.reading() as tx:
        _found(tx, webhook_id)
        rows = outbox.newest(tx, webhook_id, before, size + 1)
    return page_of([_delivery(row) for row in rows], size, [row.id for row in rows])


def _found(tx: Transaction, webhook_id: int) -> WebhookRow:
    row = webhooks.find(tx, webhook_id)
    if row is None:
        raise _unknown(webhook_id)
    return row


def _unknown(webhook_id: int) -> NotFound:
    return NotFound(f"There is no webhook {webhook_id}; GET /v1/webhooks lists them.")


def _view(row: WebhookRow, study: str | None) -> messages.Webhook:
    return messages.Webhook(
        id=row.id,
        url=row.url,
        study=study,
        events=row.events,
        failures=row.failures,
        created_at=moment(row.created_at),
    )


def _delivery(row: DeliveryRow) -> messages.Delivery:
    return messages.Delivery(
        id=row.message_id,
        event=row.event,
        state=row.state,
        attempts=row.attempts,
        status=row.status,
        error=row.error,
        at=moment(row.at),
    )
