"""SQL on studies. The lock on a study's row orders all that its sampler may see."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from server.store import floors
from server.store.engine import Transaction
from server.store.json_columns import Json, has_tag
from server.store.reach import EVERY_STUDY, Reach
from server.store.tables import studies, trials
from sturgeon.direction import Direction
from sturgeon.identifiers import StudyId, TrialNumber
from sturgeon.messages import Reduce, SamplerName, TaskKind
from sturgeon.states import Mode, StudyState


@dataclass(frozen=True)
class StudyRow:
    """A row of `studies`."""

    id: StudyId
    name: str
    title: str
    state: StudyState
    mode: Mode
    metric: str
    direction: Direction
    reduce: Reduce
    space: Json
    constraints: list[str]
    revision: int
    sampler: SamplerName
    sampler_options: Json
    seed: int
    pruning: Json
    max_trials: int
    replicates: int
    limits: Json | None
    spent: str | None
    task: Json | None
    task_kind: TaskKind | None
    needs: Json | None
    policies: list[Json]
    seq: int
    next_number: TrialNumber
    fence_floor: int
    version_floor: int
    source_study_id: StudyId | None
    tags: list[str]
    notes: str
    code_version: Json | None
    data_version: Json | None
    created_at: int
    changed: int

    @property
    def trains(self) -> bool:
        """Its task is one of the built-in trainer, so all fields of its trials are known."""
        return self.task_kind == "train"

    @property
    def goes_on(self) -> bool:
        """A run goes on from the checkpoint of the one before it, so the reports of all its runs count."""
        return self.task is not None and (self.trains or self.task["checkpoints"] is not None)


def _row(row: sa.Row[*tuple[Any, ...]] | None) -> StudyRow | None:
    return None if row is None else StudyRow(*row)


def insert(tx: Transaction, values: Json) -> StudyRow | None:
    """The new study; None where the name exists. Its numbers begin above those of earlier studies of this name."""
    study_id = tx.execute(tx.insert_new(studies, "name", returning="id"), values).scalar_one_or_none()
    if study_id is None:
        return None
    # Read after the name is taken: the insertion has waited for a transaction that deleted a study of this name.
    floor = floors.read(tx)
    return update(tx, study_id, fence_floor=floor.fence, version_floor=floor.version)


CREATION_LOCK: Final = 0x73747564  # "stud": the advisory lock of PostgreSQL between two creations of studies
_FIND: Final = sa.select(studies).where(studies.c.name == sa.bindparam("name"))


def find(tx: Transaction, name: str) -> StudyRow | None:
    """The study of this name."""
    return _row(tx.execute(_FIND, {"name": name}).one_or_none())


_BY_ID: Final = sa.select(studies).where(studies.c.id.in_(sa.bindparam("ids", expanding=True)))


def by_id(tx: Transaction, ids: Iterable[int]) -> dict[int, StudyRow]:
    """Id -> study, of those that exist."""
    rows = tx.execute(_BY_ID, {"ids": list(ids)})
    return {row.id: StudyRow(*row) for row in rows}


def fence_floors(tx: Transaction, names: Collection[str]) -> dict[str, int]:
    """Name -> the floor of fences, of the studies that exist."""
    statement = sa.select(studies.c.name, studies.c.fence_floor).where(studies.c.name.in_(sorted(names)))
    return dict(tx.execute(statement).all())


def page(tx: Transaction, after: int, size: int, tag: str | None = None, reach: Reach = EVERY_STUDY) -> list[StudyRow]:
    """Up to `size` studies with ids above `after`, by id; of those with a tag, if one is given."""
    wanted = [studies.c.id > after, reach.where()]
    if tag is not None:
        wanted.append(has_tag(studies.c.tags, tag))
    statement = sa.select(studies).where(*wanted).order_by(studies.c.id).limit(size)
    return [StudyRow(*row) for row in tx.execute(statement)]


_UPDATE: Final = studies.update().where(studies.c.id == sa.bindparam("study")).returning(studies)


def update(tx: Transaction, study_id: StudyId, **values: object) -> StudyRow:
    """Write columns of the study."""
    return StudyRow(*tx.execute(_UPDATE, {"study": study_id, **values}).one())


_VERSION_FLOOR: Final = sa.select(studies.c.version_floor).where(studies.c.id == sa.bindparam("study"))


def version_floor(tx: Transaction, study_id: StudyId) -> int:
    """Versions up to this one were given by earlier studies."""
    return int(tx.execute(_VERSION_FLOOR, {"study": study_id}).scalar_one())


def delete(tx: Transaction, study_id: StudyId, now: int) -> None:
    """Delete the study and all that refers to it; its fences and versions are not given again. Its trials are locked
    first: a transaction that has locked one may be about to lock the study's key."""
    tx.changed_studies[study_id] = None
    own = sa.select(trials.c.id).where(trials.c.study_id == study_id).order_by(trials.c.id)
    tx.lock_order.trials(tx.execute(own.with_for_update()).scalars())
    floors.raise_above_study(tx, study_id, now)
    tx.execute(studies.delete().where(studies.c.id == study_id))


