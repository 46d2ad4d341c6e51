"""Whose token it is that was sent, and how often an address may send a wrong one.

A right token is let in from any address, however many wrong ones came from there: many clients may share one. Only a
shared token that is short enough to be found by trying is another matter: an address that has tried too often has to
wait, unless it has sent it before. What nobody knows costs the database a bounded number of statements.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Final, Literal

import structlog
from anyio.to_thread import run_sync
from starlette.types import Scope

from server.services.tokens.secrets import sha256_of
from server.services.tokens.verification import KEEP_S, Bearer, TokenMemo
from server.sessions import SHARED, is_sealed, session_of
from server.wrong_tokens import REPETITION, Budgets, WrongTokens, neighbourhood
from sturgeon.errors import TooManyWrongTokens, Unavailable

LONG: Final = 32
"""A shared token of so many characters is not found by trying; `make secrets` draws 43."""
LOOKED_UP_A_MINUTE: Final = 1_200
"""So many tokens that turn out to be unknown are looked up in a minute, from all addresses together."""
LINES_A_MINUTE: Final = 10
Whose = Bearer | Literal["shared"] | None
"""The bearer of a named token, who has sent the shared one, or nobody."""
EVERYBODY: Final = "everybody"

log = structlog.get_logger()


class TokenCheck:
    """Tells whose a token is. For the event loop alone; what it asks of the database, a thread does."""

    def __init__(self, shared: str, memo: TokenMemo, wrong: WrongTokens) -> None:
        self.wrong = wrong
        self._shared = shared.encode()
        self._memo = memo
        self._lookups = Budgets(LOOKED_UP_A_MINUTE, lambda: wrong.clock())
        self._lines = Budgets(LINES_A_MINUTE, lambda: wrong.clock())
        self._reading = asyncio.Lock()
        self._active: frozenset[str] | None = None
        self._read_again_at = 0.0

    async def whose(self, scope: Scope, given: str) -> Whose:
        """Whose token it is; None if it is wrong.

        Raises: TooManyWrongTokens, Unavailable (the database is away).
        """
        # Constant time, so that an answer's delay tells nothing about the token.
        if hmac.compare_digest(given.encode("utf-8", "replace"), self._shared):
            self._admit_shared(scope)
            return "shared"
        sha256 = sha256_of(given)
        if sha256 is not None:
            return self._memo.kept(sha256) or await self._named(scope, sha256)
        sha256 = hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()
        address = address_of(scope)
        if not self._may_try(address, sha256):
            raise self._too_many(address)
        self.wrong.note(sha256)
        return None

    def session(self, scope: Scope, cookie: str | None) -> str | None:
        """Whose session a cookie is, as `session_of`. An attempt at a short shared token can be sealed as well as sent,
        so a wrong seal counts as a wrong token then.

        Raises: TooManyWrongTokens.
        """
        is_attempt = len(self._shared) < LONG and is_sealed(cookie)
        if is_attempt:
            self._require_room(scope)
        session = session_of(self._shared.decode(), cookie)
        if is_attempt and session is None:
            sha256 = hashlib.sha256((cookie or "").encode("utf-8", "replace")).hexdigest()
            if not self._may_try(address_of(scope), sha256):
                raise self._too_many(address_of(scope))
            self.wrong.note(sha256)
        elif is_attempt and session == SHARED:  # who has a named token's session need not know the shared token
            self.wrong.trust(address_of(scope))
        return session

    async def of_session(self, scope: Scope, sha256: str) -> Bearer | None:
        """The bearer of a token whose hash our own seal vouches for, so that nobody finds it by trying.

        Raises: Unavailable.
        """
        if (bearer := self._memo.kept(sha256)) is not None or self.wrong.is_known(sha256):
            return bearer
        return await self._looked_up(scope, sha256)

    def _admit_shared(self, scope: Scope) -> None:
        """Raises: TooManyWrongTokens (it may have been found by trying)."""
        if len(self._shared) < LONG:
            self._require_room(scope)
            self.wrong.trust(address_of(scope))

    def _require_room(self, scope: Scope) -> None:
        """Raises: TooManyWrongTokens (the address may try no more short shared tokens)."""
        address = address_of(scope)
        if self.wrong.of_address.left(address) < 1 and not self.wrong.is_trusted(address):
            raise self._too_many(address)

    def _may_try(self, address: str, sha256: str) -> bool:
        cost = REPETITION if self.wrong.is_known(sha256) else 1
        may = self.wrong.of_address.spend(address, cost)
        if may and self.wrong.of_address.left(address) < 1 and self._lines.spend(EVERYBODY, 1):
            log.warning("too many wrong tokens", address=address)
        return may

    async def _named(self, scope: Scope, sha256: str) -> Bearer | None:
        """Raises: TooManyWrongTokens, Unavailable."""
        address, is_known = address_of(scope), self.wrong.is_known(sha256)
        may_try = self._may_try(address, sha256)
        if may_try and is_known:
            return None
        has_room = may_try and self._lookups.spend(EVERYBODY, 1)
        if not has_room and sha256 not in await self._active_now(scope):
            raise self._too_many(address)
        is_wrong = False  # as far as is known: the database may be away
        try:
            bearer = await self._looked_up(scope, sha256)
            is_wrong = bearer is None
        finally:
            if may_try and not is_wrong:
                self.wrong.of_address.spend(address, -1)
        if bearer is not None and has_room:
            self._lookups.spend(EVERYBODY, -1)
        return bearer

    async def _looked_up(self, scope: Scope, sha256: str) -> Bearer | None:
        bearer = await run_sync(self._memo.look_up, sha256, limiter=scope["app"].state.lanes.tokens)
        if bearer is None:
            self.wrong.note(sha256)
        return bearer

    async def _active_now(self, scope: Scope) -> frozenset[str]:
        """The hashes of the tokens that let somebody in, read at most once in KEEP_S. Raises: Unavailable."""
        async with self._reading:
            if self.wrong.clock() >= self._read_again_at:
                self._read_again_at, self._active = self.wrong.clock() + KEEP_S, None
                self._active = await run_sync(self._memo.active, limiter=scope["app"].state.lanes.tokens)
            if self._active is None:
                raise Unavailable
            return self._active

    def _too_many(self, address: str) -> TooManyWrongTokens:
        return TooManyWrongTokens(retry_after_s=max(self.wrong.of_address.wait_s(address), round(KEEP_S)))


def address_of(scope: Scope) -> str:
    """Whose budget a request takes from. Behind a trusted proxy, the client's address is what that one says."""
    client = scope.get("client")
    return neighbourhood(client[0]) if client else ""
