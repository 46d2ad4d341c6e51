"""The order in which a transaction locks rows: the study first, then trials by ascending id."""

from __future__ import annotations

from collections.abc import Iterable


class LockOrderError(AssertionError):
    """A transaction locks rows out of order, which can end in a deadlock: a study after trials, or trials not by id."""


class LockOrder:
    """Which rows a transaction has locked so far."""

    def __init__(self) -> None:
        self._trials: set[int] = set()
        self._inserted: set[int] = set()

    def before_study(self) -> None:
        """Raises: LockOrderError (a trial is locked already)."""
        if self._trials:
            raise LockOrderError(f"a study is locked after trials {sorted(self._trials)}")

    def trials(self, ids: Iterable[int]) -> None:
        """Note trials that are being locked. Raises: LockOrderError (one has a lower id than a locked one)."""
        new = set(ids) - self._trials - self._inserted
        if new and self._trials and min(new) < max(self._trials):
            raise LockOrderError(f"trials {sorted(new)} are locked after {sorted(self._trials)}")
        self._trials |= new

    def taken(self, ids: Iterable[int]) -> None:
        """Note trials that were locked without a wait, and may be in no order: those that others had were left out."""
        self._trials.update(ids)

    def inserted(self, ids: Iterable[int]) -> None:
        """Note new trials, which are in no order: no other transaction can wait for them yet."""
        self._inserted.update(ids)