_TAKE_SEQS: Final = (
    studies.update()
    .where(studies.c.id == sa.bindparam("study"))
    .values(seq=studies.c.seq + sa.bindparam("count", type_=sa.BigInteger))
    .returning(studies.c.seq)
)


def next_seq(tx: Transaction, study_id: StudyId, *, changes_past: bool = False) -> int:
    """The next number of the study's sequence. The numbers have no gaps and are in the order of the commits, since the
    row stays locked until the commit. changes_past: samplers see earlier results otherwise, or no more."""
    seq = take_seqs(tx, study_id, 1)
    if changes_past:
        tx.changed_studies[study_id] = None
    return seq


def take_seqs(tx: Transaction, study_id: StudyId, count: int) -> int:
    """As `next_seq`: the first of the next `count` numbers."""
    last: int
    [(last,)] = tx.run(_TAKE_SEQS, {"study": study_id, "count": count}).rows
    if tx.changed_studies.get(study_id, last) is not None:
        tx.changed_studies[study_id] = last
    return last - count + 1


_NEXT: Final = sa.bindparam("next", type_=sa.Integer)
_TAKE_NUMBERS: Final = (
    studies.update()
    .where(
        studies.c.id == sa.bindparam("study"),
        studies.c.next_number == sa.bindparam("first"),
        studies.c.revision == sa.bindparam("seen_revision"),
        studies.c.state == "active",
        studies.c.spent.is_(None),
        studies.c.max_trials >= _NEXT,
    )
    .values(next_number=_NEXT)
)


def take_numbers(tx: Transaction, study: StudyRow, count: int) -> bool:
    """Take `count` trial numbers from `next_number` on. False when another transaction has taken them, the space or the
    state has changed, or the budget is spent."""
    seen = {"study": study.id, "first": study.next_number, "seen_revision": study.revision}
    return tx.run(_TAKE_NUMBERS, {**seen, "next": study.next_number + count}).changed == 1


def pandas(tx: Transaction) -> list[StudyRow]:
    """The studies whose trials are pandas."""
    statement = sa.select(studies).where(studies.c.mode == "panda").order_by(studies.c.name)
    return [StudyRow(*row) for row in tx.execute(statement)]


def limited(tx: Transaction) -> list[StudyRow]:
    """The active studies in which a trial runs, and whose budget has limits other than the number of trials, none of
    which is reached. Their number counts, and not that of all studies."""
    running = sa.select(trials.c.study_id).where(trials.c.state == "running")
    statement = sa.select(studies).where(
        studies.c.id.in_(running),
        studies.c.state == "active",
        studies.c.limits.is_not(sa.null()),
        studies.c.spent.is_(None),
    )
    return [StudyRow(*row) for row in tx.execute(statement)]


def wait_to_create(tx: Transaction) -> None:
    """Let no other transaction that calls this go on before this one ends: of two studies that are created at once, one
    may name the other, and neither sees the other before it is committed. To be called before the first lookup."""
    if not tx.is_sqlite:  # there the write transaction is the lock
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(CREATION_LOCK)))


def without_source(tx: Transaction) -> list[StudyRow]:
    """The studies whose trials may start from a study that was not there yet, by id."""
    mentions = [sa.cast(column, sa.Text).like('%"start_from"%') for column in (studies.c.task, studies.c.space)]
    statement = sa.select(studies).where(
        studies.c.source_study_id.is_(None),
        studies.c.task_kind == "train",
        sa.or_(*mentions, studies.c.mode == "panda"),
    )
    return [StudyRow(*row) for row in tx.execute(statement.order_by(studies.c.id))]


