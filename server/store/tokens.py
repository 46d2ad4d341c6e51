"""SQL on named tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.json_columns import Json
from server.store.tables import tokens
from sturgeon.messages import TokenScope


@dataclass(frozen=True)
class TokenRow:
    """A row of `tokens`. sha256: of the token, in hexadecimal. Times are in microseconds of the wall clock. studies:
    prefixes of the names of those that it is for; None for all."""

    id: int
    name: str
    sha256: str
    scopes: list[TokenScope]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    studies: list[str] | None

    def is_active(self, now: int) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and not self.is_expired(now)

    def is_expired(self, now: int) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


def lock_all(tx: Transaction) -> None:
    """Let no other token be created before this transaction ends: so that they can be counted."""
    if not tx.is_sqlite:  # there the writers are one after the other anyway
        tx.execute(sa.text("LOCK TABLE tokens IN SHARE ROW EXCLUSIVE MODE"))


def insert(tx: Transaction, values: Json) -> TokenRow:
    return TokenRow(*tx.execute(tokens.insert().values(values).returning(tokens)).one())


def delete(tx: Transaction, token_id: int) -> None:
    tx.execute(tokens.delete().where(tokens.c.id == token_id))


def by_name(tx: Transaction, name: str) -> TokenRow | None:
    row = tx.execute(sa.select(tokens).where(tokens.c.name == name)).one_or_none()
    return None if row is None else TokenRow(*row)


def by_sha256(tx: Transaction, sha256: str) -> TokenRow | None:
    row = tx.execute(sa.select(tokens).where(tokens.c.sha256 == sha256)).one_or_none()
    return None if row is None else TokenRow(*row)


def active_hashes(tx: Transaction, now: int) -> frozenset[str]:
    """The hashes of all tokens that let somebody in; a database keeps a thousand tokens at most."""
    is_unexpired = sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now)
    statement = sa.select(tokens.c.sha256).where(tokens.c.revoked_at.is_(None), is_unexpired)
    return frozenset(tx.execute(statement).scalars())


def page(tx: Transaction, after: int, size: int) -> list[TokenRow]:
    """Up to `size` tokens with ids above `after`, by id."""
    statement = sa.select(tokens).where(tokens.c.id > after).order_by(tokens.c.id).limit(size)
    return [TokenRow(*row) for row in tx.execute(statement)]


def count(tx: Transaction) -> int:
    return int(tx.execute(sa.select(sa.func.count()).select_from(tokens)).scalar_one())


def revoke(tx: Transaction, token_id: int, now: int) -> None:
    tx.execute(tokens.update().where(tokens.c.id == token_id).values(revoked_at=now))


def note_use(tx: Transaction, used: Mapping[int, int]) -> None:
    """Write when tokens were used. used: the time of each, by the token's id; a later one that is written stays.

    In the order of ids, so that two servers that write at once do not wait for each other.
    """
    for token_id, at in sorted(used.items()):
        is_later = sa.or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < at)
        tx.execute(tokens.update().where(tokens.c.id == token_id, is_later).values(last_used_at=at))


def forget_one_ended(tx: Transaction, now: int) -> None:
    """Delete the oldest of the tokens that are revoked or expired, if there is one."""
    is_ended = sa.or_(tokens.c.revoked_at.is_not(None), tokens.c.expires_at <= now)
    oldest = sa.select(sa.func.min(tokens.c.id)).where(is_ended).scalar_subquery()
    tx.execute(tokens.delete().where(tokens.c.id == oldest))


def forget(tx: Transaction, ended_before: int) -> None:
    """Delete the tokens that expired, or were revoked, before a time."""
    tx.execute(tokens.delete().where(sa.or_(tokens.c.expires_at < ended_before, tokens.c.revoked_at < ended_before)))
