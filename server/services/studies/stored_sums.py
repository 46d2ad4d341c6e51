"""Stores what the ended trials of large studies come to, so that a server that was started need not add them up."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from server.services import lookup
from server.services.isolation import isolated
from server.store import amounts, ended_sums
from server.store import studies as study_rows
from server.store.engine import ChangedStudies, Database
from sturgeon.errors import NotFound
from sturgeon.identifiers import StudyId

DUTY: Final = "sums"


class SumStore:
    """The sums of one server's database. It adds up what has ended since the last ones, where that is much."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stored: dict[StudyId, int] = {}  # up to which number of the study's sequence
        self._due: set[StudyId] = set()
        database.on_commit(self._note)

    def _note(self, changed: ChangedStudies) -> None:
        self._due.update(one for one, seq in changed.items() if seq is not None and self._is_due(one, seq))

    def _is_due(self, study_id: StudyId, seq: int) -> bool:
        return seq - self._stored.get(study_id, 0) >= ended_sums.STORE_EVERY

    def step(self) -> None:
        """Store the sums that are due: of studies in which much has ended, or that were added up for a reader."""
        kept = list(self._database.kept_amounts.items())
        due = {*self._due, *(StudyId(one) for one, ended in kept if self._is_due(StudyId(one), ended.seq))}
        self._due -= due
        for study_id in due:
            # NotFound: the study was deleted meanwhile.
            with isolated(DUTY, study=study_id), suppress(NotFound):
                self._store(study_id)

    def _store(self, study_id: StudyId) -> None:
        database = self._database
        with database.reading() as tx:
            study = study_rows.by_id(tx, [study_id]).get(study_id)
            amounts.of_studies(tx, [study_id])
        if study is None:
            database.kept_amounts.pop(study_id, None)
            self._stored.pop(study_id, None)
            return
        ended = database.kept_amounts[study_id]
        with database.writing() as tx:
            if lookup.lock_study(tx, study.name).id == study_id:
                ended_sums.store(tx, study_id, ended)
        self._stored[study_id] = ended.seq