def give_source(tx: Transaction, study_id: StudyId, source: StudyId) -> None:
    """Write down from which study the trials of this one start; it may have been deleted meanwhile."""
    tx.execute(sa.update(studies).where(studies.c.id == study_id).values(source_study_id=source))


_SOURCE: Final = studies.alias("source")


@dataclass(frozen=True)
class Eligible:
    """The studies that a worker may get trials of: with a task of these kinds, and none of those that are left out, by
    their names or their ids. only: the names of all that it takes, if it does not take any. reach: those that its token
    is for; it has to read the checkpoints that the trials start from, too."""

    kinds: tuple[str, ...]
    skip: tuple[str, ...] = ()
    unfit: tuple[StudyId, ...] = ()
    only: tuple[str, ...] | None = None
    reach: Reach = EVERY_STUDY

    def where(self) -> sa.ColumnElement[bool]:
        """As a condition on a study."""
        conditions: list[sa.ColumnElement[bool]] = [studies.c.task_kind.in_(self.kinds)]
        if self.skip:
            conditions.append(studies.c.name.not_in(self.skip))
        if self.unfit:
            conditions.append(studies.c.id.not_in(self.unfit))
        if self.only is not None:
            conditions.append(studies.c.name.in_(self.only))
        if self.reach.is_bound:
            of_source = sa.exists().where(_SOURCE.c.id == studies.c.source_study_id)
            beyond = of_source.where(sa.not_(self.reach.where(_SOURCE.c.name))).correlate(studies)
            conditions += [self.reach.where(), sa.not_(beyond)]
        return sa.and_(*conditions)


_WITH_NEEDS: Final = sa.select(studies.c.id, studies.c.needs).where(
    studies.c.state == "active", studies.c.needs.is_not(sa.null())
)


def with_needs(tx: Transaction) -> dict[StudyId, Json]:
    """Id -> needs, of the active studies that need more of a worker than a slot."""
    return dict(tx.execute(_WITH_NEEDS).all())


def _open_to_workers() -> tuple[sa.ColumnElement[bool], ...]:
    """The study is active, has a task that workers run, draws its trials, and has trial numbers left in its budget."""
    return (
        studies.c.state == "active",
        studies.c.mode == "caviar",
        studies.c.task_kind.is_not(None),
        studies.c.spent.is_(None),
        studies.c.next_number + studies.c.replicates <= studies.c.max_trials,
    )


def with_new_trials_for_workers(tx: Transaction, eligible: Eligible) -> list[str]:
    """Names of the studies that can give a worker new trials. The one with the fewest running trials is first, so that
    studies share the workers evenly."""
    return list(tx.execute(_with_new_trials(eligible)).scalars())


@lru_cache(256)
def _with_new_trials(eligible: Eligible) -> sa.Select[Any]:
    running = (
        sa.select(sa.func.count())
        .where(trials.c.study_id == studies.c.id, trials.c.state == "running")
        .correlate(studies)
        .scalar_subquery()
    )
    statement = sa.select(studies.c.name).where(*_open_to_workers(), eligible.where())
    return statement.order_by(running, studies.c.id)


def new_trials_for_workers(tx: Transaction) -> dict[StudyId, int]:
    """Study -> how many new trials workers can get."""
    left = studies.c.max_trials - studies.c.next_number
    return dict(tx.execute(sa.select(studies.c.id, left).where(*_open_to_workers())).all())


class Demand(NamedTuple):
    """What says which workers get trials of a study. source: the study that these start from, if it is there."""

    name: str
    kind: str
    needs: Json | None
    source: str | None


def demands(tx: Transaction, ids: Collection[StudyId]) -> dict[StudyId, Demand]:
    """Id -> what says which workers get its trials."""
    statement = (
        sa.select(studies.c.id, studies.c.name, studies.c.task_kind, studies.c.needs, _SOURCE.c.name.label("source"))
        .outerjoin_from(studies, _SOURCE, _SOURCE.c.id == studies.c.source_study_id)
        .where(studies.c.id.in_(sorted(ids)))
    )
    return {study_id: Demand(*demand) for study_id, *demand in tx.execute(statement)}


def count_by_state(tx: Transaction) -> dict[str, int]:
    """State -> how many studies."""
    statement = sa.select(studies.c.state, sa.func.count()).group_by(studies.c.state)
    return dict(tx.execute(statement).all())
