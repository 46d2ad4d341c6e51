"""The code and the data of runs, and the events that tell of a change amid a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from server.services.views import moment
from server.store import events, trials
from server.store import studies as study_rows
from server.store.engine import Transaction
from server.store.events import EventRow
from server.store.json_columns import Json
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber

What = Literal["code", "data"]
KINDS: Final[dict[str, What]] = {"code_changed": "code", "data_changed": "data"}


def changes(tx: Transaction, study: StudyRow) -> list[messages.VersionChange]:
    """The newest change of the study's code, and that of its data."""
    newest = events.newest(tx, study.id, tuple(KINDS))
    return [_change(event) for event in sorted(newest.values(), key=lambda event: event.id)]


def _change(event: EventRow) -> messages.VersionChange:
    assert event.number is not None
    return messages.VersionChange(
        what=KINDS[event.kind],
        number=event.number,
        at=moment(event.at),
        was=event.detail["was"],
        now=event.detail["becomes"],
    )


def record(tx: Transaction, study: StudyRow, rows: Sequence[TrialRow], told: messages.RunVersions, now: int) -> None:
    """Store what is said of the code and the data of runs of these trials. What differs from the run before is an
    event. The rows of the study and the trials are locked."""
    columns = noted(tx, study, rows[0].number, told, now)
    for row in rows if columns else ():
        trials.update(tx, row, **columns)


def noted(tx: Transaction, study: StudyRow, first: TrialNumber, told: messages.RunVersions, now: int) -> Json:
    """As `record`, for new trials, of which `first` is the first: the columns that are to be written of each."""
    versions = told.model_dump(mode="json", exclude_none=True)
    newest = events.newest(tx, study.id, tuple(KINDS)) if versions else {}
    for kind, what in KINDS.items():
        if (version := versions.get(what)) is None:
            continue
        of_study = getattr(study, f"{what}_version")
        if of_study is None:
            study = study_rows.update(tx, study.id, **{f"{what}_version": version})
        elif version != (last := newest[kind].detail["becomes"] if kind in newest else of_study):
            events.insert(tx, study.id, kind, now, first, was=last, becomes=version)
    columns: Json = {f"{what}_version": version for what, version in versions.items()}
    if versions and versions.get("code") == study.code_version:
        columns["code_version"] = None  # as that of the study, or not told
    return columns
