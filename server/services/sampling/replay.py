"""Replay: each sample is drawn again from what is stored, and compared bit by bit."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from server.services import lookup
from server.services.pagination import after_of, page_of
from server.services.sampling.past import Past
from server.services.sampling.sampler_pool import SamplerPool, sample_number
from server.store import numerics as numerics_rows
from server.store import trial_lists, trials
from server.store.engine import Database, Transaction
from server.store.studies import StudyRow
from server.store.trials import TrialRow
from sturgeon import messages
from sturgeon.identifiers import TrialNumber
from sturgeon.replays import verdict
from sturgeon.search.memo import Memo
from sturgeon.search.numerics import numerics
from sturgeon.search.random import random_search
from sturgeon.search.samplers import Point, Sampler


class Compared(NamedTuple):
    """A trial, and the largest difference along a coordinate; None where it cannot be compared, for this reason."""

    trial: TrialRow
    difference: float | None
    reason: str = ""


def replay(
    database: Database, sampler_pool: SamplerPool, name: str, page_size: int, page_token: str | None
) -> messages.Replay:
    """Draw the trials of a page again, and say of how many in the study they are.

    Raises: NotFound, Invalid (an unknown page token).
    """
    after = (
        None
        if page_token is None
        else trial_lists.After(TrialNumber(min(after_of(page_token), messages.LARGEST_FENCE)))
    )
    with database.reading() as tx:
        study = lookup.get_study(tx, name)
        rows = trial_lists.page(tx, study.id, trial_lists.Listing(), after, page_size + 1)
        total = trials.count_drawn(tx, study.id)
    page = page_of(rows, page_size, [row.number for row in rows])
    drawn = [row for row in page.items if row.sampler is not None]
    # A fresh memo for each revision: a result that was stored when the trials were drawn, or for another space,
    # would be compared with itself.
    samplers = {revision: sampler_pool.sampler_of(study, Memo()) for revision in {row.revision for row in drawn}}
    with database.reading() as tx:
        past = Past(tx, study, max((row.number for row in drawn), default=-1) + 1)
        compared = [_compare(tx, study, past, samplers[row.revision], row) for row in drawn]
        facts = numerics_rows.facts_of(tx, {row.numerics for row in rows if row.numerics is not None})
    answer = _answer(study, compared, total, facts)
    given = len(page.items) - len(compared)
    return answer.model_copy(update={"given": given, "next_page_token": page.next_page_token})


def _compare(tx: Transaction, study: StudyRow, past: Past, sampler: Sampler, trial: TrialRow) -> Compared:
    version = trial.drawn.get("version", 1)  # the first release did not store it
    if (trial.sampler, version) != (sampler.name, sampler.version):
        reason = f"drawn by {trial.sampler} version {version}; this server has {sampler.name} version {sampler.version}"
        return Compared(trial, None, reason)
    group = trial.number if trial.group_number is None else trial.group_number
    space, history = past.view(tx, trial.basis_seq, group)
    place = sample_number(study, group)
    if "fallback" in trial.drawn:
        again: Point = random_search(space, study.seed, place, history).point
    else:
        again = sampler.draw(space, study.seed, place, history).point
    if len(again) != len(trial.point):
        return Compared(trial, None, f"drawn in {len(trial.point)} dimensions, and now in {len(again)}")
    return Compared(trial, max(abs(a - b) for a, b in zip(again, trial.point, strict=True)))


def _answer(
    study: StudyRow, compared: list[Compared], total: int, facts: dict[str, dict[str, object]]
) -> messages.Replay:
    here = numerics().fingerprint
    largest = max((result.difference or 0.0 for result in compared), default=0.0)
    off = [result for result in compared if result.difference != 0.0]
    used = Counter(result.trial.numerics for result in compared)
    return messages.Replay(
        study=study.name,
        exact=not off,
        verdict=verdict(len(compared), total, len(off), largest, sum(one.trial.numerics != here for one in off)),
        trials=len(compared),
        total=total,
        given=0,
        fallbacks=Counter(result.trial.drawn["fallback"] for result in compared if "fallback" in result.trial.drawn),
        largest_difference=largest,
        mismatches=[_mismatch(result, here) for result in off],
        numerics=[
            messages.NumericsUsed(fingerprint=name, same=name == here, trials=count, facts=facts.get(name or ""))
            for name, count in used.items()
        ],
    )


def _mismatch(result: Compared, here: str) -> messages.ReplayMismatch:
    same = result.trial.numerics == here
    reason = result.reason or ("drawn under the same numerics" if same else "drawn under other numerics")
    return messages.ReplayMismatch(
        number=result.trial.number, difference=result.difference, numerics=result.trial.numerics, reason=reason
    )
