"""SQL on what the ended trials of large studies come to, as servers keep it beyond their own end: see `amounts.py`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Final

import sqlalchemy as sa

from server.store.engine import Transaction
from server.store.kept_amounts import Amounts, EndedUpTo
from server.store.tables import ended_sums
from sturgeon.identifiers import StudyId

STORE_EVERY: Final = 4096
"""So much of a study's sequence at least lies between two sums that are stored, or before the first."""

_OF_STUDIES: Final = sa.select(ended_sums.c.study_id, ended_sums.c.seq, ended_sums.c.amounts).where(
    ended_sums.c.study_id.in_(sa.bindparam("studies", expanding=True))
)


def of_studies(tx: Transaction, study_ids: Collection[int]) -> dict[int, EndedUpTo]:
    """Study id -> what is stored of it, where there is something."""
    if not study_ids:
        return {}
    rows = tx.execute(_OF_STUDIES, {"studies": sorted(study_ids)})
    return {one: EndedUpTo(seq, Amounts(**amounts)) for one, seq, amounts in rows}


def store(tx: Transaction, study_id: StudyId, ended: EndedUpTo) -> None:
    """Store it in the place of what is stored. The study is locked."""
    tx.execute(sa.delete(ended_sums).where(ended_sums.c.study_id == study_id))
    row = {"study_id": study_id, "seq": ended.seq, "amounts": asdict(ended.amounts)}
    tx.execute(sa.insert(ended_sums), row)
