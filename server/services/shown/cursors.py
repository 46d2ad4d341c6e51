"""Cursors: up to where a reader knows a study, or all studies. They are opaque to clients, and good on every server."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from server.store import change_numbers
from server.store.change_numbers import MOMENT

_CURSOR: Final = re.compile(
    rf"(?P<of>[a-z0-9-]{{1,40}})\.(?P<moment>{MOMENT})(?:~(?P<began>{MOMENT})~(?P<after>[0-9]{{1,10}}))?"
)
LOOKS_LIKE: Final = r"^[a-z0-9.:,~\-]{1,20000}$"


@dataclass(frozen=True)
class Cursor:
    """A reader knows what was committed at `moment` of what `of` names. Where an answer had no room for all that has
    changed since, it knows also those up to the number `after` as they were at `began`."""

    of: str
    moment: str
    began: str | None = None
    after: int = -1

    def __str__(self) -> str:
        rest = "" if self.began is None else f"~{self.began}~{self.after}"
        return f"{self.of}.{self.moment}{rest}"

    def next(self, now: str, last: int | None) -> Cursor:
        """The cursor after an answer of what had changed at `now`; `last`: the number that it ends with, where more
        have changed. What was answered before may have changed since `began`, so the reader goes on from there."""
        began = self.began or now
        return Cursor(self.of, began) if last is None else replace(self, began=began, after=last)


def cursor_of(text: str | None, of: str, now: str) -> Cursor | None:
    """The cursor in a text. None where it says nothing of what is there now: it is of something that was deleted, of
    another database, or of none; then the reader gets all that there is."""
    found = _CURSOR.fullmatch(text or "")
    if found is None or found["of"] != of:
        return None
    moments = [found["moment"], *([found["began"]] if found["began"] else [])]
    if not all(change_numbers.is_past(moment, now) for moment in moments):
        return None
    return Cursor(of, found["moment"], found["began"], int(found["after"] or -1))
