"""Why the search draws where it draws: its rounds, and which parameters matter."""

from __future__ import annotations

from typing import Final

from server.services import lookup, views
from server.services.sampling.refit import recover_rounds, refit
from server.services.sampling.sampler_pool import SamplerPool
from server.store import rounds as round_rows
from server.store import trials
from server.store.engine import Database
from server.store.rounds import RoundRow
from server.store.studies import StudyRow
from server.store.trials import DrawnRow
from sturgeon import messages
from sturgeon.direction import sign_of
from sturgeon.search.rounds import importance as importance_of
from sturgeon.search.scores import round_starts

LAST: Final = 3
"""So many rounds say what matters."""


def list_rounds(database: Database, sampler_pool: SamplerPool, name: str) -> messages.Rounds:
    """The rounds that have begun, with what each has found so far. Raises NotFound."""
    learnt = refit(database, sampler_pool, name)
    study = learnt.study
    if study.sampler != "coarse_to_fine":
        return messages.Rounds(study=name, sampler=study.sampler, items=[])
    recover_rounds(database, study)
    with database.reading() as tx:
        rows = round_rows.of_study(tx, study.id)
        drawn = trials.drawn(tx, study.id)
    now = (study.revision, learnt.round, learnt.learnt_from)
    items = [_coverage(study, drawn, current=learnt.round == 0)]
    items += [_round(study, row, drawn, current=(row.revision, row.number, row.learnt_from) == now) for row in rows]
    return messages.Rounds(study=name, sampler=study.sampler, items=items)


def _coverage(study: StudyRow, drawn: list[DrawnRow], *, current: bool) -> messages.Round:
    """Round 0, which believes nothing, and is the same under every revision of the space."""
    own = [trial for trial in drawn if trial.drawn.get("round") == 0]
    return messages.Round(
        number=0,
        revision=0,
        start=0,
        model=None,
        bars={},
        elites=[],
        boxes=[],
        best=None,
        alarms=[],
        current=current,
        trials=len(own),
        found=_best_of(study, own),
        numerics=None,
        at=views.moment(study.created_at),
    )


def _round(study: StudyRow, row: RoundRow, drawn: list[DrawnRow], *, current: bool) -> messages.Round:
    own = [t for t in drawn if (t.revision, t.drawn.get("round")) == (row.revision, row.number)]
    return messages.Round(
        **row.body,
        revision=row.revision,
        current=current,
        trials=len(own),
        found=_best_of(study, own),
        numerics=row.numerics,
        at=views.moment(row.at),
    )


def _best_of(study: StudyRow, drawn: list[DrawnRow]) -> messages.FoundIn | None:
    sign = sign_of(study.direction)
    told = [(sign * t.value, t.number, t.value) for t in drawn if t.counts and t.value is not None]
    return messages.FoundIn(number=min(told)[1], value=min(told)[2]) if told else None


def importance(database: Database, sampler_pool: SamplerPool, name: str) -> messages.Importance:
    """Which parameters matter, whatever sampler drew the trials. Raises NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        space, history = sampler_pool.history_now(tx, study)
    starts = round_starts(len(space.searched), len(history.finished))[-LAST:]
    first = history.finished[: starts[-1]] if starts else ()
    if not first:  # nothing was learnt yet, or, of a panda, never will be
        return messages.Importance(study=name, trials=0, rounds=len(starts), items=[])
    found = sampler_pool.cache_of(study).memo.recall(
        "importance", (space, study.seed, first), lambda: importance_of(space, study.seed, first, LAST)
    )
    shares = sorted(found.items(), key=lambda item: -item[1].share)
    items = [messages.ParameterImportance(name=p, share=one.share, spread=one.spread) for p, one in shares]
    return messages.Importance(study=name, trials=len(first), rounds=len(starts), items=items)
