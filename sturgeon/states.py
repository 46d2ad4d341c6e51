"""The states of a study and of a trial, and the one table of moves between them."""

from __future__ import annotations

from typing import Final, Literal, get_args

StudyState = Literal["active", "paused", "stopped", "cancelled", "completed"]
TrialState = Literal["queued", "running", "paused", "complete", "pruned", "diverged", "failed", "cancelled"]
Mode = Literal["caviar", "panda"]
ToldState = Literal["complete", "pruned", "diverged", "failed"]

TRIAL_STATES: Final[tuple[TrialState, ...]] = get_args(TrialState)

TRIAL_MOVES: Final[dict[TrialState, frozenset[TrialState]]] = {
    # A worker may tell a queued trial too: its lease ran out, but nobody took it meanwhile.
    "queued": frozenset({"running", "paused", "complete", "pruned", "diverged", "failed", "cancelled"}),
    "running": frozenset({"queued", "paused", "complete", "pruned", "diverged", "failed", "cancelled"}),
    # It waits for a person and holds no slot. Its worker may come back to it, if its lease ran out and nobody took it.
    "paused": frozenset({"queued", "running", "complete", "pruned", "diverged", "failed", "cancelled"}),
    "complete": frozenset(),
    "pruned": frozenset(),
    "diverged": frozenset(),
    "failed": frozenset({"queued"}),  # by a person's :requeue alone
    "cancelled": frozenset({"queued"}),  # by a person's :requeue alone
}

UNFINISHED: Final[tuple[TrialState, ...]] = ("queued", "running", "paused")
TERMINAL: Final[tuple[TrialState, ...]] = tuple(s for s in TRIAL_MOVES if s not in UNFINISHED)
REQUEUEABLE: Final[tuple[TrialState, ...]] = ("failed", "cancelled")

STUDY_MOVES: Final[dict[StudyState, frozenset[StudyState]]] = {
    "active": frozenset({"paused", "stopped", "cancelled"}),
    "paused": frozenset({"active", "stopped", "cancelled"}),
    "stopped": frozenset({"active", "cancelled"}),
    "cancelled": frozenset(),
    "completed": frozenset(),  # completed comes by itself; a raised budget makes it active again
}
