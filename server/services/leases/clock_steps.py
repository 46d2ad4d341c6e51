"""The database's clock was put forward or back: servers say so, and agree again on how long leases last."""

from __future__ import annotations

from typing import Final

import structlog

from server.services.transactions import Transactions
from server.store import clock_offset

DUTY: Final = "clock steps"
log = structlog.get_logger()


def allow_for_step(transactions: Transactions) -> None:
    """Extend or shorten all leases by what the clock was put forward or back since it was read last."""
    with transactions.database.reading() as tx:
        if tx.clock_step() == 0:
            return
    with transactions.database.writing() as tx:
        if step := clock_offset.correct(tx):
            direction = "forward" if step > 0 else "back"
            tx.after_commit(transactions.counters.clock_steps.labels(direction).inc)
            tx.after_commit(_tell, step, direction)


def _tell(step: int, direction: str) -> None:
    log.warning("the clock was put", direction=direction, seconds=abs(step) / 1e6, leases="keep their length")
