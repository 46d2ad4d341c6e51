"""Why the search draws where it draws: its rounds, and which parameters matter."""

from __future__ import annotations

from server.services import lookup, views
from server.services.sampling.refit import recover_rounds, refit
from server.services.sampling.sampler_pool import SamplerPool
from server.services.sampling.tally import InRound, Tally
from server.store import rounds as round_rows
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
    with database.reading() as tx:
        tally = sampler_pool.tally_now(tx, lookup.get_study(tx, name))
    recover_rounds(database, study, tally)
    with database.reading() as tx:
        rows = round_rows.of_study(tx, study.id)
    now = (study.revision, fitted.round, fitted.learnt_from)
    items = [_coverage(study, tally, current=fitted.round == 0)]
    items += [_round(study, row, tally, current=(row.revision, row.number, row.learnt_from) == now) for row in rows]
    return messages.Rounds(study=name, sampler=study.sampler, items=items)


def _coverage(study: StudyRow, tally: Tally, *, current: bool) -> messages.Round:
    """Round 0, which has no model, and is the same in all revisions of the space."""
    own = [drawn for (_, number), drawn in tally.rounds.items() if number == 0]
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
        trials=sum(drawn.trials for drawn in own),
        found=_best_of(study, own),
        numerics=None,
        at=views.moment(study.created_at),
    )


def _round(study: StudyRow, row: RoundRow, tally: Tally, *, current: bool) -> messages.Round:
    own = [drawn for key, drawn in tally.rounds.items() if key == (row.revision, row.number)]
    return messages.Round(
        **row.body,
        revision=row.revision,
        current=current,
        trials=sum(drawn.trials for drawn in own),
        found=_best_of(study, own),
        numerics=row.numerics,
        at=views.moment(row.at),
    )


def _best_of(study: StudyRow, drawn: list[InRound]) -> messages.FoundIn | None:
    found = min((one.best for one in drawn if one.best is not None), default=None)
    return None if found is None else messages.FoundIn(number=found[1], value=sign_of(study.direction) * found[0])


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
