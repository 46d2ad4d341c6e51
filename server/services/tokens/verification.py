"""Whom a named token lets in, without asking the database for each request.

A token that was found is believed for KEEP_S, on each server by itself: so a revocation holds on all of them within
that time, and at once on the one that was asked for it. Expiry is exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Final

from server.actors import Actor, is_reserved
from server.scopes import ADMIN, WRITE
from server.store import tokens
from server.store.engine import Database
from server.store.reach import Reach
from sturgeon.messages import TokenScope

KEEP_S: Final = 2.0
DUTY: Final = "tokens"
NOTE_EVERY_US: Final = 60_000_000
MOST_BELIEVED: Final = 2_000


@dataclass(frozen=True)
class Bearer:
    """Who sends a request: the id of the token, its name, its hash, and what it is for."""

    id: int
    name: str
    sha256: str
    scopes: frozenset[TokenScope]
    reach: Reach

    @cached_property
    def actor(self) -> Actor:
        """Who acts with the token: an `admin` for all, others under leases of their own. One that has had a reserved
        name since before names were reserved is not taken for somebody else."""
        name = f"token:{self.name}" if is_reserved(self.name) else self.name
        return Actor(name, self.id, acts_for_all=self.may(ADMIN), takes_back=self.may(WRITE))

    def may(self, needed: frozenset[TokenScope]) -> bool:
        """Whether one of these scopes is among its own; `admin` is all of them."""
        return "admin" in self.scopes or not needed.isdisjoint(self.scopes)


class TokenMemo:
    """The tokens that were used last. `keep_s` is KEEP_S; a test may keep them for no time."""

    def __init__(self, database: Database, keep_s: float = KEEP_S) -> None:
        self.keep_s = keep_s
        self._database = database
        self._kept: dict[str, tuple[Bearer, float]] = {}
        self._guard = Lock()
        self._forgotten = 0
        self._used: dict[int, int] = {}

    def kept(self, sha256: str) -> Bearer | None:
        """Who has this token, if that was looked up a moment ago. It takes no time, so the event loop may call it."""
        bearer, until = self._kept.get(sha256, (None, 0.0))
        return bearer if time.monotonic() < until else None

    def look_up(self, sha256: str) -> Bearer | None:
        """Who has this token, as the database says; None if it is unknown, revoked or expired.

        Raises: Unavailable (the database is away).
        """
        asked_at, forgotten = time.monotonic(), self._forgotten
        with self._database.reading() as tx:
            row = tokens.by_sha256(tx, sha256)
            now = tx.now()
        if row is None or not row.is_active(now):
            self._kept.pop(sha256, None)
            return None
        bearer = Bearer(row.id, row.name, sha256, frozenset(row.scopes), Reach.of(row.studies, row.name))
        left_s = self.keep_s if row.expires_at is None else min(self.keep_s, (row.expires_at - now) / 1e6)
        with self._guard:
            if forgotten == self._forgotten:  # else it may have been revoked since it was read
                self._keep(bearer, asked_at + left_s)
            if row.last_used_at is None or now - row.last_used_at >= NOTE_EVERY_US:
                self._used[row.id] = now
        return bearer

    def active(self) -> frozenset[str]:
        """The hashes of all tokens that let somebody in. Raises: Unavailable (the database is away)."""
        with self._database.reading() as tx:
            return tokens.active_hashes(tx, tx.now())

    def _keep(self, bearer: Bearer, until: float) -> None:
        if len(self._kept) >= MOST_BELIEVED:  # those that nobody has used for long, too: they are not looked for singly
            self._kept.clear()
        self._kept[bearer.sha256] = (bearer, until)

    def forget(self) -> None:
        """Ask the database about each token again, also about one that is just being looked up."""
        with self._guard:
            self._forgotten += 1
            self._kept.clear()

    def note_use(self) -> None:
        """Write when tokens were used, to the minute."""
        with self._guard:
            used, self._used = self._used, {}
        if used:
            with self._database.writing() as tx:
                tokens.note_use(tx, used)

    def ended(self, tokens_in_use: Iterable[str]) -> list[str]:
        """Which of these tokens, by their hashes, let nobody in any more; for what lasts longer than a request."""
        return [sha256 for sha256 in tokens_in_use if self.look_up(sha256) is None]
