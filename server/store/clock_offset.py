"""SQL on the offset of steady time from the database's clock: see `steady_clock.py`."""

from __future__ import annotations

from server.store.engine import Transaction
from server.store.tables import steady_clock as table


def correct(tx: Transaction) -> int:
    """Change the offset if the database's clock was put forward or back, unless another server has done so.

    Returns: by how many microseconds it was put forward, or back if negative; 0 if nothing was changed.
    """
    before, step = tx.offset(), tx.clock_step()
    if step == 0:
        return 0
    tx.execute(tx.insert_new(table, "id"), {"id": 1, "steps": 0, "offset_us": 0})
    changed = table.update().where(table.c.steps == before.steps)
    done = tx.execute(changed.values(steps=before.steps + 1, offset_us=before.offset_us - step))
    return step if done.rowcount else 0
