"""Why the search draws where it draws: its rounds, and which parameters matter."""

from __future__ import annotations

from server.services import lookup, views
from server.services.sampling.refit import recover_rounds, refit
from server.services.sampling.sampler_pool import SamplerPool
from server.store import draws
from server.store import rounds as round_rows
from server.store.draws import DrawnRow
from server.store.engine import Database
from server.store.rounds import RoundRow
from server.store.studies import StudyRow
from sturgeon import messages
from sturgeon.direction import sign_of
from sturgeon.search.rounds import importance as importance_of
from sturgeon.search.samplers import evidence_of


def list_rounds(database: Database, sampler_pool: SamplerPool, name: str) -> messages.Rounds:
    """The rounds that have begun, with what each has found so far. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
    if study.sampler != "coarse_to_fine":
        return messages.Rounds(study=name, sampler=study.sampler, items=[])
    fitted = refit(database, sampler_pool, name)
    study = fitted.study
    recover_rounds(database, study)
    with database.reading() as tx:
        rows = round_rows.of_study(tx, study.id)
        drawn = draws.drawn(tx, study.id)
    now = (study.revision, fitted.round, fitted.learnt_from)
    items = [_coverage(study, drawn, current=fitted.round == 0)]
    items += [_round(study, row, drawn, current=(row.revision, row.number, row.learnt_from) == now) for row in rows]
    return messages.Rounds(study=name, sampler=study.sampler, items=items)


def _coverage(study: StudyRow, drawn: list[DrawnRow], *, current: bool) -> messages.Round:
    """Round 0, which has no model, and is the same in all revisions of the space."""
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
    own = [trial for trial in drawn if (trial.revision, trial.drawn.get("round")) == (row.revision, row.number)]
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
    scores = [
        (sign * trial.value, trial.number, trial.value) for trial in drawn if trial.counts and trial.value is not None
    ]
    return messages.FoundIn(number=min(scores)[1], value=min(scores)[2]) if scores else None


def importance(database: Database, sampler_pool: SamplerPool, name: str) -> messages.Importance:
    """Which parameters matter, whatever sampler drew the trials. Raises: NotFound."""
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        space, history = sampler_pool.history_now(tx, study)
    evidence = evidence_of(history, len(space.searched))
    rounds = evidence.rounds
    if not rounds:  # no round has begun yet; of a panda none ever will
        return messages.Importance(study=name, trials=0, rounds=0, items=[])
    measured = sampler_pool.cache_of(study).memo.recall(
        "importance", (space.identity(), study.seed, rounds), lambda: importance_of(space, study.seed, evidence)
    )
    shares = sorted(measured.items(), key=lambda item: -item[1].share)
    items = [messages.ParameterImportance(name=name, share=share.share, spread=share.spread) for name, share in shares]
    return messages.Importance(study=name, trials=rounds[-1].start, rounds=len(rounds), items=items)
