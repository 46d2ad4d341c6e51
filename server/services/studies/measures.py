"""What the database holds, for /metrics: the same from each of its servers.

Some of it no index knows: to count all trials, or to add up all checkpoints, takes as long as there are many. So what
took long is kept for a while, and a server spends a small share of its time on it however often it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from server.store import checkpoints, events, late_results, outbox, room, totals, trial_logs, workers
from server.store import studies as study_rows
from server.store.engine import Database, Transaction

AT_ONCE_S: Final = 0.5
"""What takes less is read at each scrape."""
SHARE: Final = 0.05
"""Of the time, which reading may take where it takes longer."""
QUEUES: Final = 10
"""Studies whose queue is told by name: each name is a series that Prometheus keeps."""


@dataclass(frozen=True)
class Measures:
    """trials, studies, workers: by state. queues: by study, the longest. slots: of active workers. stored_bytes,
    stored_rows: by what it is. database_bytes: what the database takes."""

    trials: Mapping[str, int] = field(default_factory=dict)
    studies: Mapping[str, int] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)
    queues: Mapping[str, int] = field(default_factory=dict)
    slots: int = 0
    stored_bytes: Mapping[str, int] = field(default_factory=dict)
    stored_rows: Mapping[str, int] = field(default_factory=dict)
    database_bytes: int = 0


class Measuring:
    """Reads the measures of one server's database; who comes meanwhile waits, and gets the same."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._guard = Lock()
        self._kept: Measures | None = None
        self._read_at = self._keep_until = 0.0

    def read(self) -> Measures:
        """The measures, as they are now or were a moment ago. Raises: Unavailable (the database is away)."""
        came_at = self._clock()
        with self._guard:
            began = self._clock()
            if self._kept is None or (self._read_at < came_at and self._keep_until <= began):
                with self._database.reading() as tx:
                    self._kept = _measures(tx)
                took = self._clock() - began
                self._read_at = began
                self._keep_until = began + took / SHARE if took > AT_ONCE_S else 0.0
            return self._kept


def _measures(tx: Transaction) -> Measures:
    by_state, slots = workers.count_by_state(tx)
    size = {
        "checkpoints": checkpoints.total_size(tx),
        "late_results": late_results.total_size(tx),
        "logs": trial_logs.total_size(tx),
    }
    rows = {
        "events": events.count_all(tx),
        "late_results": late_results.count_all(tx),
        "webhook_deliveries_waiting": outbox.count_waiting(tx),
    }
    return Measures(
        trials=totals.count_by_state(tx),
        studies=study_rows.count_by_state(tx),
        workers=by_state,
        queues=totals.longest_queues(tx, QUEUES),
        slots=slots,
        stored_bytes=_present(size),
        stored_rows=_present(rows),
        database_bytes=room.size_of(tx),
    )


def _present(amounts: dict[str, int]) -> dict[str, int]:
    """The amounts that are not 0, as of states."""
    return {what: amount for what, amount in amounts.items() if amount}
