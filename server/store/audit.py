"""SQL on the audit trail: who has changed what. A row is written in the transaction of what it tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from server.actors import Actor
from server.request_context import ACTION, CURRENT, MESSAGE, NOTED, RECORDED, UNRECORDED, WORK
from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import audit

VALUES_TOLD: Final = ("state", "scopes", "studies", "lasts_s", "step")
"""Fields of messages whose values are told, too. Of all others only the name is: values are what users have written."""
TARGETS: Final = ("proposal", "webhook", "worker", "token")
"""Parameters of addresses that name what is acted on, beside a study and a trial."""


@dataclass(frozen=True)
class AuditRow:
    """A row of `audit`."""

    id: int
    at: int
    actor: str
    actor_token: int | None
    action: str
    study: str | None
    trial: int | None
    target: str | None
    detail: Json


@dataclass(frozen=True)
class Wanted:
    """Which rows: all that match what is not None. since and until: in microseconds; `until` is not included."""

    actor: str | None = None
    action: str | None = None
    study: str | None = None
    since: int | None = None
    until: int | None = None


def record(tx: Transaction) -> None:
    """Write what the request that is worked on has changed, once. It is called before each commit."""
    scope = CURRENT.get()
    action = None if scope is None else scope.get(ACTION)
    if scope is None or action in (None, WORK, UNRECORDED) or scope.get(RECORDED) or not tx.has_changed:
        return
    told = _told(scope.get("path_params") or {}, scope.get(MESSAGE), scope.get(NOTED) or {})
    insert(tx, tx.actor, str(action), tx.now(), **told)
    tx.after_commit(scope.__setitem__, RECORDED, True)


def insert(
    tx: Transaction,
    actor: Actor,
    action: str,
    now: int,
    *,
    study: str | None = None,
    trial: int | None = None,
    target: str | None = None,
    **detail: object,
) -> None:
    who = {"actor": actor.name, "actor_token": actor.token_id, "action": action, "at": now}
    tx.execute(audit.insert(), {**who, "study": study, "trial": trial, "target": target, "detail": detail})


def _told(path: Json, message: Any, noted: Json) -> Json:
    """The columns and the detail of a row. message: the one in the body; None without one."""
    fields = sorted(getattr(message, "model_fields_set", ()))
    told: Json = {"fields": fields} if fields else {}
    told |= {name: getattr(message, name) for name in VALUES_TOLD if name in fields}
    told["study"] = path.get("study", getattr(message, "study", None))
    told["trial"] = int(path["number"]) if "number" in path else None
    told["target"] = next((str(path[name]) for name in TARGETS if name in path), None)
    return told | noted


def page(tx: Transaction, wanted: Wanted, before: int | None, size: int) -> list[AuditRow]:
    """Up to `size` rows that are wanted, the newest first; those with ids below `before`, if it is given."""
    same = {"actor": wanted.actor, "action": wanted.action, "study": wanted.study}
    statement = sa.select(audit).where(*(audit.c[name] == value for name, value in same.items() if value is not None))
    if wanted.since is not None:
        statement = statement.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(audit.c.at < wanted.until)
    if before is not None:
        statement = statement.where(audit.c.id < before)
    return [AuditRow(*row) for row in tx.execute(statement.order_by(audit.c.id.desc()).limit(size))]


def forget(tx: Transaction, since: int, most: int, at_once: int, *, action: str | None = None) -> int:
    """Delete rows from before a moment, and the oldest so that at most `most` are left, of one action if it is given;
    no more than `at_once`. How many."""
    rows = sa.select(audit.c.id) if action is None else sa.select(audit.c.id).where(audit.c.action == action)
    last_to_go = rows.order_by(audit.c.id.desc()).offset(most).limit(1).scalar_subquery()
    goes = rows.where(sa.or_(audit.c.at < since, audit.c.id <= last_to_go)).order_by(audit.c.id).limit(at_once)
    return tx.execute(audit.delete().where(audit.c.id.in_(goes))).rowcount
