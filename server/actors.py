"""Who acts: each transaction knows it, without being told by every function on the way. A gate says it of a request;
where no request is, the server itself acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Actor:
    """name: of the named token that a request has, else one of RESERVED. token_id: which token had the name then; None
    of RESERVED. acts_for_all: it may act under each lease. takes_back: it may take a trial from its holder."""

    name: str
    token_id: int | None = None
    acts_for_all: bool = False
    takes_back: bool = False

    @property
    def leases_as(self) -> str:
        """Whose the leases are that the actor is given: the token's name, so that another token of this name may go
        on with them; empty for whoever has no named token."""
        return "" if self.token_id is None else self.name

    def acts_for(self, leased_to: str | None) -> bool:
        """Whether it may act under a lease. leased_to: whose the lease is; None if it was given before leases had
        owners."""
        return self.acts_for_all or leased_to is None or leased_to == self.leases_as


SERVER: Final = Actor("server", acts_for_all=True, takes_back=True)
"""The server itself: its duties in the background."""
SHARED: Final = Actor("shared", acts_for_all=True, takes_back=True)
"""Whoever has the shared token."""
LOCAL: Final = Actor("local", acts_for_all=True, takes_back=True)
"""Whoever asks a server that wants no token."""
NOBODY: Final = Actor("nobody")
"""Who has sent no token yet, where none is needed."""
_OTHERS: Final = ("person", "study", "guard", "policy", "token")
RESERVED: Final = frozenset((*(one.name for one in (SERVER, SHARED, LOCAL, NOBODY)), *_OTHERS))
"""Names in a timeline that no token may have, nor one that begins with one of them and a colon."""

_acting: Final = ContextVar("acting", default=SERVER)


def acting() -> Actor:
    """Who acts now."""
    return _acting.get()


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Let somebody act in the block, and in the threads that it hands work to."""
    before = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(before)


def is_reserved(name: str) -> bool:
    """Whether a token with this name could be taken for somebody else."""
    return name.partition(":")[0] in RESERVED
