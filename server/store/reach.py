"""The studies that a token is for: all of a server, or those whose names begin with one of its prefixes.

The one place that says which these are, of a name and in SQL. A prefix is compared letter for letter: its case counts,
no letter stands for others, and a name that is equal to it begins with it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from server.store.tables import studies
from sturgeon.errors import Forbidden


@dataclass(frozen=True)
class Reach:
    """prefixes: of the names of the studies; None for all studies. bearer: the name of the token. Of two with the same
    prefixes one answer may do for both."""

    prefixes: tuple[str, ...] | None = None
    bearer: str = field(default="", compare=False)

    @classmethod
    def of(cls, prefixes: Collection[str] | None, bearer: str) -> Reach:
        """The reach of the token of this name."""
        return cls() if prefixes is None else cls(tuple(sorted(set(prefixes))), bearer)

    @property
    def is_bound(self) -> bool:
        """Whether there are studies that it does not include."""
        return self.prefixes is not None

    def includes(self, name: str) -> bool:
        """Whether the token is for the study of this name, which need not exist."""
        return self.prefixes is None or name.startswith(self.prefixes)

    def require(self, name: str) -> None:
        """Raises: Forbidden (the token is not for this study; it says the same whether there is one or not)."""
        if not self.includes(name):
            raise self.refusal()

    def refusal(self, why: str = "") -> Forbidden:
        """The answer to a request for what the token is not for; it does not tell what there is. why: a sentence."""
        prefixes = " or ".join(self.prefixes or ())
        only = f"The token {self.bearer} is only for studies whose names begin with {prefixes}."
        return Forbidden(f"{why} {only}" if why else only)

    def where(self, name: sa.ColumnElement[str] = studies.c.name) -> sa.ColumnElement[bool]:
        """`includes` as a condition on the name of a study. It is no LIKE, of which `_` in a prefix is any letter."""
        if self.prefixes is None:
            return sa.true()
        return sa.or_(sa.false(), *(sa.func.substr(name, 1, len(one)) == one for one in self.prefixes))


EVERY_STUDY: Final = Reach()
"""Of the shared token, of a named one without prefixes, and of everybody on a server that has no token."""
